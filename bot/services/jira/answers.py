"""What Jira's answers show: tickets, comments, files, ways out of a status, and that a write was carried out."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from datetime import date
from typing import Any

from bot.domain.capabilities import TicketState
from bot.ports import Attachment
from bot.services.evidence import UnprovenError, held_in, id_in, number_in, object_in, prove, rows_in, text_in

Files = Mapping[str, frozenset[int]]  # sizes of a ticket's files by name; half a file has another
_KEY = re.compile(r"[A-Za-z][A-Za-z0-9_]*-[0-9]+")
PROPERTY = "herald"  # of a comment, where its mark stands
_CATEGORIES = {  # key of a status category -> state; the keys are the same in every language
    "undefined": TicketState.TODO,
    "new": TicketState.TODO,
    "indeterminate": TicketState.DOING,
    "done": TicketState.DONE,
}
USUAL_RESOLUTION = "Done"  # where a screen demands one without listing what may be chosen


def name_of(account: Any) -> str:
    """Read who we are, whom Cloud knows by `accountId` and Data Center by `name`."""
    prove(any(account.get(name) for name in ("accountId", "name", "key")), "shows nobody")
    return str(account.get("displayName") or "somebody")


def project_in(answer: Any) -> Mapping[str, Any]:
    text_in(answer, "key")
    return answer  # type: ignore[no-any-return]


def key_of(made: Any) -> str:
    """Read the key of a ticket just made."""
    id_in(made)
    key = text_in(made, "key")
    prove(_KEY.fullmatch(key) is not None, "has no key of a ticket")
    return key


def check_comment(mark: str, made: Any) -> None:
    """Let the answer be a comment, and ours where it tells whose it is."""
    id_in(made)
    text_in(made, "body")
    prove(mark_of(made) in (None, mark), "shows another comment")


def check_link(made: Any) -> None:
    id_in(made)
    prove("/remotelink/" in text_in(made, "self"), "shows something else than a link")


def check_file(attachment: Attachment, made: Any) -> None:
    same_name = [each for each in rows_in(made) if each.get("filename") == attachment.filename and id_in(each)]
    prove(bool(same_name), f"shows no file {attachment.filename}")
    size = len(attachment.content)
    prove(any(number_in(each, "size") == size for each in same_name), f"shows a file of another size than {size}")


def counted(name: str, start: int, answer: Any) -> tuple[list[Mapping[str, Any]], int | None]:
    """Read a page of a list that tells how long it is, and where the next one starts."""
    rows, total = rows_in(answer, name), number_in(answer, "total")
    prove(answer.get("startAt", start) == start, "shows another page of the list")
    following = start + len(rows)
    prove(bool(rows) or following >= total, f"shows none of {total - start} {name} that it counts")
    return rows, following if following < total else None


def next_token(answer: Mapping[str, Any]) -> str | None:
    """Read where a search on Cloud goes on."""
    token = answer.get("nextPageToken") or None
    prove(token is not None or answer.get("isLast") is not False, "has more, and does not say where")
    return token


def marks_of(start: int, answer: Any) -> tuple[list[str | None], int | None]:
    """Read the marks of a page of comments: None of one that is not ours."""
    comments, following = counted("comments", start, answer)
    for each in comments:
        text_in(each, "body")
    return [mark_of(each) for each in comments], following


def labelled(answer: Any, label: str) -> list[Mapping[str, Any]]:
    """Read the tickets found by a label; those of another search would tell that there is none."""
    issues = rows_in(answer, "issues")
    strangers = [each for each in issues if label.lower() not in (name.lower() for name in labels_of(each))]
    prove(not strangers, f"shows tickets without the label {label}")
    return issues


def labels_of(issue: Mapping[str, Any]) -> list[str]:
    labels = held_in(object_in(issue, "fields"), "labels")
    prove(isinstance(labels, list) and all(isinstance(each, str) for each in labels), "has no list as labels")
    return list(labels)


def files_of(issue: Mapping[str, Any]) -> Files:
    fields, files = object_in(issue, "fields"), dict[str, frozenset[int]]()
    for each in rows_in(fields, "attachment") if "attachment" in fields else ():  # absent where Jira takes none
        name = text_in(each, "filename")
        files[name] = files.get(name, frozenset()) | {number_in(each, "size")}
    return files


def resolution_for(transition: Mapping[str, Any], wanted: str) -> dict[str, Any]:
    """Fill the resolution of a transition's screen, where it has one."""
    field = transition.get("fields", {}).get("resolution")
    if field is None:
        return {}
    allowed = field.get("allowedValues") or [{"name": wanted}]
    by_name = {each.get("name"): each for each in reversed(allowed)}
    chosen = by_name.get(wanted) or by_name.get(USUAL_RESOLUTION) or allowed[0]
    return {"resolution": {"id": chosen["id"]} if "id" in chosen else {"name": chosen["name"]}}


def easiest(
    offered: Sequence[Mapping[str, Any]], state: TicketState, named: str | None = None, filled: Collection[str] = ()
) -> Mapping[str, Any] | None:
    """Choose among the transitions that lead to *state*: one of that name, or into such a status, else the easiest.

    The easiest asks for least besides the fields that are *filled*.
    """
    fitting = [each for each in offered if each["state"] is state]
    wanted = [each for each in fitting if named is not None and is_called(each, named)]
    return min(wanted or fitting, key=lambda each: len(demanded(each, filled)), default=None)


def is_called(transition: Mapping[str, Any], name: str) -> bool:
    """Say whether a transition, or the status that it leads to, has that name, whatever its capitals."""
    names = (str(transition.get("name", "")), str(transition["to"].get("name", "")))
    return name.casefold() in (each.casefold() for each in names)


def demanded(transition: Mapping[str, Any], filled: Collection[str] = ()) -> list[str]:
    """List the fields of a transition's screen that somebody would have to fill, besides those that are *filled*."""
    return [
        name
        for name, field in transition.get("fields", {}).items()
        if field.get("required") and not field.get("hasDefaultValue") and name not in ("resolution", *filled)
    ]


def state_of(status: Mapping[str, Any]) -> TicketState:
    return _CATEGORIES.get(status["statusCategory"]["key"], TicketState.TODO)


def mark_of(comment: Mapping[str, Any]) -> str | None:
    """Read the mark that one of our comments carries."""
    for held in comment.get("properties") or []:
        if held["key"] == PROPERTY and isinstance(held["value"], dict):
            mark = held["value"].get("mark")
            return mark if isinstance(mark, str) else None
    return None


def due_of(issue: Any) -> date | None:
    """Read by which day a ticket is to be done; nothing of one that is."""
    fields = object_in(issue, "fields")
    due = fields.get("duedate")
    if due is None or state_of(held_in(fields, "status")) is TicketState.DONE:
        return None
    try:
        return date.fromisoformat(due)
    except (TypeError, ValueError):
        raise UnprovenError(f"has no day as duedate: {due!r:.40}") from None
