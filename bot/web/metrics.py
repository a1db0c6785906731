"""Herald in numbers, as Prometheus reads them: what stands in the state, and what this process has done.

What stands is read whenever somebody asks, by one query for each kind of figure, however many pipelines there are.
What happened is counted where it happens, and begins at nothing with each start, as counters do.
"""

from __future__ import annotations

import platform
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from prometheus_client import CollectorRegistry, ProcessCollector, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector
from sqlalchemy import Connection

from bot import __version__
from bot.domain.judge.findings import Outcome
from bot.reports.own_health import waiting_since
from bot.reports.reader import Readable
from bot.runtime import tallies
from bot.runtime.request_counts import requests_made
from bot.runtime.tallies import EventCounts, Stopwatch
from bot.store import backlog, figures, leadership, listenings, looks, serving
from bot.store.owners import agreed_time, database_time

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"

Samples = Iterable[tuple[Sequence[str], float]]  # the values of labels, and a number


@dataclass(frozen=True, eq=False)  # a registry tells collectors apart by what they are
class StateCollector(Collector):
    """Reads the figures of one state."""

    herald: Readable
    tx: Connection

    def describe(self) -> Iterable[Metric]:
        """Return nothing: the registry would read the state for names alone."""
        return ()

    def collect(self) -> Iterable[Metric]:
        tx, now = self.tx, self.herald.around.clock()
        yield from self._fires(tx, now)
        counted = [([name, outcome], number) for name, outcome, number in figures.runs_by_outcome(tx)]
        yield _gauge("herald_runs", "Judged runs on record.", ["pipeline", "outcome"], counted)
        standing = [([name, kind], number) for name, kind, number in figures.open_incidents(tx)]
        yield _gauge("herald_open_incidents", "Open incidents.", ["pipeline", "kind"], standing)
        yield from self._owed(tx, now)
        yield from self._looks(tx)
        yield from _lead(tx)

    def _fires(self, tx: Connection, now: datetime) -> Iterator[Metric]:
        counted = [([name, state], number) for name, state, number in figures.fires_by_state(tx)]
        yield _gauge("herald_fires", "Fires on record.", ["pipeline", "state"], counted)
        agreed = agreed_time(tx, now)
        late = waiting_since(tx, self.herald.config, agreed)
        said = "How long a pipeline has been due without a start; 0 where none is."
        lags = [([name], (agreed - late.get(name, agreed)).total_seconds()) for name in self.herald.config.pipeline]
        yield _gauge("herald_schedule_lag_seconds", said, ["pipeline"], lags)
        jobs = [([each.executor, each.standing], each.count) for each in figures.jobs(tx)]
        said = "Jobs that are not over, by their executor and how they stand there; away: it cannot be asked."
        yield _gauge("herald_jobs", said, ["executor", "standing"], jobs)

    def _owed(self, tx: Connection, now: datetime) -> Iterator[Metric]:
        labels, piles = ["service", "why"], backlog.piles(tx)
        counted = [([pile.service, pile.why], pile.count) for pile in piles]
        yield _gauge("herald_effects", "Effects that are owed or parked, by what keeps them.", labels, counted)
        ages = [([pile.service, pile.why], max((now - pile.since).total_seconds(), 0.0)) for pile in piles]
        yield _gauge("herald_oldest_effect_seconds", "Since the oldest of them is owed.", labels, ages)

    def _looks(self, tx: Connection) -> Iterator[Metric]:
        configured, found = self.herald.config.pipeline, looks.of_pipelines(tx)
        seen = {name: look.seen_at for name, look in found.items() if name in configured}
        said = "When all of a pipeline's runs could last be seen in MLflow."
        yield _gauge("herald_last_look_timestamp_seconds", said, ["pipeline"], _moments(seen))
        heard = {each.service: each.heard_until for each in listenings.all_of_them(tx)}
        said = "When all that people answered in a service was last read."
        yield _gauge("herald_answers_read_timestamp_seconds", said, ["service"], _moments(heard))


