"""Reads a job file (TOML): overrides applied, checked against its schema, mistakes told by key and value."""

import os
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from trainer.errors import JobError
from trainer.jobs.fields import PACKAGED, expanded
from trainer.jobs.refusals import explain_all, section_model
from trainer.jobs.running import DeviceJob
from trainer.jobs.schema import JOBS, NEXT_ITEM, AnyJob, Job, NextItemJob

FIRE_ID_VARIABLE = "HERALD_FIRE_ID"
REGISTRY = "models:/"
SOURCES = ("package", "folder", "name", "revision", "registry", "sha256")  # keys that say which model


def load_job(path: Path, overrides: Sequence[str] = (), model: str | None = None) -> AnyJob:
    """Read and check a job file, `key=value` overrides applied; raise JobError.

    *model* is a saved folder or an entry of the registry, to stand for whatever model the file names.
    """
    return _validated(_read(path, overrides, model), path)


def load_sets(path: Path, overrides: Sequence[str] = ()) -> dict[str, AnyJob]:
    """Give the job of each table [transfer.sets.NAME] of a file that load_job reads; raise JobError.

    Its `[data]` is the file's, with what the table says in its place; none where the file has no such tables.
    """
    raw = _read(path, overrides, None)
    found = {}
    for name, other in raw.get("transfer", {}).get("sets", {}).items():
        changed = raw | {"data": _merged(raw.get("data", {}), other)}
        try:
            found[name] = _validated(changed, path)
        except JobError as error:
            raise JobError(f"{error}, with what [transfer.sets.{name}] changes") from None
    return found


def _merged(table: Mapping[str, Any], other: Mapping[str, Any]) -> dict[str, Any]:
    """Give a table with the values of another in place of its own, tables within it likewise."""
    both = {
        key: _merged(table[key], value)
        for key, value in other.items()
        if isinstance(value, dict) and isinstance(table.get(key), dict)
    }
    return {**table, **other, **both}


def _read(path: Path, overrides: Sequence[str], model: str | None) -> dict[str, Any]:
    try:
        raw = tomllib.loads(path.read_text(encoding="utf-8-sig"))
    except FileNotFoundError:
        raise JobError(f"{path}: there is no such job file") from None
    except (OSError, UnicodeDecodeError) as error:
        raise JobError(f"{path}: cannot be read: {error}") from None
    except RecursionError:
        raise JobError(f"{path}: not valid TOML: it is nested too deep") from None
    except ValueError as error:  # a number of thousands of digits is no TOMLDecodeError
        raise JobError(f"{path}: not valid TOML: {error}") from None
    raw = _override(raw, overrides, path)
    if model is not None:
        _replace_model(raw, model)
    return raw


def _validated(raw: dict[str, Any], path: Path) -> AnyJob:
    kind = _job_model(raw, path)
    fire_id = os.environ.get(FIRE_ID_VARIABLE)
    if fire_id and isinstance(tracking := raw.get("tracking"), dict):
        tracking.setdefault("fire_id", fire_id)
    try:
        return kind.model_validate(raw, context=path.absolute().parent)
    except ValidationError as error:
        raise JobError(f"{path}: {explain_all(error.errors(), kind, raw)}") from None


def read_device(kind: str | None, precision: str | None) -> DeviceJob:
    """Give the section `[device]` of what was said without a job file; raise JobError."""
    given = {key: value for key, value in (("kind", kind), ("precision", precision)) if value is not None}
    try:
        return DeviceJob.model_validate(given)
    except ValidationError as error:
        told = error.errors()
        for detail in told:
            detail["loc"] = ("device", *detail["loc"])
        raise JobError(explain_all(told, Job, {"device": given})) from None


def _replace_model(raw: dict[str, Any], model: str) -> None:
    table = raw.get("model")
    kept = {key: value for key, value in table.items() if key not in SOURCES} if isinstance(table, dict) else {}
    registered = model.startswith(REGISTRY)
    try:
        raw["model"] = kept | ({"registry": model} if registered else {"folder": _from_here(model)})
    except ValueError as error:
        raise JobError(f"--model {error}") from None


def _job_model(raw: Mapping[str, Any], path: Path) -> type[AnyJob]:
    if "task" not in raw:
        raise JobError(f"{path}: key 'task' is missing: one of {', '.join(JOBS)} is right")
    model = JOBS.get(raw["task"]) if isinstance(raw["task"], str) else None
    if model is None:
        raise JobError(f"{path}: key 'task' is {raw['task']!r}: one of {', '.join(JOBS)} is right")
    return _narrow(raw, path) if model is NextItemJob else model


def _narrow(raw: Mapping[str, Any], path: Path) -> type[NextItemJob]:
    """Let `data.kind` decide what the data section must be, so that a mistake in it is told as one of that kind."""
    data = raw.get("data")
    kind = data.get("kind", "snapshot") if isinstance(data, dict) else "snapshot"
    narrow = NEXT_ITEM.get(kind) if isinstance(kind, str) else None
    if narrow is None:
        raise JobError(f"{path}: key 'data.kind' is {kind!r}: one of {', '.join(NEXT_ITEM)} is right")
    return narrow


def _override(raw: dict[str, Any], overrides: Sequence[str], path: Path) -> dict[str, Any]:
    """Apply `key=value` overrides; `task` and `data.kind` go first, since they say which keys hold paths."""
    for override in sorted(overrides, key=lambda text: not text.startswith(("task=", "data.kind="))):
        _apply(raw, override, path)
    return raw


def _apply(raw: dict[str, Any], override: str, path: Path) -> None:
    key, equals, text = override.partition("=")
    if not equals or not key.strip():
        raise JobError(f"--set {override}: KEY=VALUE is right, such as seed=3 or train.lr=1e-4")
    *parents, last = key.strip().split(".")
    table = raw
    for parent in parents:
        table = table.setdefault(parent, {})
        if not isinstance(table, dict):
            raise JobError(f"--set {override}: {parent} is a value, not a section")
    value = _parse_value(text)
    if last in _path_keys(_job_model(raw, path), parents):
        try:
            value = _from_here(value if isinstance(value, str) else text)
        except ValueError as error:
            raise JobError(f"--set {key}={error}") from None
    table[last] = value


def _from_here(path: str) -> str:
    """Read a path of the command line as relative to the current folder."""
    return path if not path or path.startswith(PACKAGED) else str(expanded(path).absolute())


def _parse_value(text: str) -> object:
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except (ValueError, RecursionError):
        return text


def _path_keys(job: type[Job], parents: Sequence[str]) -> frozenset[str]:
    """Name the keys of a section that hold paths: on the command line these are relative to the current folder."""
    model = section_model(job, parents)
    if model is None:
        return frozenset()
    return frozenset(name for name, field in model.model_fields.items() if "Path" in str(field.annotation))
