"""A configuration that is read anew with no pipeline left: an editor was in the midst of writing it."""

from __future__ import annotations

from bot.config.models import Config
from bot.errors import ConfigError


def check_not_emptied(old: Config, new: Config) -> None:
    """Raise ConfigError where every pipeline of *old* would be gone."""
    if old.pipeline and not new.pipeline:
        raise ConfigError(
            f"pipeline: there is none any more, of {len(old.pipeline):,}: an editor may be in the midst of writing the "
            "file; to be rid of all, stop Herald"
        )
