"""What a command needs that only looks at the state: a configuration, and a database that it cannot write to."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Protocol

from bot.config.models import Config
from bot.config.paths import with_absolute_paths
from bot.runtime.clock import wall_clock
from bot.runtime.state_timeouts import StateTimeouts
from bot.store import Database


class Timed(Protocol):
    """Whoever knows the time."""

    @property
    def clock(self) -> Callable[[], datetime]: ...


class Readable(Protocol):
    """What there is to look at, of a Herald as of a :class:`Reader`."""

    @property
    def config(self) -> Config: ...

    @property
    def database(self) -> Database: ...

    @property
    def around(self) -> Timed: ...

    @property
    def overrides(self) -> Path | None:
        """The folder of the team's own templates."""


@dataclass(frozen=True, slots=True)
class WallTime:
    clock: Callable[[], datetime] = wall_clock


@dataclass(frozen=True, slots=True)
class Reader:
    """A Herald without all that acts: it starts in a fraction of the time."""

    config: Config
    database: Database
    overrides: Path | None  # the folder of the team's own templates
    around: WallTime = field(default_factory=WallTime)


def open_reader(config: Config, folder: Path, longest: timedelta | None = None) -> Reader:
    """Open the state for looks at it, none of which takes *longest*, nor longer than a deadline; an export may."""
    config = with_absolute_paths(config, folder)
    overrides = folder / config.templates if config.templates else None
    timeouts = StateTimeouts(config.store.connect_timeout, longest, keeps_deadline=longest is not None)
    return Reader(config, Database.for_reading(config.store.url.get_secret_value(), timeouts), overrides)
