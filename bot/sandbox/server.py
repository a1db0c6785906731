"""Starts the stand-in on a loopback port, and is how a test or the demo talks to it."""

from __future__ import annotations

import socket
import threading
import time
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from werkzeug.serving import BaseWSGIServer, WSGIRequestHandler, make_server
from werkzeug.wrappers import Request, Response

from bot.sandbox import admin, overview
from bot.sandbox.confluence import page_rows
from bot.sandbox.confluence import routes as confluence
from bot.sandbox.faults.injection import FaultyServices
from bot.sandbox.faults.plans import Fault, FaultKind, FaultPlan, Faults, RateLimit, RequestRecord, episode
from bot.sandbox.jira import routes as jira
from bot.sandbox.mail import html_pages as letters
from bot.sandbox.mail.smtp import serve_mail
from bot.sandbox.robots.routes import robots
from bot.sandbox.rules import Rulebook, Rules, Service
from bot.sandbox.schema import open_database
from bot.sandbox.seed import SandboxSeed
from bot.sandbox.slack.routes import slack
from bot.sandbox.trello import board_rows
from bot.sandbox.trello.routes import trello
from bot.sandbox.web import html_pages
from bot.sandbox.web.site import Dialect, Routes, Site

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from pathlib import Path

    from bot.sandbox.web.database import Database
    from bot.sandbox.web.site import WSGIApplication


POLL = 0.02  # seconds between looks at whether to stop


@dataclass(frozen=True, slots=True)
class RunningSandbox:
    """A started stand-in: its addresses, its credentials, its knobs."""

    url: str
    seed: SandboxSeed
    rules: Rulebook
    faults: Faults
    mail_port: int  # of SMTP, without TLS

    @property
    def jira_cloud_url(self) -> str:
        return f"{self.url}/{Service.JIRA_CLOUD}"

    @property
    def jira_datacenter_url(self) -> str:
        return f"{self.url}/{Service.JIRA_DATACENTER}"

    @property
    def confluence_cloud_url(self) -> str:
        """The site; its pages and interfaces lie behind /wiki, as on the real one."""
        return f"{self.url}/{Service.CONFLUENCE_CLOUD}"

    @property
    def confluence_datacenter_url(self) -> str:
        return f"{self.url}/{Service.CONFLUENCE_DATACENTER}"

    @property
    def slack_url(self) -> str:
        """The base of the Web API, with the slash at the end that slack_sdk wants."""
        return f"{self.url}/{Service.SLACK}/api/"

    @property
    def slack_webhook_url(self) -> str:
        channel = self.seed.channels[0].id
        return f"{self.url}/{Service.SLACK}/services/{self.seed.slack_team}/{channel}/{self.seed.slack_webhook_secret}"

    @property
    def trello_url(self) -> str:
        return f"{self.url}/{Service.TRELLO}/1"

    @property
    def teams_webhook_url(self) -> str:
        path = f"workflows/{self.seed.robots.teams_workflow}/triggers/manual/paths/invoke"
        return f"{self.url}/{Service.TEAMS}/{path}?api-version=2016-06-01&sig={self.seed.robots.teams_signature}"

    @property
    def feishu_url(self) -> str:
        return f"{self.url}/{Service.FEISHU}"

    @property
    def feishu_webhook_url(self) -> str:
        return f"{self.feishu_url}/open-apis/bot/v2/hook/{self.seed.robots.feishu_hook}"

    @property
    def dingtalk_url(self) -> str:
        return f"{self.url}/{Service.DINGTALK}"

    @property
    def dingtalk_webhook_url(self) -> str:
        return f"{self.dingtalk_url}/robot/send?access_token={self.seed.robots.dingtalk_hook}"

    @property
    def wecom_webhook_url(self) -> str:
        return f"{self.url}/{Service.WECOM}/cgi-bin/webhook/send?key={self.seed.robots.wecom_key}"

    @property
    def email(self) -> str:
        return self.seed.bot.email

    @property
    def api_token(self) -> str:
        return self.seed.bot.api_token

    @property
    def bearer_token(self) -> str:
        return self.seed.bot.bearer

    @property
    def slack_token(self) -> str:
        return self.seed.slack_token

    @property
    def trello_key(self) -> str:
        return self.seed.trello_key

    @property
    def trello_token(self) -> str:
        return self.seed.trello_token

    @property
    def project_key(self) -> str:
        return self.seed.projects[0].key

    @property
    def space_key(self) -> str:
        return self.seed.spaces[0].key

    @property
    def channel_id(self) -> str:
        return self.seed.channels[0].id

    @property
    def board_id(self) -> str:
        return self.seed.board.id

    def change(self, service: Service, **values: Any) -> None:
        """Change rules of a service; raise ValueError for an unknown one."""
        self.rules.change(service, **values)

    def strike(self, fault: Fault) -> None:
        self.faults.add(fault)

    def befall(self, kind: FaultKind, service: Service | None, seconds: float, **more: Any) -> None:
        """Let an episode begin: what is asked of one service, or of all, meets that fault for so long."""
        self.faults.add(episode(kind, service, seconds, **more))

    def follow(self, plan: FaultPlan | None) -> None:
        self.faults.follow(plan)

    def limit(self, limit: RateLimit) -> None:
        self.faults.limit(limit)

    def slow(self, seconds: float) -> None:
        """Let every request take that much longer."""
        self.faults.delay = seconds

    def requests(self, service: Service | None = None) -> list[RequestRecord]:
        return self.faults.requests(service)

    def calm(self) -> None:
        """Take back all faults, plans, limits and rules, and empty the request log."""
        self.faults.clear()
        self.faults.forget_requests()
        self.rules.reset()


