"""A message document -> a letter: a plain part, and HTML whose styles stand in its elements, as mail programs want."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from datetime import datetime
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime, parseaddr
from html import escape
from itertools import groupby

from bot.domain.message import MessageDocument, Paragraph, Part
from bot.domain.views import Tone
from bot.text.escape import JOINER
from bot.text.pieces import Piece, plain, read_pieces

_BULLET = "• "
_SUBJECT = 78  # characters, which a list of letters shows on one line
_CLAUSE = re.compile(r"[.;](?=\s)|[。；]")  # where the first thing that a headline says ends
_COMMA = re.compile(r",(?=\s)|[，、]")
_STYLES = """
body { margin: 0; padding: 24px; background: #f4f5f7; color: #172b4d;
  font: 15px/1.55 -apple-system, "Segoe UI", Arial, "PingFang SC", "Microsoft YaHei", "Noto Sans CJK SC", sans-serif }
.letter { max-width: 640px; margin: 0 auto; padding: 20px 24px; background: #ffffff; border: 1px solid #dfe1e6;
  border-left: 6px solid #6b778c; border-radius: 6px }
.bad { border-left-color: #d63a3a }
.watch { border-left-color: #e3a008 }
.good { border-left-color: #2f9e5b }
h1 { margin: 0 0 12px; font-size: 18px; line-height: 1.4; font-weight: 600 }
p, ul { margin: 10px 0 }
ul { padding-left: 20px }
li { margin: 2px 0 }
.small { color: #5e6c84; font-size: 13px }
hr { border: 0; border-top: 1px solid #dfe1e6; margin: 14px 0 }
a { color: #0052cc }
code { font: 13px ui-monospace, Menlo, Consolas, monospace; background: #f4f5f7; padding: 0 3px }
img { display: block; width: 100%; max-width: 590px; height: auto; margin: 14px 0 4px }
"""


def write_letter(sender: str, to: tuple[str, ...], mark: str, document: MessageDocument, now: datetime) -> EmailMessage:
    """Lay out a message as a letter.

    Its Message-ID follows from what caused it, so that the same letter sent twice is one to whoever reads it; letters
    of one *mark* refer to one thread.
    """
    letter, domain = EmailMessage(policy=SMTP), parseaddr(sender)[1].rpartition("@")[2]
    letter["Subject"] = subject_of(document)
    letter["From"], letter["To"], letter["Date"] = sender, ", ".join(to), format_datetime(now)
    letter["Message-ID"] = letter_id(document.cause or mark, domain)
    letter["In-Reply-To"] = letter["References"] = letter_id(f"thread {mark}", domain)
    letter["Auto-Submitted"] = "auto-generated"  # so that nobody's absence is answered to it (RFC 3834)
    letter.set_content("\n\n".join(_plain_parts(document)), cte="quoted-printable")
    letter.add_alternative(_html(document), subtype="html", cte="quoted-printable")
    _, html = letter.iter_parts()
    for picture in document.pictures:
        name = picture.filename
        html.add_related(picture.content, "image", "png", filename=name, cid=f"<{name}>", disposition="inline")
    return letter


def subject_of(document: MessageDocument) -> str:
    """Return the first thing that the headline says, which the letter says whole; of that no more than fits a line."""
    headline = " ".join(plain(document.headline).replace(JOINER, "").split())
    subject = _CLAUSE.split(headline, maxsplit=1)[0].removesuffix(".")
    if len(subject) <= _SUBJECT:
        return subject
    ends = [found.start() for found in _COMMA.finditer(subject[:_SUBJECT])]
    cut = subject[: ends[-1] if ends else _SUBJECT - 1]
    return f"{cut if ends else cut.rpartition(' ')[0] or cut}…"


def letter_id(text: str, domain: str) -> str:
    return f"<herald-{hashlib.sha256(text.encode()).hexdigest()[:32]}@{domain}>"


def _plain_parts(document: MessageDocument) -> Iterator[str]:
    yield _plainly(document.headline)
    for each in document.body:
        yield "--" if each.part is Part.DIVIDER else _plainly(each.text)
    for picture in document.pictures:
        yield f"[{picture.filename}] {picture.caption or picture.alt}"


def _plainly(text: str) -> str:
    """Write a paragraph for who reads no HTML: each address stands behind its words."""
    lines = (
        "".join(f"{each.text} <{each.address}>" if each.address else each.text for each in read_pieces(line))
        for line in text.split("\n")
    )
    return "\n".join(lines).replace(JOINER, "")


def _html(document: MessageDocument) -> str:
    from css_inline import CSSInliner

    tone = {Tone.BAD: "bad", Tone.WATCH: "watch", Tone.GOOD: "good", None: ""}[document.tone]
    alt = escape(plain(document.headline))
    pictures = "".join(
        f'<img src="cid:{escape(each.filename)}" alt="{escape(each.alt) or alt}">'
        + (f'<p class="small">{escape(each.caption)}</p>' if each.caption else "")
        for each in document.pictures
    )
    small = [each for each in document.body[-1:] if each.part is Part.CONTEXT]  # below the pictures
    body = "".join(map(_block, document.body[: len(document.body) - len(small)]))
    page = (
        f'<!doctype html><html lang="{document.language}"><head><meta charset="utf-8"><title>{alt}</title>'
        f'<style>{_STYLES}</style></head><body><div class="letter {tone}"><h1>{_line(document.headline)}</h1>'
        f"{body}{pictures}{''.join(map(_block, small))}</div></body></html>"
    )
    return CSSInliner(load_remote_stylesheets=False).inline(page)


def _block(paragraph: Paragraph) -> str:
    match paragraph.part:
        case Part.DIVIDER:
            return "<hr>"
        case Part.CONTEXT:
            return f'<p class="small">{"<br>".join(map(_line, paragraph.text.split(chr(10))))}</p>'
        case Part.SECTION:
            return "".join(_stretches(paragraph.text.split("\n")))


def _stretches(lines: list[str]) -> Iterator[str]:
    for is_list, some in groupby(lines, key=lambda line: line.startswith(_BULLET)):
        if is_list:
            yield f"<ul>{''.join(f'<li>{_line(each.removeprefix(_BULLET))}</li>' for each in some)}</ul>"
        else:
            yield f"<p>{'<br>'.join(map(_line, some))}</p>"


def _line(line: str) -> str:
    return "".join(map(_piece, read_pieces(line)))


def _piece(piece: Piece) -> str:
    shown = escape(piece.text)
    if piece.address:
        return f'<a href="{escape(piece.address)}">{shown}</a>'
    shown = f"<code>{shown}</code>" if piece.is_code else shown
    return f"<strong>{shown}</strong>" if piece.is_strong else shown
