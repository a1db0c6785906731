"""Asks the trackers by when the tickets of experiments are to be done, once a digest."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from bot.domain.due_dates import Missed, last_moment, next_result
from bot.domain.tasks import task_of
from bot.errors import IntegrationError
from bot.pipeline.scheduling import next_due_times
from bot.ports import Tracker
from bot.reports.reader import Readable
from bot.runtime.log import get_logger
from bot.store import fires, objects, pipelines

log = get_logger(__name__)


class Asking(Readable, Protocol):
    """What can be looked at, and the trackers that can be asked."""

    @property
    def trackers(self) -> Mapping[str, Tracker]: ...


@dataclass(frozen=True, slots=True)
class _Experiment:
    pipeline: str
    tracker: str
    ticket: str
    comes: datetime  # its next result


def find_missed(herald: Asking) -> tuple[Missed, ...]:
    """Return the due dates that the schedule can no longer meet; of a ticket that cannot be read only the log tells."""
    found = []
    for each in _awaited(herald):
        try:
            due = herald.trackers[each.tracker].due(each.ticket)
        except IntegrationError as error:
            log.warning("due date not read", pipeline=each.pipeline, ticket=each.ticket, error=str(error))
            continue
        last = None if due is None else last_moment(due, herald.config.zone_of(each.pipeline))
        if last is not None and each.comes > last:
            found.append(Missed(each.pipeline, each.ticket, last, each.comes))
    return tuple(found)


def _awaited(herald: Asking) -> Iterator[_Experiment]:
    """Yield the pipelines that are an experiment for a ticket on which no result was told as yet."""
    now = herald.around.clock()
    with herald.database.begin() as tx:
        due = next_due_times(herald.config, pipelines.find_all(tx), now)
        for name, section in herald.config.pipeline.items():
            tracker = herald.config.tracker.get(section.tracker or "")
            if not section.ticket or section.tracker is None or tracker is None or section.job is None:
                continue
            task = task_of(section.tracker, section.ticket)
            if not tracker.has_ticket(section.ticket) or task in objects.known_objects(tx, [task]):
                continue
            comes = next_result(fires.of_pipeline(tx, name), due.get(name), now)
            if comes is not None:
                yield _Experiment(name, section.tracker, section.ticket, comes)
