"""The addresses: pages for people, health and metrics for machines; all of them only read."""

from __future__ import annotations

import time
from asyncio import Semaphore
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from http import HTTPStatus
from urllib.parse import parse_qs

from anyio import CapacityLimiter, to_thread
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, PlainTextResponse, RedirectResponse, Response
from starlette.routing import BaseRoute, Route
from starlette.types import ASGIApp, Receive, Scope, Send

from bot.domain.page_paths import comparison_path, named
from bot.errors import HeraldError, StateError, TemplateError
from bot.reports.reader import Readable
from bot.runtime.deadline import ending_at
from bot.runtime.log import describe, get_logger
from bot.text.locales import Locale
from bot.web import ways
from bot.web.access import COOKIE as PASS
from bot.web.access import ReaderGate
from bot.web.entering import ours, wanted_by
from bot.web.languages import ASKED, COOKIE, locale_of
from bot.web.metrics import CONTENT_TYPE, exposition
from bot.web.patience import Patience
from bot.web.reading import asked_again, read
from bot.web.site import Curves, Site, no_curves
from bot.web.ways import Ways

_HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self' data:; form-action 'self'; "
        "base-uri 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Cache-Control": "no-store",
}
_FOR_EVER = "public, max-age=31536000, immutable"
_TYPES = {"style.css": "text/css", "script.js": "text/javascript"}
_OPEN = ("/healthz", "/readyz", "/assets/")  # what says nothing of anybody's work
_MOST_BYTES = 4_096  # of a form
_LONGEST_ID = 100  # characters of a run's id
_MACHINES_AT_ONCE = 16  # of those that ask for readiness or figures, whatever the readers of pages wait for
_PAGES_AT_ONCE = 60  # being made or waited for: who comes then is told to come again
_DAYS_KEPT = 30 * 24 * 3600  # seconds

log = get_logger(__name__)

Ailing = Callable[[], Sequence[str]]  # what is wrong with the process itself, or keeps it from its work


Leads = Callable[[], bool]  # whether the process leads those that share its state


def nothing_ails() -> Sequence[str]:
    return ()


def leads_not() -> bool:
    return False


@dataclass(frozen=True, slots=True)
class Addresses:
    """Answers requests."""

    site: Site
    gate: ReaderGate
    ailing: Ailing = nothing_ails
    lacking: Ailing = nothing_ails
    leads: Leads = leads_not
    patience: Patience = field(default_factory=Patience)
    _for_machines: CapacityLimiter = field(default_factory=partial(CapacityLimiter, _MACHINES_AT_ONCE))

    @property
    def herald(self) -> Readable:
        return self.site.herald

    @property
    def own_part(self) -> str:
        """The path of the host that is ours: what a browser keeps for us is no matter of its neighbours'."""
        return self.herald.config.web.prefix or "/"

    def routes(self) -> list[BaseRoute]:
        return [
            Route("/healthz", self.healthz),
            Route("/readyz", self.readyz),
            Route("/metrics", self.metrics),
            Route("/enter", self.enter, methods=["POST"]),
            Route("/assets/{name}", self.asset),
            Route("/compare/{pipeline}", self.ask_for_two),
            Route("/{path:path}", self.page),
        ]

    async def healthz(self, _request: Request) -> Response:
        """Say whether the process goes on with its work: whoever watches may start it anew where it does not.

        No thread is needed for it: where all of them wait for a state that hangs, Herald is well all the same.
        """
        ails = self.ailing()
        return PlainTextResponse("\n".join(ails) or "ok", 503 if ails else 200)

    async def readyz(self, _request: Request) -> Response:
        return await to_thread.run_sync(self._readiness, limiter=self._for_machines)

    def _readiness(self) -> Response:
        """Say whether the state answers and fits this version, and due times are kept; if not, why."""
        try:
            unfit = self.patience.ask(lambda: asked_again(self.herald.database.why_unfit))
        except HeraldError as error:  # its words say where the state is, and everybody may ask
            log.warning("not ready", error=str(error))
            unfit = "the state cannot be read; the log says why"
        lacks = [*self.lacking(), *([unfit] if unfit else [])]
        return PlainTextResponse("\n".join(lacks) or "ok", 503 if lacks else 200)

    async def metrics(self, _request: Request) -> Response:
        return await to_thread.run_sync(self._figures, limiter=self._for_machines)

    def _figures(self) -> Response:
        """Show the figures; while the state is away, those of the process itself, and that it is."""
        try:
            text = self.patience.ask(
                lambda: read(self.herald, lambda tx: exposition(self.herald, tx, leads=self.leads()))
            )
        except StateError as error:
            log.warning("the state has no figures", error=str(error))
            text = exposition(self.herald, None, leads=self.leads())
        return Response(text, media_type=CONTENT_TYPE)

    def asset(self, request: Request) -> Response:
        name = request.path_params["name"]
        for known, kind in _TYPES.items():
            if ways.asset_path(known) == f"assets/{name}":
                return Response(ways.asset(known), media_type=kind, headers={"Cache-Control": _FOR_EVER})
        raise HTTPException(404)

    def page(self, request: Request) -> Response:
        text = self.site.page(_path(request), self.locale(request), request.query_params)
        if text is None:
            raise HTTPException(404)
        answer = HTMLResponse(text)
        if request.query_params.get(ASKED):
            answer.set_cookie(COOKIE, self.locale(request), max_age=_DAYS_KEPT, path=self.own_part, samesite="lax")
        return answer

    def ask_for_two(self, request: Request) -> Response:
        """Lead on from the form that asks for two runs."""
        slug = request.path_params["pipeline"]
        if (name := named(slug, self.herald.config.pipeline)) is None:
            raise HTTPException(404)
        before, after = (request.query_params.get(each, "")[:_LONGEST_ID] for each in ("before", "after"))
        return RedirectResponse(Ways(_path(request)).to(comparison_path(name, before, after)), 303)

    async def enter(self, request: Request) -> Response:
        """Take the token that a reader names, and let the browser keep what it is turned into."""
        body = b""
        async for piece in request.stream():
            body += piece
            if len(body) > _MOST_BYTES:
                raise HTTPException(413)
        form = parse_qs(body.decode("utf-8", "replace"))
        given, wanted = form.get("token", [""])[0], ours(form.get("wanted", [""])[0])
        if not self.gate.asks or not self.gate.knows(given):
            return await run_in_threadpool(self.shut_out, request, wanted, "wrong")
        answer = RedirectResponse(f"./{wanted}", 303)
        answer.set_cookie(
            PASS,
            self.gate.pass_word,
            max_age=_DAYS_KEPT,
            path=self.own_part,
            secure=_is_secure(request),
            httponly=True,
            samesite="lax",
        )
        return answer

    def shut_out(self, request: Request, wanted: str, said: str = "") -> Response:
        """Ask for the token, and keep for later which page was wanted."""
        said = said or ("token" if self.gate.asks else "closed")
        action = Ways(_path(request)).to("enter") if self.gate.asks else ""
        text = self.site.simple(_path(request), self.locale(request), said, action=action, wanted=wanted)
        return HTMLResponse(text, 401)

    def locale(self, request: Request) -> Locale:
        chosen = request.query_params.get(ASKED, "") or request.cookies.get(COOKIE, "")
        return locale_of(chosen, request.headers.get("accept-language", ""), self.herald.config.locale)

    async def refuse(self, request: Request, error: Exception) -> Response:
        """Say that there is no such page, or that a page is only read."""
        code, headers = (error.status_code, error.headers) if isinstance(error, HTTPException) else (404, None)
        said = "only_read" if code == HTTPStatus.METHOD_NOT_ALLOWED else "missing"
        text = await run_in_threadpool(self.site.simple, _path(request), self.locale(request), said)
        return HTMLResponse(text, code, headers)

    async def fail(self, request: Request, error: Exception) -> Response:
        """Say that the state, or a template, cannot be read; why is for the log, and for whoever runs Herald."""
        match error:
            case TemplateError():  # its words name the file and line
                said, code = "template", 500
            case HeraldError():
                said, code = "away", 503
            case _:
                said, code = "broken", 500
        log.warning("page not shown", path=_path(request), error=describe(error))
        text = await run_in_threadpool(self.site.simple, _path(request), self.locale(request), said)
        return HTMLResponse(text, code)


