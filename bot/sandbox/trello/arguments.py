"""Reads what was given by query, form or JSON, and refuses what Trello would."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Any

from bot.sandbox.web.call import Call, is_storable, iso_time

TEXT_LIMIT = 16_384  # characters of a name, a description, a comment
STEP = 16_384.0  # between the positions of neighbours
ID = re.compile("[0-9a-fA-F]{24}")
_DATE = re.compile(r"\d{4}-\d\d-\d\d(?:T\d\d:\d\d(?::\d\d(?:\.\d{1,6})?)?(?:Z|[+-]\d\d:?\d\d)?)?", re.ASCII)


def given_values(call: Call) -> dict[str, Any]:
    """Collect what was given by query, form or JSON."""
    request = call.request
    values: dict[str, Any] = {**request.form.to_dict(), **request.args.to_dict()}
    if request.mimetype == "application/json" and request.get_data():
        values |= call.json_object()
    if not is_storable(values):
        raise call.refuse(400, "invalid value for text")
    return {key: value for key, value in values.items() if key not in ("key", "token")}


def text_of(call: Call, values: dict[str, Any], name: str) -> str | None:
    value = values.get(name)
    if value is None:
        return None
    if not isinstance(value, str) or len(value) > TEXT_LIMIT:
        raise call.refuse(400, f"invalid value for {name}")
    return value


def required_text(call: Call, values: dict[str, Any], name: str) -> str:
    value = text_of(call, values, name)
    if value is None or not value.strip():
        raise call.refuse(400, f"invalid value for {name}")
    return value


def flag_of(call: Call, values: dict[str, Any], name: str) -> bool | None:
    value = values.get(name)
    if value is None or isinstance(value, bool):
        return value
    if str(value).lower() not in ("true", "false"):
        raise call.refuse(400, f"invalid value for {name}")
    return str(value).lower() == "true"


def ids_of(call: Call, values: dict[str, Any], name: str) -> list[str] | None:
    value = values.get(name)
    if value is None:
        return None
    ids = [one for one in value.split(",") if one] if isinstance(value, str) else value
    if not isinstance(ids, list) or not all(isinstance(one, str) and ID.fullmatch(one) for one in ids):
        raise call.refuse(400, f"invalid value for {name}")
    return ids


def due_of(call: Call, values: dict[str, Any]) -> str | None:
    value = values.get("due")
    if value in (None, "", "null"):
        return None
    if not isinstance(value, str) or not _DATE.fullmatch(value):
        raise call.refuse(400, "invalid value for due")
    try:
        moment = datetime.fromisoformat(value)
    except ValueError:
        raise call.refuse(400, "invalid value for due") from None
    return iso_time((moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)).timestamp())


def may_write(call: Call) -> None:
    if call.rulebook.trello.read_only:
        raise call.refuse(401, "unauthorized card permission requested")


def only_fields(call: Call, answer: dict[str, Any], name: str = "fields") -> dict[str, Any]:
    """Keep the fields that were asked for; the id always comes."""
    wanted = call.words(name)
    if not wanted or "all" in wanted:
        return answer
    return {key: value for key, value in answer.items() if key == "id" or key in wanted}


FILTERS: dict[str, bool | None] = {"all": None, "closed": True, "open": False, "": False, "visible": False}


def filter_of(call: Call, name: str = "filter") -> bool | None:
    wanted = call.request.args.get(name, "")
    if wanted not in FILTERS:
        raise call.refuse(400, f"invalid value for {name}")
    return FILTERS[wanted]


def position_of(call: Call, values: dict[str, Any], others: list[float], default: str = "top") -> float:
    wanted = str(values.get("pos") or default)
    match wanted:
        case "top":
            return min(others, default=2 * STEP) / 2
        case "bottom":
            return max(others, default=0.0) + STEP
    if not re.fullmatch(r"[0-9]{1,15}(?:\.[0-9]{1,9})?", wanted):
        raise call.refuse(400, "invalid value for pos")
    return float(wanted)


def value_of(call: Call, field: str, known: tuple[str, ...]) -> Any:
    values = given_values(call)
    if field not in known:
        raise call.refuse(404, f"Cannot PUT {call.request.path}")
    if "value" not in values:
        raise call.refuse(400, "invalid value for value")
    return values["value"]
