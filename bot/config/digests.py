"""What of a configuration one Herald does for all, as digests: by them it is told where two of them differ."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping

from pydantic import BaseModel

from bot.config.models import Config

_OF_THE_MACHINE = {"ca_file", "timeout"}  # may well differ from one machine to another
_LENGTH = 12  # hexadecimal digits: enough to tell two apart, and nothing to guess a configuration from


def digests_of(config: Config) -> Mapping[str, str]:
    """Return a digest of each pipeline by its name, and of each other part by its own in brackets: `[tracker.jira]`.

    A pipeline's job is left out: it is run by whoever has room, where that is. Secrets go into none.
    """
    parts: dict[str, str] = {
        name: _digest(pipeline, {"job"}, config.zone_of(name).key) for name, pipeline in config.pipeline.items()
    }
    for kind, sections in (("tracker", config.tracker), ("wiki", config.wiki), ("chat", config.chat)):
        parts |= {f"[{kind}.{name}]": _digest(section, _OF_THE_MACHINE) for name, section in sections.items()}
    if config.digest is not None:
        parts["[digest]"] = _digest(config.digest, set(), config.time_zone)
    return parts


def _digest(section: BaseModel, left_out: set[str], *more: str) -> str:
    known = section.model_dump(mode="json", exclude=left_out)  # pydantic writes every secret as the same stars
    text = json.dumps([known, *more], sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:_LENGTH]
