"""The kinds of text there are: the output language and template of each, and how long it may be."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import PurePosixPath

from bot.domain.capabilities import TextForm

TICKET_TITLE_CHARS = 254  # Jira: `Summary must be less than 255 characters`
Rooms = tuple[tuple[int, int], ...]


@dataclass(frozen=True, slots=True)
class Form:
    """One kind of text: the language and template that make it, and how long it may be.

    *rooms* are the sizes tried one after the other, `(characters of a value, rows of a table)`, until the text fits.
    """

    dialect: str
    template: str
    limit: int  # in UTF-16 units, as the services count; of HTML in bytes
    rooms: Rooms = ((1000, 100), (200, 40), (60, 15))
    is_message: bool = False
    paragraph_limit: int | None = None  # in those units

    @property
    def lines(self) -> str:
        """Name what several templates of a folder may share."""
        return str(PurePosixPath(self.template).with_name("lines.j2"))


# Confluence takes 5 MB; what trackers and chats take, each of them says itself.
TITLE = Form("plain", "ticket_title.txt.j2", TICKET_TITLE_CHARS, ((120, 1), (60, 1), (40, 1)))
UMBRELLA_TITLE = Form("plain", "umbrella_title.txt.j2", TICKET_TITLE_CHARS, ((120, 1), (60, 1), (40, 1)))
PAGE_ROOMS = ((4000, 1000), (1000, 100), (200, 40), (60, 15))
RUN_PAGE = Form("storage", "confluence/run.storage.j2", 2_000_000, PAGE_ROOMS)
ARCHIVE_PAGE = Form("storage", "confluence/archive.storage.j2", 2_000_000)
PIPELINE_SECTION = Form("storage", "confluence/pipeline.storage.j2", 2_000_000)
LEDGER = Form("storage", "confluence/ledger.storage.j2", 2_000_000)
ANSWER_TEXT = Form("plain", "trello/answer.md.j2", 100_000)
MESSAGE_ROOMS = ((200, 8), (80, 4), (40, 2))
DIGEST_ROOMS = ((200, 20), (80, 20), (40, 20))
DIGEST_PAGE = Form("storage", "digest/page.storage.j2", 2_000_000)
DIGEST_TEXT = Form("plain", "digest/digest.txt.j2", 100_000)
SERIES = Form("plain", "judge/series.txt.j2", 10_000)
STRETCHES = Form("plain", "judge/stretches.txt.j2", 10_000)
PAIRS = Form("plain", "judge/pairs.txt.j2", 10_000)
PICTURE = Form("plain", "chat/picture.txt.j2", 2_000)
VERDICT = Form("plain", "judge/verdict.txt.j2", 10_000)
REPLAY_ROOMS = ((400, 2000), (200, 60), (120, 25), (60, 8))
REPLAY_LINES = Form("plain", "replay/lines.txt.j2", 10_000)
REPLAY_PAGE = Form("html", "replay/page.html.j2", 950_000, REPLAY_ROOMS)
WEB_ROOMS = ((4000, 1000), (1000, 150), (400, 60), (200, 25), (100, 10))
WEB_LIMIT = 150_000
WHOLE_ROOMS = ((200_000, 10_000), (10_000, 1_000), (200, 1_000))
WHOLE_TICKET = Form("markdown", "trello/ticket.md.j2", 2_000_000, WHOLE_ROOMS)
WHOLE_COMMENT = Form("markdown", "trello/comment.md.j2", 2_000_000, WHOLE_ROOMS)


def of_page(kind: str) -> Form:
    """Return the form of a page in a browser."""
    return Form("html", f"web/{kind}.html.j2", WEB_LIMIT, WEB_ROOMS)


def of_ticket(kind: str, reader: TextForm) -> Form:
    return Form(reader.dialect, f"{reader.folder}/{kind}.{_suffix(reader)}.j2", reader.limit)


def of_message(kind: str, reader: TextForm, folder: str | None = None, rooms: Rooms = MESSAGE_ROOMS) -> Form:
    template = f"{folder or reader.folder}/{kind}.{_suffix(reader)}.j2"
    return Form(reader.dialect, template, reader.limit, rooms, is_message=True, paragraph_limit=reader.paragraph_limit)


def _suffix(reader: TextForm) -> str:
    from bot.render import dialects

    return dialects.named(reader.dialect).suffix
