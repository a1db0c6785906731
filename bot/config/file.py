"""Reads config.toml; secrets come from the environment or a secrets directory, never from the file."""

from __future__ import annotations

import difflib
import os
import re
import tomllib
import types
from collections.abc import Iterator, Mapping, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any, Union, get_args, get_origin

from pydantic import BaseModel, SecretStr, ValidationError
from pydantic_core import ErrorDetails
from pydantic_settings import SettingsError

from bot.config.models import ENV_PREFIX, Config
from bot.config.services import NAMED, SECRETS
from bot.errors import ConfigError
from bot.runtime.shown_addresses import holds_secret, secrets_in, shown
from bot.sections import write_duration
from bot.text.toml_keys import key_path

_MOST_BYTES = 1_000_000
_SECRET_VARIABLES = (
    "MLFLOW_TRACKING_TOKEN",
    "MLFLOW_TRACKING_PASSWORD",
    "AWS_SECRET_ACCESS_KEY",
    "AWS_SESSION_TOKEN",
    "AZURE_STORAGE_ACCESS_KEY",
)
_SINGLE_SECRETS = (("dead_man", "url"), ("web", "token"))  # of sections that there is one of
_KINDS = {port: list(kinds) for port, kinds in NAMED.items() if len(kinds) > 1}  # where a section may be of several


def load_config(path: Path, secrets_dir: Path | None = None, *, needs_secrets: bool = True) -> Config:
    """Read the configuration, or raise ConfigError naming the file, the key, the value and what would be right.

    Where it *needs no secrets*, since no service is asked for anything, those that are not set yet are stood in for.
    """
    try:
        if path.stat().st_size > _MOST_BYTES:
            raise ConfigError(f"{path}: is larger than {_MOST_BYTES:,} bytes: is it a configuration?")
        raw = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ConfigError(
            f"{path}: there is no such file; `herald init` writes one, or name another with --config"
        ) from None
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: cannot be read: {error}") from None
    except ValueError as error:
        raise ConfigError(f"{path}: is not TOML: {error}") from None
    except RecursionError:
        raise ConfigError(f"{path}: is nested too deep") from None
    _refuse_secrets(path, raw)
    _refuse_password(path, raw)
    _refuse_single_secrets(path, raw)
    try:
        return Config(_secrets_dir=secrets_dir, **raw)
    except ValidationError as error:
        problems = error.errors(include_url=False)
        if needs_secrets or not all(_is_missing_secret(each) for each in problems):
            raise _refusal(path, problems) from None
        return Config(_secrets_dir=secrets_dir, **_with_stand_ins(raw, problems))
    except (SettingsError, TypeError) as error:
        raise ConfigError(f"{path}: {error}") from None


def _with_stand_ins(raw: Mapping[str, Any], problems: Sequence[ErrorDetails]) -> Mapping[str, Any]:
    """Return the configuration with something in the place of each secret that is missing."""
    for problem in problems:
        *section, key = _location(problem["loc"])
        held = _at(raw, section)
        assert isinstance(held, dict)
        held[key] = "https://not-set.invalid" if key.endswith("url") else "not-set"
    return raw


def secrets_of(config: BaseModel) -> Iterator[str]:
    """Yield every secret that a configuration holds, and those of MLflow's own variables."""
    yield from _secret_values(config)
    yield from (os.environ[name] for name in _SECRET_VARIABLES if name in os.environ)
    for name, value in os.environ.items():
        if name.lower().endswith("_proxy"):
            yield from secrets_in(value)


def _secret_values(config: BaseModel) -> Iterator[str]:
    left: list[object] = [config]
    while left:  # of a thousand pipelines there are a hundred thousand values, but few that anybody has set
        match left.pop():
            case None | bool() | int() | float():
                continue
            case SecretStr() as secret:
                text = secret.get_secret_value()
                if not text.startswith("sqlite:"):  # a file's path, which people need to read
                    yield text
                yield from secrets_in(text)
            case str() as text:
                yield from secrets_in(text)
            case BaseModel() as section:
                left += (getattr(section, name) for name in section.model_fields_set)
            case Mapping() as known:
                left += known.values()
            case list() | tuple() as some:
                left += some


