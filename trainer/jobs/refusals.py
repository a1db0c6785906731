"""Says in words what is wrong with a job file: the key, its value and what would be right."""

from collections.abc import Iterable, Mapping, Sequence
from difflib import get_close_matches
from typing import Any, cast, get_args

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from trainer.jobs.addresses import without_user
from trainer.jobs.fields import Section

Location = tuple[int | str, ...]

RIGHT = {  # what pydantic names after Python, in the words of TOML
    "bool_type": "true or false",
    "string_type": "a text",
    "int_type": "a whole number",
    "float_type": "a number",
    "dict_type": "a table",
    "tuple_type": "a list",
    "path_type": "a path",
    "is_instance_of": "a path",  # nothing else in a job file is of a class
}
PARSED = {"bool_parsing": "bool_type", "int_parsing": "int_type", "float_parsing": "float_type"}


def explain_all(errors: Sequence[ErrorDetails], job: type[Section], raw: Mapping[str, Any]) -> str:
    """Say what every validation error means; what may be one of several kinds is one mistake, not one of each."""
    by_key: dict[Location, list[ErrorDetails]] = {}
    for detail in errors:
        by_key.setdefault(_written(detail, raw), []).append(detail)
    return "; ".join(_explain(location, details, job) for location, details in by_key.items())


def section_model(job: type[Section], location: Iterable[int | str]) -> type[Section] | None:
    """Give the section that stands at a place of the file, None where there is none."""
    model = job
    for part in location:
        field = model.model_fields.get(str(part))
        section = None if field is None else _one_section(field.annotation)
        if section is None:
            return None
        model = section
    return model


def _written(detail: ErrorDetails, raw: Mapping[str, Any]) -> Location:
    """Leave out of a place what is no key of the file: the kind of value that was tried."""
    location, value = detail["loc"], cast("object", raw)
    if detail["type"] == "missing":
        return location
    for depth, part in enumerate(location):
        if isinstance(value, Mapping):
            if part not in value:
                return location[:depth]
            value = value[part]
        elif isinstance(value, (list, tuple)) and isinstance(part, int) and part < len(value):
            value = value[part]
        else:
            return location[:depth]
    return location


def _one_section(annotation: object) -> type[Section] | None:
    """Give the section an annotation stands for, also where it may be left out."""
    found = [
        kind for kind in (annotation, *get_args(annotation)) if isinstance(kind, type) and issubclass(kind, Section)
    ]
    return found[0] if len(found) == 1 else None


def _explain(location: Location, details: Sequence[ErrorDetails], job: type[Section]) -> str:
    first = details[0]
    key = ".".join(str(part) for part in location)
    if first["type"] == "extra_forbidden":
        return f"unknown key '{key}'{_suggest(location, job)}"
    if first["type"] == "missing":
        return f"key '{key}' is missing"
    value = first["input"]
    where = f"key '{key}'" if key else "the job"
    shown = "" if isinstance(value, (dict, Section)) else f" is {_as_written(value)}"
    if first["type"] in ("model_type", "model_attributes_type"):
        return f"{where}{shown}: {_table(location, value, job)}"
    right = [_right(detail) for detail in details]
    if len(right) == 1 and right[0] is None:
        message = first["msg"].removeprefix("Value error, ")
        return f"{where}{shown}: {message[0].lower()}{message[1:]}"
    named = dict.fromkeys(told for told in right if told is not None)
    return f"{where}{shown}: {_either(' or '.join(named))} is right"


def _right(detail: ErrorDetails) -> str | None:
    """Give what a kind of value is called, None where the message says it well."""
    kind = detail["type"]
    if kind == "literal_error" and isinstance(context := detail.get("ctx"), dict):
        return str(context["expected"]) if detail["loc"][-1:] and "literal" in str(detail["loc"][-1]) else None
    return RIGHT.get(PARSED.get(kind, kind))


def _either(told: str) -> str:
    """Put commas where there is more than one `or`."""
    *some, last = told.split(" or ")
    return f"{', '.join(some)} or {last}" if some else last


def _table(location: Location, value: object, job: type[Section]) -> str:
    """Say that a table is right, and which of its keys was meant, where only one takes such a value."""
    key = ".".join(str(part) for part in location)
    model = section_model(job, location)
    if model is None:
        return "a table is right"
    told = f"a table is right, [{key}]"
    taking = [name for name in model.model_fields if _takes(model, name, value)]
    meant = f"; did you mean {key}.{taking[0]}?" if len(taking) == 1 else f", with keys {', '.join(model.model_fields)}"
    return told + meant


def _takes(model: type[Section], name: str, value: object) -> bool:
    try:
        model.model_validate({name: value})
    except ValidationError as error:
        return all(detail["loc"][:1] != (name,) for detail in error.errors() if detail["loc"])
    return True


def _as_written(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else without_user(repr(value))


def _suggest(location: Location, job: type[Section]) -> str:
    model = section_model(job, location[:-1])
    known = list(model.model_fields) if model else []
    near = get_close_matches(str(location[-1]), known, n=1, cutoff=0.5)
    if near:
        return f": did you mean '{near[0]}'?"
    return f": known keys are {', '.join(known)}" if known else ""
