"""One request as a handler sees it, and what a handler answers with."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from werkzeug.wrappers import Request, Response

if TYPE_CHECKING:
    from collections.abc import Callable

    from sqlalchemy import Connection

    from bot.sandbox.rules import Rulebook, Service
    from bot.sandbox.seed import Account, SandboxSeed
MAX_ROW_ID = 2**63 - 1
_NOT_TEXT = re.compile("[\ud800-\udfff]")


class Refusal(Exception):  # noqa: N818 - an answer, not a failure of ours
    """Ends a request with this answer and undoes what it wrote."""

    def __init__(self, response: Response) -> None:
        super().__init__(response.status)
        self.response = response


@dataclass(frozen=True, slots=True)
class Call:
    """A request with all that a handler may need."""

    request: Request
    db: Connection
    service: Service
    account: Account | None
    base: str  # the service's own address, without a slash at the end
    now: float  # seconds since the epoch
    seed: SandboxSeed
    rulebook: Rulebook
    refuse: Callable[[int, str], Refusal]

    @property
    def caller(self) -> Account:
        assert self.account is not None  # only pages are open to strangers
        return self.account

    def json_body(self) -> Any:
        """Parse the body; refuse what is not JSON, or holds text that no service could store."""
        try:
            value = json.loads(self.request.get_data(), parse_constant=_refuse_constant)
        except (ValueError, RecursionError) as error:
            raise self.refuse(400, f"The request body is not valid JSON: {error}") from error
        if not is_storable(value):
            raise self.refuse(400, "The request body holds text that is not valid Unicode.")
        return value

    def json_object(self) -> dict[str, Any]:
        value = self.json_body()
        if not isinstance(value, dict):
            raise self.refuse(400, "The request body must be a JSON object.")
        return value

    def number(self, name: str, default: int, *, low: int = 0, high: int = 2**31 - 1) -> int:
        """Read a query parameter; refuse what is no whole number, bring the rest into bounds."""
        text = self.request.args.get(name, "")
        if not text:
            return default
        if not re.fullmatch(r"[+-]?[0-9]{1,18}", text):
            raise self.refuse(400, f"The parameter {name} must be a whole number, not '{text[:40]}'.")
        return max(low, min(high, int(text)))

    def flag(self, name: str, *, default: bool = False) -> bool:
        text = self.request.args.get(name, "")
        if text.lower() not in ("", "true", "false"):
            raise self.refuse(400, f"The parameter {name} must be true or false, not '{text[:40]}'.")
        return text.lower() == "true" if text else default

    def words(self, name: str) -> tuple[str, ...]:
        """Read a parameter that may be repeated and may hold several words with commas between them."""
        return tuple(
            word.strip() for text in self.request.args.getlist(name) for word in text.split(",") if word.strip()
        )


def _refuse_constant(name: str) -> Any:
    raise ValueError(f"{name} is not JSON")


def is_storable(value: Any) -> bool:
    """Say whether all text in *value* is Unicode and no number is too long for a database."""
    match value:
        case str():
            return not _NOT_TEXT.search(value)
        case dict():
            return all(is_storable(key) and is_storable(one) for key, one in value.items())
        case list():
            return all(is_storable(one) for one in value)
        case _:
            return True


def row_id(text: str) -> int | None:
    """Read an id from a path; None where no row could have it."""
    if not re.fullmatch(r"[0-9]{1,19}", text) or int(text) > MAX_ROW_ID:
        return None
    return int(text)


def json_answer(value: Any, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    body = json.dumps(value, ensure_ascii=False).encode()
    return Response(body, status=status, headers=headers, content_type="application/json;charset=UTF-8")


def iso_time(at: float) -> str:
    """Write a time as 2026-11-24T10:15:00.000Z."""
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
