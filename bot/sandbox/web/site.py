"""A service as a web site: its table of addresses, how it asks who calls, and the application that answers."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

from werkzeug.exceptions import HTTPException, MethodNotAllowed
from werkzeug.routing import Map, Rule
from werkzeug.wrappers import Request, Response

from bot.sandbox.web.call import Call, Refusal

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from bot.sandbox.rules import Rulebook, Service
    from bot.sandbox.seed import Account, SandboxSeed
    from bot.sandbox.web.database import Database


MAX_REQUEST = 64 * 1024 * 1024  # bytes

Handler = Callable[..., Response]
WSGIApplication = Callable[[dict[str, Any], Any], Iterable[bytes]]


@dataclass(frozen=True, slots=True)
class Route:
    method: str
    path: str
    handler: Handler
    is_open: bool  # pages for people ask for no credentials


class Routes:
    """The table of a service's addresses, filled by a decorator."""

    def __init__(self, *parts: Routes) -> None:
        self.entries: list[Route] = [entry for part in parts for entry in part.entries]

    def under(self, old: str, new: str) -> Routes:
        """Return the addresses that begin with *old*, for their handlers to answer at *new* as well."""
        moved = Routes()
        moved.entries = [
            replace(one, path=new + one.path.removeprefix(old)) for one in self.entries if one.path.startswith(old)
        ]
        return moved

    def on(self, method: str, path: str, *, is_open: bool = False) -> Callable[[Handler], Handler]:
        def register(handler: Handler) -> Handler:
            self.entries.append(Route(method, path, handler, is_open))
            return handler

        return register

    @cached_property
    def map(self) -> Map:
        rules = [Rule(one.path, methods=[one.method], endpoint=number) for number, one in enumerate(self.entries)]
        return Map(rules, strict_slashes=False, merge_slashes=False)


@dataclass(frozen=True, slots=True)
class Dialect:
    """How one service asks who calls and words its refusals."""

    authenticate: Callable[[Request, SandboxSeed], Account | None]
    error: Callable[[int, str, str], Response]  # status, text, path asked for
    unauthorized: Callable[[], Response]


class Site:
    """A WSGI application for one service."""

    def __init__(
        self,
        service: Service,
        routes: Routes,
        dialect: Dialect,
        *,
        database: Database,
        seed: SandboxSeed,
        rulebook: Rulebook,
        clock: Callable[[], float],
    ) -> None:
        self._service = service
        self._routes = routes.entries
        self._map = routes.map
        self._dialect = dialect
        self._database = database
        self._seed = seed
        self._rulebook = rulebook
        self._clock = clock

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        request = Request(environ)
        request.max_content_length = MAX_REQUEST
        request.max_form_memory_size = MAX_REQUEST
        try:
            response = self._answer(request)
        except Refusal as refusal:
            response = refusal.response
        except HTTPException as error:
            response = self._dialect.error(error.code or 500, error.description or error.name, request.path)
            if isinstance(error, MethodNotAllowed):
                response.headers["Allow"] = ", ".join(sorted(error.valid_methods or ()))
        finally:
            request.close()  # uploads lie in temporary files
        return response(environ, start_response)

    def _answer(self, request: Request) -> Response:
        number, values = self._map.bind_to_environ(request.environ).match()
        route = self._routes[number]
        account = self._dialect.authenticate(request, self._seed)
        if account is None and not route.is_open:
            return self._dialect.unauthorized()
        with self._database.transaction() as db:
            answer: Response = route.handler(self._call(request, db, account), **values)
            return answer

    def show(self, request: Request, handler: Callable[[Call], Response]) -> Response:
        """Answer a person with a page that belongs to no address of the service's own."""
        with self._database.transaction() as db:
            return handler(self._call(request, db, None))

    def _call(self, request: Request, db: Connection, account: Account | None) -> Call:
        return Call(
            request=request,
            db=db,
            service=self._service,
            account=account,
            base=request.root_url.rstrip("/"),
            now=self._clock(),
            seed=self._seed,
            rulebook=self._rulebook,
            refuse=lambda status, text: Refusal(self._dialect.error(status, text, request.path)),
        )