def check_config(path: Path, text: str) -> None:
    """Raise ConfigError where *text* could not stand in *path*, whatever secrets are still to be set."""
    raw = tomllib.loads(text)
    _refuse_password(path, raw)
    try:
        Config(**raw)
    except ValidationError as error:
        problems = [each for each in error.errors(include_url=False) if not _is_missing_secret(each)]
        if problems:
            raise _refusal(path, problems) from None


def _refusal(path: Path, problems: Sequence[ErrorDetails]) -> ConfigError:
    return ConfigError("\n".join(f"{path}: {_explain(problem)}" for problem in problems))


def _is_missing_secret(problem: ErrorDetails) -> bool:
    return problem["type"] == "missing" and _holds_secret(_location(problem["loc"]))


def _refuse_secrets(path: Path, raw: Mapping[str, Any]) -> None:
    for kind in NAMED:
        services = raw.get(kind, {})
        for name, service in services.items() if isinstance(services, dict) else ():
            for key in SECRETS:
                if isinstance(service, dict) and key in service:
                    where = _how_to_give((kind, name, key))
                    raise ConfigError(f"{path}: {kind}.{name}.{key}: a secret does not belong in this file; {where}")


def _refuse_single_secrets(path: Path, raw: Mapping[str, Any]) -> None:
    for key in _SINGLE_SECRETS:
        if _at(raw, key) is not None:
            raise ConfigError(f"{path}: {'.'.join(key)}: a secret does not belong in this file; {_how_to_give(key)}")


def _refuse_password(path: Path, raw: Mapping[str, Any]) -> None:
    addresses: list[tuple[str, ...]] = [("store", "url"), ("mlflow", "tracking_uri"), ("mlflow", "ui_url")]
    for kind in NAMED:
        services = raw.get(kind)
        addresses += [(kind, name, "url") for name in services] if isinstance(services, dict) else []
    for keys in addresses:
        if _holds_password(_at(raw, keys)):
            where = _how_to_give(keys) if keys[0] == "store" or keys[-1] == "tracking_uri" else "leave it out"
            raise ConfigError(f"{path}: {'.'.join(keys)}: a password does not belong in this file; {where}")


def _at(raw: Mapping[str, Any], keys: Sequence[str]) -> object:
    value: object = raw
    for key in keys:
        value = value.get(key) if isinstance(value, dict) else None
    return value


def _holds_password(address: object) -> bool:
    return isinstance(address, str) and holds_secret(address)


def _how_to_give(key: tuple[str, ...]) -> str:
    joined = "__".join(key)
    return f"set {ENV_PREFIX}{joined.upper()}, or put it in a file named {ENV_PREFIX.lower()}{joined} in --secrets-dir"


def _explain(problem: ErrorDetails) -> str:
    """Say in one line what is wrong with a key and what would be right."""
    location = _location(problem["loc"])
    key = key_path(*location)
    match problem["type"]:
        case "extra_forbidden":
            known = sorted(_known_keys(location[:-1], problem["loc"]))
            near = difflib.get_close_matches(location[-1], known, n=1)
            hint = f"did you mean {near[0]!r}?" if near else f"known here: {', '.join(known)}"
            return f"{key}: is not a key of the configuration; {hint}"
        case "missing":
            if _holds_secret(location):
                return f"{key}: is missing; {_how_to_give(location)}"
            return f"{key}: is missing"
        case "value_error":
            message = str(problem["ctx"]["error"])
        case "union_tag_invalid":
            return f"{key}.kind: {problem['ctx']['tag']!r} is not one of {_KINDS[location[0]]}"
        case "union_tag_not_found":
            return f"{key}.kind: is missing; it should be {' or '.join(_KINDS[location[0]])}"
        case _:
            message = _in_words(problem)
    value = problem["input"]
    if isinstance(value, str):
        value = shown(value)
    given = f"{value!r} " if isinstance(value, str | int | float) and not _holds_secret(location) else ""
    return f"{key}: {given}{message}" if key else message


