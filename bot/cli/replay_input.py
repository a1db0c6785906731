"""What `herald replay` is asked: since when, and which settings to try."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

from bot.domain.backtest.choice import Variant, variants
from bot.domain.policy import MinEffect, Preset, read_share
from bot.errors import ConfigError
from bot.sections import read_duration

_MOST = 24  # settings, each of which is a replay of its own
_FIRST = datetime(1970, 1, 1, tzinfo=UTC)
_EXAMPLE = "such as --sweep min_effect=0.5%,1%,2% or --sweep preset=quiet,sensitive"


def read_since(text: str, now: datetime) -> datetime:
    """Read `90d`, so long ago, or `2026-09-01`, a day or a moment, in UTC where it names no zone.

    Raises ConfigError for anything else, and for what is not over yet.
    """
    try:
        since = now - read_duration(text)
    except ValueError:
        try:
            since = datetime.fromisoformat(text.strip())
        except ValueError:
            raise ConfigError(
                f"--since: {text!r} should be a length of time such as 90d, or a day: 2026-09-01"
            ) from None
        since = since if since.tzinfo else since.replace(tzinfo=UTC)
    except OverflowError:
        raise ConfigError(f"--since: {text!r} is longer ago than any calendar") from None
    if since < _FIRST:
        raise ConfigError(f"--since: {text!r} is before 1970, when the time of computers begins")
    if since >= now:
        raise ConfigError(f"--since: {text!r} is not in the past")
    return since


def read_sweep(given: Sequence[str], *, write: bool) -> list[Variant]:
    """Read what is to be tried; raises ConfigError where a setting cannot be."""
    effects: list[MinEffect] = []
    presets: list[Preset] = []
    for each in given:
        key, _, listed = each.partition("=")
        values = [value.strip() for value in listed.split(",") if value.strip()]
        if not values:
            raise ConfigError(f"--sweep: {each!r} should name a setting and its values, {_EXAMPLE}")
        match key.strip():
            case "min_effect":
                effects += map(_read_effect, values)
            case "preset":
                presets += map(_read_preset, values)
            case other:
                raise ConfigError(f"--sweep: {other!r} cannot be tried; min_effect and preset can, {_EXAMPLE}")
    found = variants(list(dict.fromkeys(effects)), list(dict.fromkeys(presets)))
    if not given:
        if write:
            raise ConfigError(f"--write: there is nothing to choose from without a --sweep, {_EXAMPLE}")
        return []
    if len(found) > _MOST:
        raise ConfigError(f"--sweep: these are {len(found)} settings together; {_MOST} at most are tried at once")
    return found


def _read_effect(text: str) -> MinEffect:
    share = read_share(text)
    if share is not None:
        return share
    try:
        size = float(text)
    except ValueError:
        size = -1.0
    if not 0 <= size < 1e60:  # noqa: PLR2004  beyond which nothing is compared
        raise ConfigError(f"--sweep min_effect: {text!r} should be a share such as 2%, or a number of 0 or more")
    return MinEffect(size, relative=False)


def _read_preset(text: str) -> Preset:
    try:
        return Preset(text)
    except ValueError:
        raise ConfigError(f"--sweep preset: {text!r} should be {' or '.join(Preset)}") from None
