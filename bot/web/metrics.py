"""Herald in numbers, as Prometheus reads them: counted from the state whenever somebody asks."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import timedelta

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    Metric,
)
from prometheus_client.registry import Collector
from sqlalchemy import Connection

from bot.reports.reader import Readable
from bot.runtime.request_counts import requests_made
from bot.store import backlog, figures

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
_QUANTILES = (0.5, 0.95, 1.0)
_LATELY = timedelta(days=1)


@dataclass(frozen=True, eq=False)  # a registry tells collectors apart by what they are
class StateCollector(Collector):
    """Reads the figures of one state."""

    herald: Readable
    tx: Connection

    def describe(self) -> Iterable[Metric]:
        """Return nothing: the registry would read the state for names alone."""
        return ()

    def collect(self) -> Iterable[Metric]:
        yield from (*self._fires(self.tx), *self._judged(self.tx), *self._owed(self.tx), _requests())

    def _fires(self, tx: Connection) -> Iterator[Metric]:
        now = self.herald.around.clock()
        by_state = GaugeMetricFamily("herald_fires", "Fires on record.", labels=["pipeline", "state"])
        for name, state, number in figures.fires_by_state(tx):
            by_state.add_metric([name, state], number)
        late = GaugeMetricFamily(
            "herald_fire_lateness_seconds", "From the due time of the latest fire to its start.", labels=["pipeline"]
        )
        for name, length in figures.lateness(tx, now).items():
            late.add_metric([name], length.total_seconds())
        yield from (by_state, late)

    def _judged(self, tx: Connection) -> Iterator[Metric]:
        judged = GaugeMetricFamily("herald_runs", "Judged runs on record.", labels=["pipeline", "outcome"])
        for name, outcome, number in figures.runs_by_outcome(tx):
            judged.add_metric([name, outcome], number)
        standing = GaugeMetricFamily("herald_open_incidents", "Open incidents.", labels=["pipeline", "kind"])
        for name, kind, number in figures.open_incidents(tx):
            standing.add_metric([name, kind], number)
        yield from (judged, standing)

    def _owed(self, tx: Connection) -> Iterator[Metric]:
        now = self.herald.around.clock()
        labels = ["service", "why"]
        owed = GaugeMetricFamily("herald_effects", "Effects that are owed or parked.", labels=labels)
        age = GaugeMetricFamily("herald_oldest_effect_seconds", "Since the oldest of them is owed.", labels=labels)
        for pile in backlog.piles(tx):
            owed.add_metric([pile.service, pile.why], pile.count)
            age.add_metric([pile.service, pile.why], max((now - pile.since).total_seconds(), 0.0))
        took = GaugeMetricFamily(
            "herald_delivery_seconds", "From owed to delivered, over the last day.", labels=["service", "quantile"]
        )
        for service, seconds in figures.deliveries(tx, now - _LATELY).items():
            ranked = sorted(seconds)
            for share in _QUANTILES:
                took.add_metric([service, f"{share:g}"], ranked[min(int(share * len(ranked)), len(ranked) - 1)])
        yield from (owed, age, took)


def _requests() -> Metric:
    made = CounterMetricFamily("herald_requests", "Requests of this process.", labels=["host", "status"])
    for (host, status), number in requests_made.by_host_and_status().items():
        made.add_metric([host, status], number)
    return made


def exposition(herald: Readable, tx: Connection) -> bytes:
    """Write the figures in Prometheus' text format."""
    registry = CollectorRegistry()
    registry.register(StateCollector(herald, tx))
    return generate_latest(registry)
