"""The letters as whoever they went to sees them: a list, and each as its HTML and as its plain part."""

from __future__ import annotations

import email
import email.policy
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sqlalchemy import select
from werkzeug.wrappers import Response

from bot.sandbox.mail.tables import letter
from bot.sandbox.web.call import Call, json_answer, row_id
from bot.sandbox.web.html_pages import Moment, face_of, moment, not_there, page
from bot.sandbox.web.site import Dialect, Routes

if TYPE_CHECKING:
    from email.message import EmailMessage

    from bot.sandbox.web.html_pages import Face

routes = Routes()
DIALECT = Dialect(
    lambda _request, seed: seed.bot, lambda *_: not_there("that"), lambda: json_answer({"error": "no"}, 401)
)
_LETTER_POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src 'self'; frame-ancestors 'self'"


@dataclass(frozen=True, slots=True)
class ShownLetter:
    number: int
    subject: str
    author: Face
    to: str
    at: Moment
    plain: str
    pictures: tuple[str, ...]  # by name


@routes.on("GET", "/", is_open=True)
def inbox(call: Call) -> Response:
    rows = call.db.execute(select(letter).order_by(letter.c.id.desc()))
    return page("letters.html.j2", letters=[_shown(row) for row in rows])


@routes.on("GET", "/letters/<number>", is_open=True)
def as_html(call: Call, number: str) -> Response:
    """Show a letter as a mail program does: its own styles, its pictures, nothing from elsewhere."""
    found = _letter(call, number)
    body = found.get_body(("html",)) if found else None
    if body is None:
        return not_there("that letter")
    text = str(body.get_content()).replace('src="cid:', f'src="{call.base}/letters/{number}/')
    answer = Response(text, content_type="text/html; charset=utf-8")
    answer.headers["Content-Security-Policy"] = _LETTER_POLICY
    return answer


@routes.on("GET", "/letters/<number>/<name>", is_open=True)
def picture(call: Call, number: str, name: str) -> Response:
    found = _letter(call, number)
    for part in found.walk() if found else ():
        if part.get_content_type() == "image/png" and part.get_filename() == name:
            return Response(part.get_payload(decode=True), content_type="image/png")
    return not_there("that picture")


def letters_of(call: Call) -> list[Any]:
    return list(call.db.execute(select(letter.c.id)))


def _letter(call: Call, number: str) -> EmailMessage | None:
    row = call.db.execute(select(letter).where(letter.c.id == (row_id(number) or 0))).first()
    return _read(row) if row else None


def _read(row: Any) -> EmailMessage:
    return email.message_from_bytes(row.content, policy=email.policy.default)


def _shown(row: Any) -> ShownLetter:
    found = _read(row)
    body = found.get_body(("plain",))
    pictures = tuple(p.get_filename() or "" for p in found.walk() if p.get_content_type() == "image/png")
    said = str(found.get("From", ""))
    return ShownLetter(
        row.id,
        str(found.get("Subject", "")),
        face_of(said.partition(" <")[0] or said),
        ", ".join(row.receivers),
        moment(row.at),
        str(body.get_content()) if body else "",
        pictures,
    )
