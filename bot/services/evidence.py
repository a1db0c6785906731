"""What an answer has to hold before Herald believes it: the kind that is due, and the fields that prove it.

A proxy, a login page or a cache may answer in a service's place, with a status of 200. What such an answer says is
never taken for a success, nor for *nothing found*.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any, Protocol

_WHOLE = {200, 201}  # 202 has not been done yet, 203 was rewritten on its way, 206 is a part
_FRESH = ("", "0")  # seconds ago that it was made
_CREATED, _NO_CONTENT = 201, 204


class Bytes(Protocol):
    """What is looked at of an answer."""

    @property
    def status_code(self) -> int: ...

    @property
    def headers(self) -> Mapping[str, str]: ...

    @property
    def content(self) -> bytes: ...


class UnprovenError(ValueError):
    """An answer does not show what it should; the message completes `its answer ...`."""


def json_in(answer: Bytes) -> Any:
    """Return the JSON of an answer that is whole and says that it is JSON."""
    prove(answer.status_code in _WHOLE, f"has the status {answer.status_code} where 200 or 201 is due")
    kind = answer.headers.get("Content-Type", "").partition(";")[0].strip().lower()
    is_json = kind == "application/json" or (kind.startswith("application/") and kind.endswith("+json"))
    prove(is_json, f"is {kind or 'of no type'} where JSON is due")
    prove(bool(answer.content.strip()), "is empty")
    prove(answer.headers.get("Age", "0").strip() in _FRESH, "comes out of a cache")
    return json.loads(answer.content)  # by its own encoding: JSON is UTF-8 whatever a header says


def nothing_in(answer: Bytes) -> None:
    """Let the answer be the one that has nothing to say: 204, and no body."""
    prove(answer.status_code == _NO_CONTENT, f"has the status {answer.status_code} where 204 is due")
    prove(not answer.content, "has a body where none is due")


def created_in(answer: Bytes) -> None:
    """Let the answer be one that tells of something made by its status alone: 201, which no page bears."""
    prove(answer.status_code == _CREATED, f"has the status {answer.status_code} where 201 is due")
    if answer.content.strip():
        json_in(answer)


def prove(is_so: bool, what: str) -> None:  # noqa: FBT001 - reads as a sentence
    """Raise UnprovenError, which says *what* the answer does instead, unless *is_so*."""
    if not is_so:
        raise UnprovenError(what)


def held_in(answer: Any, name: str) -> Any:
    prove(isinstance(answer, Mapping), "is no object")
    prove(name in answer, f"has no {name}")
    return answer[name]


def text_in(answer: Any, name: str) -> str:
    """Return a text that is not empty."""
    found = held_in(answer, name)
    prove(isinstance(found, str) and found != "", f"has no text as {name}")
    return str(found)


def id_in(answer: Any, name: str = "id") -> str:
    """Return an identity, which services write as a text or as a number."""
    found = held_in(answer, name)
    is_id = (isinstance(found, str) and found != "") or (isinstance(found, int) and not isinstance(found, bool))
    prove(is_id, f"has no {name}")
    return str(found)


def number_in(answer: Any, name: str) -> int:
    found = held_in(answer, name)
    prove(isinstance(found, int) and not isinstance(found, bool), f"has no number as {name}")
    return int(found)


def moment_in(answer: Any, name: str) -> datetime:
    """Return a moment such as 2026-11-24T10:15:00.000+0000, which names its offset."""
    try:
        moment = datetime.fromisoformat(text_in(answer, name))
    except ValueError:
        moment = None
    prove(moment is not None and moment.tzinfo is not None, f"has no moment as {name}")
    assert moment is not None
    return moment


def object_in(answer: Any, name: str) -> Mapping[str, Any]:
    found = held_in(answer, name)
    prove(isinstance(found, Mapping), f"has no object as {name}")
    return found  # type: ignore[no-any-return]


def rows_in(answer: Any, name: str | None = None) -> list[Mapping[str, Any]]:
    """Return a list of objects: the answer's own, or the one of that name in it."""
    found = answer if name is None else held_in(answer, name)
    where = "" if name is None else f" as {name}"
    prove(isinstance(found, list) and all(isinstance(each, Mapping) for each in found), f"has no list{where}")
    return list(found)
