"""Replays pipelines: reads the history of each, and rehearses its configuration on it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial

import platformdirs

from bot.config.models import Config
from bot.domain.backtest.choice import Variant
from bot.errors import BrokenOffError, ConfigError, HistoryError
from bot.ports import RunStore
from bot.replay.history import HistoryReader
from bot.replay.rehearsal import Effort, Rehearsal, rehearse

EFFORT = Effort()
_STEPS = 4  # of the configured setting: its history, what is planted, in slices too, noise
_STEPS_TRIED = 3  # of one that is tried


@dataclass(frozen=True, slots=True)
class Replayed:
    """What was replayed, and why some pipelines could not be."""

    done: tuple[Rehearsal, ...]
    aside: tuple[str, ...]  # a sentence each


@dataclass(frozen=True, slots=True)
class Replaying:
    """Replays pipelines of one configuration."""

    config: Config
    run_store: RunStore
    since: datetime
    now: datetime
    seed: int = 0
    variants: Sequence[Variant] = ()

    def all(self, names: Sequence[str] | None, on_progress: Callable[[int, int], None]) -> Replayed:
        """Replay the pipelines of these names, or all; *on_progress* hears thousandths of the whole.

        One whose history says nothing is set aside, and the others go on; raises HistoryError where none says anything.
        """
        names = list(self.config.pipeline) if names is None else names
        for name in names:
            if name not in self.config.pipeline:
                known = ", ".join(sorted(self.config.pipeline)) or "none"
                raise ConfigError(f"pipeline {name!r} is not configured; configured are: {known}")
        done: list[Rehearsal] = []
        aside: list[HistoryError] = []
        for number, name in enumerate(names):
            try:
                done.append(self._one(name, partial(_part, on_progress, number, len(names))))
            except BrokenOffError:
                raise
            except HistoryError as error:
                aside.append(error)
        if aside and not done:
            raise HistoryError("\n".join(map(str, aside)))
        return Replayed(tuple(done), tuple(map(str, aside)))

    def _one(self, name: str, on_share: Callable[[float], None]) -> Rehearsal:
        section = self.config.pipeline[name]
        kept = platformdirs.user_cache_path("herald")
        reader = HistoryReader(name, section, self.run_store, self.config.mlflow.tracking_uri, kept)
        runs = reader.read(self.since, self.now)
        steps = _Steps(_STEPS + _STEPS_TRIED * len(self.variants), on_share)
        done = rehearse(
            name,
            section,
            runs,
            self.since,
            self.now,
            seed=self.seed,
            variants=self.variants,
            effort=EFFORT,
            load_table=lambda run: self.run_store.load(run).examples,
            on_step=steps.begin,
        )
        reader.forget()
        return done


@dataclass(slots=True)
class _Steps:
    """Counts steps that are equally long, as far as anybody knows."""

    count: int
    on_share: Callable[[float], None]
    begun: int = -1

    def begin(self, _name: str) -> Callable[[int, int], None]:
        self.begun += 1
        return partial(self._hear, self.begun)

    def _hear(self, step: int, done: int, total: int) -> None:
        self.on_share(min(1.0, (step + done / max(total, 1)) / self.count))


def _part(on_progress: Callable[[int, int], None], number: int, count: int, share: float) -> None:
    on_progress(int(1000 * (number + share) / count), 1000)