_SHAPES = {
    "dict_type": "should be a section with keys of its own",
    "model_type": "should be a section with keys of its own",
    "model_attributes_type": "should be a section with keys of its own",
    "tuple_type": 'should be a list, such as ["one", "two"]',
}
_PATTERNS = {  # of names, in words
    r"^[A-Za-z0-9][A-Za-z0-9_.-]*$": "should begin with a letter or digit, and have letters, digits, _ . and - alone",
    r"^[a-z][a-z0-9_]*$": "should begin with a small letter, and have small letters, digits and _ alone",
    r"^[a-z0-9]+$": "should have small letters and digits alone",
    r"^models:/[^/:@]+@[^/:@]+$": "should be models:/NAME@ALIAS",
    r"^\S+$": "should have no spaces",
    r"^(params|tags)\..+$": "should be params.NAME or tags.NAME",
    r"^/": "should begin with /",
    r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$": "should have small letters, digits and - inside alone",
    r"^[a-z0-9]([-.a-z0-9]*[a-z0-9])?$": "should have small letters, digits, and - and . inside alone",
    r"^[a-z0-9]([-.a-z0-9]*[a-z0-9])?/[-._a-zA-Z0-9]+$": "should be SECRET/KEY",
    r"^([a-z0-9]([-.a-z0-9]{0,251}[a-z0-9])?/)?[A-Za-z0-9]([-_.A-Za-z0-9]{0,61}[A-Za-z0-9])?$": "should be DOMAIN/NAME",
    r"^([A-Za-z0-9]([-_.A-Za-z0-9]{0,61}[A-Za-z0-9])?)?$": "should be letters and digits, - _ . inside",
    r"^[a-z0-9.-]+/[A-Za-z0-9_.-]+$": "should be DOMAIN/NAME, as nvidia.com/gpu",
    r"^[A-Za-z_][A-Za-z0-9_]*$": "should be a variable's name: letters, digits and _ alone",
}
_LENGTH = re.compile(r"(greater|less) than or equal to datetime\.timedelta\((days|seconds)=(\d+)\)")
_SUBJECTS = ("Input ", "String ", "Tuple ", "Dictionary ")  # of pydantic's sentences; ours begin with the value


def _in_words(problem: ErrorDetails) -> str:
    """Return pydantic's words as the rest of a sentence that begins with the value."""
    pattern = problem.get("ctx", {}).get("pattern", "")
    if (length := _LENGTH.search(problem["msg"])) is not None:
        limit = write_duration(timedelta(**{length[2]: int(length[3])}))
        return f"should be {'at least' if length[1] == 'greater' else 'at most'} {limit}"
    text = _PATTERNS.get(pattern) or _SHAPES.get(problem["type"], problem["msg"])
    text = text.replace(" after validation", "")
    subject = next((subject for subject in _SUBJECTS if text.startswith(subject)), "")
    return text.removeprefix(subject)


def _location(raw: tuple[int | str, ...]) -> tuple[str, ...]:
    """Return the keys to the problem, without pydantic's own: the kind of a service, the sign that a name is wrong."""
    parts = tuple(str(part) for part in raw if part != "[key]")
    return parts[:2] + parts[3:] if parts[:1] and parts[0] in _KINDS else parts


def _holds_secret(location: tuple[str, ...]) -> bool:
    if location in _SINGLE_SECRETS:
        return True
    return bool(location) and location[0] in NAMED and location[-1] in SECRETS


def _known_keys(location: tuple[str, ...], raw: tuple[int | str, ...]) -> set[str]:
    """Return the keys of the section at *location*; *raw* says of which kind its service is."""
    found: set[str] = set()
    for model in _models_at(Config, location):
        kind = model.model_fields.get("kind")
        if kind is None or raw[0] not in _KINDS or kind.default in raw:
            found.update(model.model_fields)
    return found


def _models_at(annotation: Any, location: tuple[str, ...]) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        if not location:
            yield annotation
        elif field := annotation.model_fields.get(location[0]):
            yield from _models_at(field.annotation, location[1:])
    elif get_origin(annotation) is dict:
        if location:
            yield from _models_at(get_args(annotation)[1], location[1:])
    elif get_origin(annotation) is tuple:
        if location:
            yield from _models_at(get_args(annotation)[0], location[1:])
    elif get_origin(annotation) in {Annotated, Union, types.UnionType}:
        for option in get_args(annotation):
            yield from _models_at(option, location)
