"""One pipeline's configuration on its own history: judged as it was, with drops planted, and its noise alone."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import cached_property, partial

import numpy as np

from bot.config.pipeline import PipelineSection
from bot.domain.backtest.choice import TriedSetting, Variant, choose
from bot.domain.backtest.drops import Planted
from bot.domain.backtest.figures import (
    Catch,
    Filing,
    Rate,
    catches,
    digest_only,
    false_tickets,
    filings,
    improvements,
    loud_days,
    silences,
)
from bot.domain.backtest.healthy_histories import healthy, study_history
from bot.domain.backtest.planting import plant_all, smallest_told
from bot.domain.backtest.walk import Passed, Settings, ignore_progress, walk
from bot.domain.incidents import SeriesKey, Step
from bot.domain.policy import MetricPolicy
from bot.domain.runs import Run
from bot.errors import HistoryError
from bot.judging.titles import series_of
from bot.replay.slice_trial import LoadTable, SliceTrial, try_slices
from bot.text.toml_keys import key_path

_MOST_HISTORIES = 40
_SWEPT_SHARE = 3  # of the effort, a setting that is only tried gets one part in so many

OnStep = Callable[[str], Callable[[int, int], None]]


@dataclass(frozen=True, slots=True)
class Effort:
    """How much is judged to find out what would be missed, and what would be false."""

    planted: int = 20_000  # runs, with a drop
    healthy: int = 30_000  # values
    slices: int = 8  # places at which tables are read

    def divided(self, by: int) -> Effort:
        return replace(self, planted=self.planted // by, healthy=self.healthy // by)


@dataclass(frozen=True, slots=True)
class Rehearsal:
    """What one pipeline's history comes to under its configuration."""

    pipeline: str
    since: datetime
    until: datetime
    passed: tuple[Passed, ...]
    tickets: tuple[Filing, ...]
    digest: tuple[tuple[Passed, Step], ...]  # suspicions that came to nothing
    improved: int
    loud_days: int
    catches: tuple[Catch, ...]
    histories: int  # in which nothing is wrong, that were made of the pipeline's own noise
    false: dict[str, Rate]  # tickets in these, by metric; under the empty name all of them
    unjudged: tuple[str, ...]  # metrics of which no run of the span has a usable value
    too_short: tuple[str, ...]  # metrics whose history is too short to plant drops in
    smallest_told: dict[str, float]  # what `min_effect` comes to, in spreads, by metric in which drops were planted
    slices: SliceTrial
    tried: tuple[TriedSetting, ...] = ()
    chosen: TriedSetting | None = None

    @property
    def days(self) -> int:
        return (self.until.date() - self.since.date()).days + 1

    @property
    def quiet_days(self) -> int:
        return self.days - self.loud_days

    @property
    def seen(self) -> list[Passed]:
        """The runs of the span."""
        return [each for each in self.passed if not each.is_past]

    def history_of(self, series: SeriesKey) -> list[Passed]:
        return [each for each in self.passed if each.before.series == series]