def make_app(
    herald: Readable,
    ailing: Ailing = nothing_ails,
    curves: Curves = no_curves,
    lacking: Ailing = nothing_ails,
    leads: Leads = leads_not,
) -> Guarded:
    """Return what answers requests; raises ConfigError where config asks for a token and none is set."""
    section = herald.config.web
    addresses = Addresses(Site(herald, curves=curves), ReaderGate(section), ailing, lacking, leads)
    app = Starlette(
        routes=addresses.routes(),
        exception_handlers={HTTPException: addresses.refuse, HeraldError: addresses.fail, Exception: addresses.fail},
    )
    return Guarded(app, addresses, section.prefix)


@dataclass(frozen=True, slots=True)
class Guarded:
    """Takes the path of a proxy away, lets readers in, and sends with every answer what it may do in a browser."""

    app: ASGIApp
    addresses: Addresses
    prefix: str
    _pages: Semaphore = field(default_factory=partial(Semaphore, _PAGES_AT_ONCE))

    def prepare(self) -> None:
        self.addresses.site.prepare()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        path = scope["path"]
        if self.prefix and path == self.prefix:
            await RedirectResponse(f"{self.prefix}/")(scope, receive, send)
            return
        if self.prefix and path.startswith(f"{self.prefix}/"):
            path = path.removeprefix(self.prefix)
            scope = {**scope, "path": path, "raw_path": path.encode()}
        request = Request(scope, receive)
        is_open = path == "/enter" or path.startswith(_OPEN)
        sent = _with_headers(send)
        if is_open or path == "/metrics":
            await self._answer(request, sent, is_open=is_open)
        elif self._pages.locked():
            await PlainTextResponse("too many readers at once", 503, {"Retry-After": "5"})(scope, receive, sent)
        else:
            async with self._pages:
                await self._answer(request, sent, is_open=False)

    async def _answer(self, request: Request, send: Send, *, is_open: bool) -> None:
        answer: ASGIApp = self.app
        if not is_open and not self.addresses.gate.lets_in(request):
            answer = await run_in_threadpool(self.addresses.shut_out, request, wanted_by(request))
        with ending_at(time.monotonic() + self.addresses.herald.config.web.timeout.total_seconds()):
            await answer(request.scope, request.receive, send)


def _with_headers(send: Send) -> Callable[..., Awaitable[None]]:
    async def sent(message: dict[str, object]) -> None:
        if message["type"] == "http.response.start":
            had = message.get("headers")
            headers = list(had) if isinstance(had, list) else []
            names = {name.lower() for name, _ in headers}
            added = [(k.lower().encode(), v.encode()) for k, v in _HEADERS.items() if k.lower().encode() not in names]
            message = {**message, "headers": [*headers, *added]}
        await send(message)

    return sent


def _path(request: Request) -> str:
    return str(request.scope["path"]).strip("/")


def _is_secure(request: Request) -> bool:
    return request.url.scheme == "https" or request.headers.get("x-forwarded-proto", "").lower() == "https"
