"""Pages for people: the templates, the policy that comes with each, and small words they share."""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from werkzeug.wrappers import Response

if TYPE_CHECKING:
    from markupsafe import Markup

    from bot.sandbox.seed import Account

FOLDER = Path(__file__).parent.parent / "pages"
POLICY = "; ".join(
    (
        "default-src 'none'",
        "style-src 'self'",
        "img-src 'self'",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
    )
)
TINTS = 8  # colours of the round initials, classes in the style sheet; the first is for nobody


@dataclass(frozen=True, slots=True)
class Face:
    """A person as pages show them: a name, and initials on a colour of their own."""

    name: str
    initials: str
    tint: int


NOBODY = Face("Unassigned", "–", 0)


def face_of(name: str) -> Face:
    words = name.split()
    initials = "".join(word[0] for word in (*words[:1], *words[1:][-1:])).upper() or "?"
    return Face(name, initials, 1 + zlib.crc32(name.encode()) % (TINTS - 1))


def face(account: Account | None) -> Face:
    return face_of(account.display_name) if account else NOBODY


@dataclass(frozen=True, slots=True)
class Moment:
    """A time in the words of a page, and exactly."""

    words: str
    exact: str


def moment(at: float) -> Moment:
    then = datetime.fromtimestamp(at, UTC)
    return Moment(f"{then.day} {then:%B %Y, %H:%M}", then.isoformat(timespec="seconds"))


@dataclass(frozen=True, slots=True)
class ShownFile:
    """An attached file, as pages list it."""

    name: str
    url: str
    size: str
    is_picture: bool


@dataclass(frozen=True, slots=True)
class ShownComment:
    author: Face
    at: Moment
    is_edited: bool
    body: Markup


def clock_time(at: float) -> Moment:
    then = datetime.fromtimestamp(at, UTC)
    return Moment(f"{then:%H:%M}", then.isoformat(timespec="seconds"))


def day_words(at: float) -> str:
    then = datetime.fromtimestamp(at, UTC)
    return f"{then:%A}, {then.day} {then:%B %Y}"


def size_words(size: int) -> str:
    if size < 1000:  # noqa: PLR2004
        return f"{size} bytes"
    return f"{size / 1000:.1f} kB" if size < 1_000_000 else f"{size / 1_000_000:.1f} MB"  # noqa: PLR2004


@cache
def _environment() -> Environment:
    return Environment(
        loader=FileSystemLoader(FOLDER),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def page(template: str, status: int = 200, **values: Any) -> Response:
    """Render a page; its policy allows our style sheet and our pictures, and no script at all."""
    text = _environment().get_template(template).render(**values)
    answer = Response(text, status=status, content_type="text/html; charset=utf-8")
    answer.headers["Content-Security-Policy"] = POLICY
    answer.headers["X-Content-Type-Options"] = "nosniff"
    answer.headers["Referrer-Policy"] = "no-referrer"
    return answer


def not_there(what: str) -> Response:
    return page("missing.html.j2", 404, what=what)


@cache
def style_sheet() -> bytes:
    return (FOLDER / "style.css").read_bytes()