@contextmanager
def serve(
    database: Path | None,
    *,
    host: str = "127.0.0.1",
    port: int = 0,
    seed: SandboxSeed | None = None,
    rules: dict[Service, Rules] | None = None,
    clock: Callable[[], float] = time.time,
) -> Iterator[RunningSandbox]:
    """Serve all services from one SQLite file (None: in memory) until the block ends."""
    seed = seed or SandboxSeed()
    rulebook = Rulebook(rules)
    faults, opened = Faults(clock, rulebook), open_database(database)
    application = _Application(opened, seed, rulebook, faults, clock)
    with socket.create_server((host, port)) as listener:  # werkzeug would end the process where a port is taken
        server: BaseWSGIServer = make_server(
            host, port, application, threaded=True, request_handler=_QuietHandler, fd=listener.fileno()
        )
    thread = threading.Thread(target=server.serve_forever, args=(POLL,), name="sandbox", daemon=True)
    thread.start()
    try:
        with serve_mail(host, opened, rulebook, clock) as mail_port:
            yield RunningSandbox(f"http://{host}:{server.socket.getsockname()[1]}", seed, rulebook, faults, mail_port)
    finally:
        faults.stopping.set()
        server.shutdown()
        thread.join()
        server.server_close()
        opened.close()


class _QuietHandler(WSGIRequestHandler):
    """Logs nothing: the request log is the place to look."""

    def log(self, type: str, message: str, *args: Any) -> None:  # noqa: A002 - werkzeug's name
        if type == "error":
            super().log(type, message, *args)

    def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
        pass

    def connection_dropped(self, error: BaseException, environ: dict[str, Any] | None = None) -> None:  # noqa: ARG002
        self.close_connection = True  # else the client would wait for its timeout on an open connection


class _Application:
    """Finds the service by the first part of the path, as if each had a host of its own."""

    def __init__(
        self, database: Database, seed: SandboxSeed, rulebook: Rulebook, faults: Faults, clock: Callable[[], float]
    ) -> None:
        parts: dict[Service, tuple[Routes, Dialect]] = {
            Service.JIRA_CLOUD: jira.cloud(),
            Service.JIRA_DATACENTER: jira.datacenter(),
            Service.CONFLUENCE_CLOUD: confluence.cloud(),
            Service.CONFLUENCE_DATACENTER: confluence.datacenter(),
            Service.SLACK: slack(),
            Service.TRELLO: trello(),
            **robots(),
            Service.MAIL: (letters.routes, letters.DIALECT),
        }
        services: dict[Service, WSGIApplication] = {
            service: Site(service, routes, dialect, database=database, seed=seed, rulebook=rulebook, clock=clock)
            for service, (routes, dialect) in parts.items()
        }
        self._services = FaultyServices(services, faults)
        self._known = frozenset(services)
        self._admin = admin.Admin(rulebook, faults)
        self._front = Site(
            Service.JIRA_CLOUD, Routes(), jira.cloud()[1], database=database, seed=seed, rulebook=rulebook, clock=clock
        )
        with database.transaction() as db:
            for service in (Service.CONFLUENCE_CLOUD, Service.CONFLUENCE_DATACENTER):
                page_rows.make_home_pages(db, service, seed, clock())
            board_rows.make_board(db, seed, clock())

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        _, first, rest = (*environ["PATH_INFO"].split("/", 2), "", "")[:3]
        if first in self._known:
            environ["SCRIPT_NAME"], environ["PATH_INFO"] = f"/{first}", f"/{rest}"
            return self._services(Service(first), environ, start_response)
        request = Request(environ)
        return self._own(request, first, rest)(environ, start_response)

    def _own(self, request: Request, first: str, rest: str) -> Response:
        """Answer what belongs to no service: the first page, the style sheet, the calls of tests."""
        if (first, rest) == ("_sandbox", "style.css"):
            return Response(html_pages.style_sheet(), content_type="text/css; charset=utf-8")
        if first == "_sandbox":
            return self._admin(request)
        if first:
            return html_pages.not_there("that")
        return self._front.show(request, overview.front_page)
