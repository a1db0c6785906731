"""The connection to a Jira: REST v2 through the `jira` package's session."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial
from typing import Any, TypeVar
from urllib.parse import quote

import requests
from jira import JIRA

from bot.ports import Right
from bot.services.evidence import held_in, object_in, prove, rows_in, text_in
from bot.services.http import Wire, limit_time_and_size
from bot.services.jira.answers import counted, labelled, name_of, next_token, project_in, state_of
from bot.services.jira.config import JiraSection
from bot.services.paging import each_page
from bot.services.refusals import Service

T = TypeVar("T")

PERMISSIONS = {
    Right.CREATE: "CREATE_ISSUES",
    Right.COMMENT: "ADD_COMMENTS",
    Right.MOVE: "TRANSITION_ISSUES",
    Right.LINK: "LINK_ISSUES",
    Right.ATTACH: "CREATE_ATTACHMENTS",
    Right.EDIT: "EDIT_ISSUES",
}
_ADVICE = {
    401: "Check the token (and email, on Cloud) of the tracker.",
    403: "Check that the account of the token may do this in the project.",
    404: "Check url and project, and that the account of the token may see them: Jira hides what it does not permit.",
}


class JiraConnection:
    """The connection to a Jira, which the tracker and the doctor use."""

    def __init__(self, config: JiraSection) -> None:
        self._config = config
        self.wire = Wire(
            Service("Jira", config.base, config.timeout.total_seconds(), advice=_ADVICE, secrets=(config.token,))
        )
        self._client: JIRA | None = None
        self._lock = threading.Lock()

    def get(self, doing: str, path: str, parse: Callable[[Any], T], **params: Any) -> T:
        """Read what stands at a path below `rest/api/2`."""
        return self.wire.ask(doing, partial(self.request, "GET", path, params=params), parse)

    def who(self) -> str:
        """Ask who we are."""
        return self.get("show who we are", "myself", name_of)

    def project(self) -> Mapping[str, Any]:
        """Show the project, where our account may see it."""
        key = self._config.project
        return self.get(f"show the project {key}", f"project/{quoted_path(key)}", project_in)

    def permissions(self, keys: Iterable[str]) -> dict[str, bool]:
        """Tell which of these permissions our account has in the project."""
        return self.get(
            "list our permissions",
            "mypermissions",
            lambda answer: {
                key: held_in(each, "havePermission") is True for key, each in object_in(answer, "permissions").items()
            },
            projectKey=self._config.project,
            permissions=",".join(keys),
        )

    def search(self, doing: str, jql: str, parse: Callable[[Any], T], *, size: int, fields: str) -> T:
        path = "search/jql" if self._config.deployment == "cloud" else "search"
        return self.get(doing, path, parse, jql=jql, maxResults=size, fields=fields)

    def show(self, key: str, fields: str, parse: Callable[[Any], T], **params: str) -> T:
        """Show a ticket; one that was moved to another project comes under its new key."""

        def parse_own(issue: Any) -> T:
            shown = text_in(issue, "key")
            is_moved = shown.rpartition("-")[0] != key.rpartition("-")[0]
            prove(shown == key or is_moved, f"shows {shown}")
            return parse(issue)

        return self.get(f"show {key}", f"issue/{quoted_path(key)}", parse_own, fields=fields, **params)

    def labelled(self, doing: str, jql: str, label: str, *, size: int, fields: str) -> Iterator[Mapping[str, Any]]:
        """Yield all tickets that a search for *label* finds, from page to page."""
        params = {"jql": jql, "maxResults": size, "fields": fields}

        def fetch_on_cloud(token: str) -> tuple[list[Mapping[str, Any]], str | None]:
            more = {"nextPageToken": token} if token else {}
            return self.get(
                doing, "search/jql", lambda answer: (labelled(answer, label), next_token(answer)), **params, **more
            )

        def fetch_in_datacenter(start: int) -> tuple[list[Mapping[str, Any]], int | None]:
            return self.get(
                doing,
                "search",
                lambda answer: (labelled(answer, label), counted("issues", start, answer)[1]),
                **params,
                startAt=start,
            )

        if self._config.deployment == "cloud":
            return each_page("Jira", fetch_on_cloud, "")
        return each_page("Jira", fetch_in_datacenter, 0)

    def browse(self, key: str) -> str:
        """Return the address at which people see a ticket."""
        return f"{self._config.base}/browse/{quoted_path(key)}"

    def transitions(self, key: str) -> list[Mapping[str, Any]]:
        """List the transitions open to the ticket, each with the state that it leads to."""
        return self.get(
            f"list the transitions of {key}",
            f"issue/{quoted_path(key)}/transitions",
            lambda answer: [{**each, "state": state_of(each["to"])} for each in rows_in(answer, "transitions")],
            expand="transitions.fields",
        )

    def post(self, path: str, body: Mapping[str, Any]) -> requests.Response:
        return self.request("POST", path, data=json.dumps(body))

    def request(self, method: str, path: str, **arguments: Any) -> requests.Response:
        session, url = _session_of(self._connected()), f"{self._config.base}/rest/api/2/{path}"
        seconds = self._config.timeout.total_seconds()
        # Past the package's own handling of answers, which stumbles over what some of them hold.
        return requests.Session.request(session, method, url, timeout=seconds, verify=session.verify, **arguments)

    def _connected(self) -> JIRA:
        """Build the client at the first request, without a request of its own."""
        with self._lock:
            if self._client is None:
                self._client = _make_client(self._config)
            return self._client


def _make_client(config: JiraSection) -> JIRA:
    token = config.token.get_secret_value()
    client = JIRA(
        config.base,
        options={"verify": config.ca_file or True, "rest_api_version": "2"},
        basic_auth=(config.email, token) if config.email else None,
        token_auth=None if config.email else token,
        timeout=config.timeout.total_seconds(),
        get_server_info=False,  # config says which deployment it is
        max_retries=0,  # it would repeat a create after a dropped connection
        logging=False,
    )
    client.deploymentType = "Cloud" if config.deployment == "cloud" else "Server"
    session = _session_of(client)
    session.max_redirects = 0  # nothing of ours goes to a host that config does not name
    limit_time_and_size(session)
    return client


def _session_of(client: JIRA) -> requests.Session:
    """Return what the package sends through: it has no public way to it, and its public calls send more than asked."""
    return client._session  # noqa: SLF001


def quoted_jql(text: str) -> str:
    """Write a string of JQL."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def quoted_path(part: str) -> str:
    return quote(part, safe="")
