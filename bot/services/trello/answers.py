"""What Trello's answers show: cards, comments, files and links, and that a write was carried out."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urldefrag

from bot.ports import Attachment
from bot.services.evidence import held_in, id_in, object_in, prove, rows_in, text_in

_READER = "observer"
_MARK_LINE = re.compile(r"\n\n`([\w-]+)`\s*$")
REPEATS = "herald-repeats"  # behind the address of the card that another one repeats


@dataclass(frozen=True, slots=True)
class CardFile:
    """A file or link on a card."""

    attachment_id: str
    name: str
    url: str
    size: int | None  # in bytes; None where Trello does not say, as for a link


def looks_on_only(board: Mapping[str, Any]) -> bool:
    """Say whether our account is an observer of the board, as far as it tells."""
    held = board.get("memberships")
    return isinstance(held, list) and any(each.get("memberType") == _READER for each in held)


def whole(marker: str) -> re.Pattern[str]:
    """Find a marker that is not part of a longer one."""
    return re.compile(rf"(?<![\w-]){re.escape(marker)}(?![\w-])")


def of_family(family: str) -> re.Pattern[str]:
    """Find a whole marker that begins with *family*."""
    return re.compile(rf"(?<![\w-]){re.escape(family)}(?:-\w+)+(?![\w-])")


def member_name(member: Any) -> str:
    id_in(member)
    return str(member.get("fullName") or "somebody")


def board_in(answer: Any) -> Mapping[str, Any]:
    id_in(answer)
    text_in(answer, "name")
    return answer  # type: ignore[no-any-return]


def made_named(name: str, made: Any) -> str:
    """Read the id of what was just made under that name."""
    prove(text_in(made, "name") == name, "shows something of another name")
    return id_in(made)


def card_of(key: str, card: Any) -> Mapping[str, Any]:
    prove(key in {id_in(card), card.get("shortLink")}, "shows another card")
    return card  # type: ignore[no-any-return]


def cards_of(answer: Any) -> list[Mapping[str, Any]]:
    cards = rows_in(answer)
    prove(all(isinstance(held_in(card, "desc"), str) for card in cards), "shows cards without their description")
    return [{**card, "id": id_in(card)} for card in cards]


def check_comment(key: str, mark: str, made: Any) -> None:
    id_in(made)
    prove(text_in(made, "type") == "commentCard", "shows no comment")
    prove(_text_of(key, made).rstrip().endswith(mark_line(mark)), "shows another comment")


def members_of(key: str, card: Any) -> list[str]:
    """Read the ids of those who are on a card."""
    members = held_in(card_of(key, card), "idMembers")
    prove(isinstance(members, list) and all(isinstance(each, str) for each in members), "has no list as idMembers")
    return list(members)


def check_member(account: str, answer: Any) -> None:
    """Let the answer show who is on a card now, as members or as their ids."""
    prove(isinstance(answer, list), "has no list of members")
    there = [each if isinstance(each, str) else id_in(each) for each in answer]
    prove(account in there, f"does not show {account} on the card")


def texts_of(key: str, answer: Any) -> list[str]:
    return [_text_of(key, each) for each in rows_in(answer)]


def _text_of(key: str, action: Any) -> str:
    """Read a comment, which says whose it is."""
    data = object_in(action, "data")
    prove(id_in(object_in(data, "card")) == key, "shows a comment on another card")
    return str(held_in(data, "text"))


def written_mark(text: str) -> str | None:
    """Read the mark in the last line of a comment of ours."""
    found = _MARK_LINE.search(text)
    return found[1] if found is not None else None


def file_of(row: Any) -> CardFile:
    size = row.get("bytes")  # described as text, sent as a number
    is_known = isinstance(size, int) or (isinstance(size, str) and size.isdecimal())
    return CardFile(id_in(row), str(held_in(row, "name")), str(held_in(row, "url")), int(size) if is_known else None)


def _attached(answer: Any) -> CardFile:
    """Read what was just attached: it alone, or, as it is described, a list of it."""
    return file_of(rows_in(answer)[0] if isinstance(answer, list) else answer)


def linked(address: str, answer: Any) -> CardFile:
    made = _attached(answer)
    prove(urldefrag(made.url).fragment == urldefrag(address).fragment, "shows another link")
    return made


def uploaded(attachment: Attachment, answer: Any) -> CardFile:
    made, size = _attached(answer), len(attachment.content)
    prove(made.name == attachment.filename, f"shows no file {attachment.filename}")
    prove(made.size in (None, size), f"shows a file of another size than {size}")
    return made


def mark_line(mark: str) -> str:
    """Write a mark so that it is quiet and stays literal."""
    return f"\n\n`{mark}`"
