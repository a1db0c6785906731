"""What Confluence's answers show: pages and where a list of them goes on, and that a write was carried out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, urlencode, urlsplit

from bot.errors import GoneError
from bot.ports import Attachment, Page
from bot.services.evidence import held_in, id_in, number_in, object_in, prove, rows_in, text_in

if TYPE_CHECKING:
    from bot.services.confluence.connection import ConfluenceConnection


LIST_PAGE = 100
ARCHIVED = "archived"
HIDDEN = {ARCHIVED: "archive", "trashed": "trash"}  # where pages lie that nobody sees, by status
_NOT_FOUND = 404


@dataclass(frozen=True, slots=True)
class Stored:
    """A page as the service holds it."""

    page_id: str
    title: str
    storage: str
    version: int  # that a write must follow


def pages_in(link: ConfluenceConnection, answer: Any) -> list[Page]:
    return [link.page(each, answer.get("_links")) for each in rows_in(answer, "results")]


def pages_labelled(link: ConfluenceConnection, label: str, answer: Any) -> list[Page]:
    """Read the pages that a search for a label shows, each with its labels."""
    for each in rows_in(answer, "results"):
        labels = rows_in(object_in(object_in(each, "metadata"), "labels"), "results")
        is_ours = label.casefold() in {text_in(one, "name").casefold() for one in labels}
        prove(is_ours, f"shows a page without the label {label}")
    return pages_in(link, answer)


def page_of_title(link: ConfluenceConnection, title: str, answer: Any) -> Page | None:
    """Find the page of that very title among those that a search for it shows."""
    pages = pages_in(link, answer)
    strangers = [page.title for page in pages if not same_title(page.title, title)]
    prove(not strangers, f"shows pages of other titles ({', '.join(strangers)})")
    return next((page for page in pages if page.title == title), None)


def hidden_status(link: ConfluenceConnection, title: str, answer: Any) -> str | None:
    """Read where a page of that title is kept that nobody sees."""
    if page_of_title(link, title, answer) is None:
        return None
    statuses = [each.get("status") for each in rows_in(answer, "results")]
    return next((HIDDEN[status] for status in statuses if status in HIDDEN), None)


def confirm_shown(answer: Any, but: frozenset[str] = frozenset()) -> None:
    """Raise GoneError for a page that people deleted or archived, which Cloud shows all the same."""
    status = answer.get("status")
    if status in HIDDEN and status not in but:
        title = text_in(answer, "title")
        raise GoneError(f"Confluence has the page {title!r} in its {HIDDEN[status]}.", status=_NOT_FOUND)


def next_place(answer: Any, *, counts: bool) -> str | None:
    """Read where a list goes on: at a cursor on Cloud, at a number in Data Center, which *counts* what it shows."""
    address = (answer.get("_links") or {}).get("next")
    if not address:
        shown = len(answer["results"])
        is_full = counts and shown >= answer.get("limit", LIST_PAGE)
        return urlencode({"start": answer.get("start", 0) + shown}) if is_full else None
    arguments = dict(parse_qsl(urlsplit(address).query))
    place = {name: arguments[name] for name in ("cursor", "start") if name in arguments}
    prove(bool(place), "does not say where the list goes on")
    return urlencode(place)


def stored(page_id: str, answer: Any) -> Stored:
    prove(id_in(answer) == page_id, "shows another page")
    confirm_shown(answer)
    storage = held_in(object_in(object_in(answer, "body"), "storage"), "value")
    prove(isinstance(storage, str), "has no text as body")
    return Stored(page_id, text_in(answer, "title"), storage, number_in(object_in(answer, "version"), "number"))


def check_written(page: Stored, answer: Any) -> None:
    prove(id_in(answer) == page.page_id, "shows another page")
    number = number_in(object_in(answer, "version"), "number")
    prove(number == page.version + 1, f"shows version {number} where {page.version + 1} is due")


def check_labels(labels: Sequence[str], answer: Any) -> None:
    there = {text_in(each, "name").casefold() for each in rows_in(answer, "results")}  # it writes them small
    missing = [label for label in labels if label.casefold() not in there]
    prove(not missing, f"lacks the labels {', '.join(missing)}")


def check_file(attachment: Attachment, answer: Any) -> None:
    """Let the answer show the file; that of a new version shows it alone, not in a list."""
    prove(isinstance(answer, Mapping), "is no object")
    shown = rows_in(answer, "results") if "results" in answer else [answer]
    same_name = [each for each in shown if each.get("title") == attachment.filename and id_in(each)]
    prove(bool(same_name), f"shows no file {attachment.filename}")
    size = len(attachment.content)
    sizes = [object_in(each, "extensions").get("fileSize") for each in same_name if "extensions" in each]
    prove(size in sizes or not sizes, f"shows a file of another size than {size}")


def same_title(one: str, other: str) -> bool:
    """Compare as Confluence does, to which neither letters' size nor the width of a gap makes another title."""
    return one.casefold().split() == other.casefold().split()