@dataclass(frozen=True, eq=False)
class ProcessFigures(Collector):
    """Tells what this process has done since it began, whatever the state says."""

    is_state_up: bool
    leads: bool
    services: Sequence[str]  # that config names

    def describe(self) -> Iterable[Metric]:
        return ()

    def collect(self) -> Iterable[Metric]:
        built = [([__version__, platform.python_version()], 1.0)]
        yield _gauge("herald_build_info", "The version of Herald, and what it runs on.", ["version", "python"], built)
        said = "Whether this process can read the state."
        yield _gauge("herald_state_up", said, [], [([], float(self.is_state_up))])
        yield _gauge("herald_leader", "Whether this process leads.", [], [([], float(self.leads))])
        yield _counter("herald_runs_judged", "Runs judged.", "outcome", tallies.runs_judged)
        yield _counter("herald_findings", "Findings made.", "outcome", tallies.findings_made)
        made = requests_made.by_service_and_status()
        asked = CounterMetricFamily("herald_requests", "Requests to services.", labels=["service", "status"])
        for names, number in sorted(made.items()):
            asked.add_metric(names, number)
        yield asked
        yield _histogram("herald_fire_lateness_seconds", "From a due time to the start of its fire.", tallies.lateness)
        said = "From owed to delivered."
        yield _histogram("herald_delivery_seconds", said, tallies.delivery, self.services)


def _lead(tx: Connection) -> Iterator[Metric]:
    """Tell of the one that leads: the same whichever Herald of a state is asked."""
    found = leadership.standing(tx)
    none: list[str] = []
    epochs = [] if found is None else [(none, float(found.epoch))]
    until = [] if found is None else [(none, found.until.timestamp())]
    ahead = [] if found is None else [(none, found.clock_ahead.total_seconds())]
    yield _gauge("herald_leader_epoch", "The epoch of who leads, or led last; it only grows.", none, epochs)
    said = "Until when the lead holds; nobody leads once that is past."
    yield _gauge("herald_leader_until_timestamp_seconds", said, none, until)
    said = "How far the clock of who leads is ahead of the database's."
    yield _gauge("herald_leader_clock_ahead_seconds", said, none, ahead)
    said = "Heralds with another configuration than the one that leads."
    others = len(serving.differences(tx, database_time(tx)))
    yield _gauge("herald_other_configurations", said, none, [(none, float(others))])


def _gauge(name: str, said: str, labels: Sequence[str], samples: Samples) -> Metric:
    found = GaugeMetricFamily(name, said, labels=labels)
    for values, number in samples:
        found.add_metric(values, number)
    return found


def _counter(name: str, said: str, label: str, tally: EventCounts) -> Metric:
    """Show every outcome from the start: of what first appears at 1, Prometheus sees no increase."""
    counts = tally.counts()
    found = CounterMetricFamily(name, said, labels=[label])
    for outcome in Outcome:
        found.add_metric([outcome.value], counts.get((outcome.value,), 0))
    return found


def _histogram(name: str, said: str, measured: Stopwatch, services: Sequence[str] | None = None) -> Metric:
    found = HistogramMetricFamily(name, said, labels=[] if services is None else ["service"])
    bounds = [*(f"{bound:g}" for bound in measured.bounds), "+Inf"]
    for service in [""] if services is None else sorted({*services, *measured.names()}):
        spread = measured.spread(service)
        buckets = list(zip(bounds, spread.up_to, strict=True))
        found.add_metric([] if services is None else [service], buckets, spread.total)
    return found


def _moments(found: dict[str, datetime | None]) -> Samples:
    return [([name], moment.timestamp()) for name, moment in sorted(found.items()) if moment is not None]


def exposition(herald: Readable, tx: Connection | None, *, leads: bool = False) -> bytes:
    """Write the figures in Prometheus' text format; without a state those of the process alone."""
    config = herald.config
    registry = CollectorRegistry()
    if tx is not None:
        registry.register(StateCollector(herald, tx))
    registry.register(ProcessFigures(tx is not None, leads, [*config.tracker, *config.wiki, *config.chat]))
    ProcessCollector(registry=registry)
    return generate_latest(registry)