@dataclass(frozen=True)
class Trial:
    """A history, and the settings under which it is looked at."""

    runs: Sequence[tuple[SeriesKey, Run]]
    settings: Settings
    since: datetime
    until: datetime
    seed: int
    effort: Effort
    on_step: OnStep

    @cached_property
    def passed(self) -> list[Passed]:
        return walk(self.runs, self.settings, self.since, self.on_step("history"))

    def planted(self) -> list[Planted]:
        """Plant drops in the history."""
        random, work, hears = np.random.default_rng(self.seed), self.effort.planted, self.on_step("planted")
        return list(plant_all(self.passed, self.settings, self.since, random, work=work, on_place=hears))

    def slices(self, load: LoadTable) -> SliceTrial:
        """Plant drops in slices, where there are tables."""
        random, hears = np.random.default_rng([self.seed, 0]), self.on_step("slices")
        return try_slices(self.passed, self.settings, self.since, random, load, most=self.effort.slices, on_place=hears)

    def false(self) -> tuple[int, dict[str, Rate]]:
        """Count what would be filed in histories of the pipeline's noise alone; with the number of these.

        Limits are left aside: what breaks them does so whatever the noise.
        """
        metrics, hears = self.settings.policies.metrics, self.on_step("noise")
        settings = replace(self.settings, policies=replace(self.settings.policies, limits=()))
        values = max(1, len(self.runs) * len(metrics))
        count = max(1, min(_MOST_HISTORIES, self.effort.healthy // values))
        studied = study_history(self.runs, metrics)
        made = [healthy(studied, np.random.default_rng([self.seed, i])) for i in range(count if studied else 0)]
        walked = [
            walk(each, settings, self.since, partial(_hear, hears, number, len(made)))
            for number, each in enumerate(made)
        ]
        return len(made), false_tickets(walked, [policy.name for policy in metrics], self.until - self.since)

    def of(self, variant: Variant) -> Trial:
        """Return the same history under another setting, with less effort."""
        return replace(self, settings=variant.applied(self.settings), effort=self.effort.divided(_SWEPT_SHARE))

    def tried(self, variant: Variant) -> TriedSetting:
        _, false = self.false()
        return TriedSetting(variant, tuple(catches(self.planted())), false[""], len(filings(self.passed)))


def rehearse(
    name: str,
    section: PipelineSection,
    runs: Sequence[Run],
    since: datetime,
    until: datetime,
    *,
    seed: int = 0,
    variants: Sequence[Variant] = (),
    effort: Effort,
    load_table: LoadTable = lambda _: None,
    on_step: OnStep = lambda _: ignore_progress,
) -> Rehearsal:
    """Judge a pipeline's history as the bot would have, then with drops planted, then its noise alone.

    The *seed* alone decides where drops are planted, and how noise is drawn. *on_step* is told what is done next, and
    returns what hears how far it is. Raises HistoryError where there is no run in the span, or none with a metric that
    config names.
    """
    own = [(SeriesKey(name, series_of(run, section.series_by)), run) for run in runs]
    seen = [run for run in runs if run.ended >= since]
    _check(name, section, seen, since)
    settings = Settings(section.policies, section.incident_policy, section.watch.recent)
    trial = Trial(own, settings, since, until, seed, effort, on_step)
    passed, planted = trial.passed, trial.planted()
    in_slices = trial.slices(load_table)
    found = catches((*planted, *in_slices.planted))
    histories, false = trial.false()
    silent = silences(passed, section.silence_policy, since, until)
    tried = [trial.of(variant).tried(variant) for variant in variants]
    policies, planted_in = settings.policies.metrics, {each.drop.metric for each in planted}
    usable = [p.name for p in policies if _is_usable(p, seen)]
    held = {limit.name for limit in settings.policies.limits if _is_usable(limit.policy, seen)}
    return Rehearsal(
        pipeline=name,
        since=since,
        until=until,
        passed=tuple(passed),
        tickets=tuple(sorted((*filings(passed), *silent), key=lambda each: each.filed)),
        digest=tuple(digest_only(passed)),
        improved=improvements(passed),
        loud_days=len(loud_days(passed, silent)),
        catches=tuple(found),
        histories=histories,
        false=false,
        unjudged=tuple(metric for metric in section.metrics if metric not in held.union(usable)),
        too_short=tuple(metric for metric in usable if metric not in planted_in),
        slices=in_slices,
        smallest_told={
            policy.name: least
            for policy in policies
            if policy.name in planted_in and (least := smallest_told(passed, policy)) is not None
        },
        tried=tuple(tried),
        chosen=choose(tried),
    )


def _check(name: str, section: PipelineSection, runs: Sequence[Run], since: datetime) -> None:
    """Raise HistoryError where there is nothing to replay."""
    if not runs:
        raise HistoryError(
            f"{key_path('pipeline', name)}: MLflow has no finished run of {section.wanted_experiments} "
            f"since {since:%Y-%m-%d}: give an earlier --since, or check `experiment` and `watch`"
        )
    if not any(metric in run.metrics for run in runs for metric in section.metrics):
        there = ", ".join(sorted({metric for run in runs[-20:] for metric in run.metrics})[:12]) or "none"
        wanted = ", ".join(section.metrics)
        raise HistoryError(
            f"{key_path('pipeline', name, 'metrics')}: none of its {len(runs):,} runs has {wanted}; they have {there}"
        )


def _is_usable(policy: MetricPolicy, runs: Sequence[Run]) -> bool:
    return any(policy.holds(run.metrics.get(policy.name, math.nan)) for run in runs)


def _hear(hears: Callable[[int, int], None], number: int, count: int, done: int, total: int) -> None:
    hears(number * total + done, count * total)
