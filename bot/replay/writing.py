"""Puts a setting that a replay chose into the configuration; what people wrote around it stays."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import tomlkit

from bot.config.file import check_config
from bot.domain.policy import MinEffect
from bot.errors import ConfigError
from bot.replay.rehearsal import Rehearsal
from bot.text.toml_keys import key_path


@dataclass(frozen=True, slots=True)
class Written:
    """A key that has a new value."""

    key: str
    before: str
    now: str


def write_settings(path: Path, done: Sequence[Rehearsal]) -> list[Written]:
    """Write what was chosen for each pipeline; returns what changed. Raises ConfigError where it cannot be written."""
    text = path.read_text(encoding="utf-8")
    document = tomlkit.parse(text)
    written: list[Written] = []
    for each in done:
        if each.chosen is None:
            continue
        pipeline: Any = document["pipeline"][each.pipeline]
        if each.chosen.variant.min_effect is not None:
            for metric in pipeline["metrics"]:
                key = key_path("pipeline", each.pipeline, "metrics", metric, "min_effect")
                effect = _effect(each.chosen.variant.min_effect)
                written += _set(pipeline["metrics"][metric], "min_effect", effect, key)
        if each.chosen.variant.preset is not None:
            if "judge" not in pipeline:
                pipeline["judge"] = tomlkit.table()
            key = key_path("pipeline", each.pipeline, "judge", "preset")
            written += _set(pipeline["judge"], "preset", str(each.chosen.variant.preset), key)
    if written:
        _replace(path, tomlkit.dumps(document))
    return written


def _effect(effect: MinEffect) -> str | float:
    return f"{effect.value * 100:g} %" if effect.relative else effect.value


def _set(section: Any, name: str, value: str | float, key: str) -> list[Written]:
    before = section.get(name)
    if before == value:
        return []
    section[name] = value
    return [Written(key, "" if before is None else str(before), str(value))]


def _replace(path: Path, text: str) -> None:
    """Replace the file at once, if what it is to hold is a configuration; who may read it stays as it was."""
    check_config(path, text)
    target = path.resolve()
    new = target.with_name(f".{target.name}.new")
    try:
        new.write_text(text, encoding="utf-8")
        new.chmod(target.stat().st_mode & 0o777)
        new.replace(target)
    except OSError as error:
        raise ConfigError(f"{path}: cannot be written: {error.strerror}") from None
