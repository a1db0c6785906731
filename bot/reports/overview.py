"""How everything stands: pipelines, their last findings, next times and open incidents."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from itertools import groupby

from sqlalchemy import Connection

from bot.domain.blindness import Look
from bot.domain.config_differences import ConfigDifference
from bot.domain.fires import Fire
from bot.domain.incidents import Incident, IncidentState
from bot.domain.judged_run import JudgedRun
from bot.domain.objects import Bound, Marker, ObjectKey, ObjectKind
from bot.domain.rerun_troubles import RerunTrouble
from bot.judging.unjudged_metrics import UnjudgedMetric, unjudged_of
from bot.pipeline.scheduling import next_due_times
from bot.reports.jobs_at_work import JobAtWork, jobs_at_work
from bot.reports.reader import Readable
from bot.store import (
    backlog,
    fires,
    incidents,
    leadership,
    listenings,
    looks,
    objects,
    pipelines,
    quarantine,
    rules,
    runs,
    serving,
)
from bot.store.backlog import Refusal
from bot.store.leadership import Leadership
from bot.store.listenings import Listening
from bot.store.owed import EffectState
from bot.store.owners import database_time
from bot.store.quarantine import SetAside
from bot.store.runs import Newest, UnreadableRun

VALUES_SHOWN = 20
_LATELY = timedelta(days=7)


@dataclass(frozen=True, slots=True)
class OpenIncident:
    incident: Incident
    ticket: Bound | None
    has_tracker: bool = True  # where a ticket would be


@dataclass(frozen=True, slots=True)
class PipelineOverview:
    name: str
    last: JudgedRun | None
    next_due: datetime | None
    after: str | None  # the pipeline it waits for
    incidents: tuple[OpenIncident, ...]  # that are not over, oldest first; the latest of them where there are many
    count: int  # of all that are not over
    set_aside: tuple[SetAside, ...] = ()  # runs that broke what judges them, the oldest first
    unjudged: tuple[UnjudgedMetric, ...] = ()  # metrics that cannot be judged
    look: Look | None = None  # how the looks at its runs have gone; None where there was none
    metric: str = ""  # the first that config names
    values: tuple[float, ...] = ()  # of it, in the newest runs of the last run's series, oldest first; NaN: it has none
    unreadable: UnreadableRun | None = None  # a newer run than the last


@dataclass(frozen=True, slots=True)
class WaitingRerun:
    """A rerun that is under way, or about to be; or one of a diagnosis of late that failed."""

    fire: Fire
    incident_id: str = ""  # of which a diagnosis asks what made it
    swapped: Mapping[str, str] = field(default_factory=dict)  # how it has each component that the diagnosis swaps
    trouble: RerunTrouble | None = None  # of one that is over: why it shows nothing


@dataclass(frozen=True, slots=True)
class Overview:
    pipelines: tuple[PipelineOverview, ...]
    owed: int
    parked: int
    refused: tuple[Refusal, ...] = ()  # where our account is not taken
    quiet: int = 0  # rules that hold by people's answers
    unheard: tuple[Listening, ...] = ()  # services whose answers could not be read
    reruns: tuple[WaitingRerun, ...] = ()
    failed: tuple[WaitingRerun, ...] = ()  # reruns of diagnoses that are under way, or were until lately
    leadership: Leadership | None = None  # who leads, or led last
    is_led: bool = False
    jobs: tuple[JobAtWork, ...] = ()  # that wait or run, wherever that is
    differing: tuple[ConfigDifference, ...] = ()  # Heralds with another configuration than the one that leads


def overview(herald: Readable, limit: int | None = None) -> Overview:
    """Gather how everything stands from the state; of each pipeline's incidents the latest *limit*, or all."""
    config = herald.config
    with herald.database.begin() as tx:
        due = next_due_times(config, pipelines.find_all(tx), herald.around.clock())
        counts = incidents.count_standing(tx)
        standing = _with_tickets(herald, tx, incidents.standing_of_each(tx, limit))
        set_aside = quarantine.of_each(tx)
        seen_when = looks.of_pipelines(tx)
        leads = leadership.standing(tx)
        at = database_time(tx)
        is_led = leads is not None and not leads.is_over(at)
        differing = tuple(serving.differences(tx, at))
        owed = backlog.count(tx)
        refused = tuple(backlog.refusals(tx))
        quiet = rules.count_in_force(tx, herald.around.clock())
        unheard = tuple(each for each in listenings.all_of_them(tx) if each.failing_since is not None)
        waiting = fires.waiting(tx)
        jobs = jobs_at_work(tx, config, herald.around.clock())
        reruns = tuple(_rerun(tx, fire) for fire in waiting if fire.is_rerun)
        failed = tuple(_failed(tx, herald.around.clock() - _LATELY))
        newest = runs.latest_by_pipeline(tx)  # at once: a thousand pipelines are not asked for one by one
        found = {name: _latest(tx, name, newest[name]) for name in config.pipeline if name in newest}
        latest = {name: last for name, last in found.items() if last is not None}
        main = {name: next(iter(pipeline.metrics)) for name, pipeline in config.pipeline.items()}
        values = runs.newest_values(tx, {last.series: main[name] for name, last in latest.items()}, VALUES_SHOWN)
        seen = tuple(
            PipelineOverview(
                name,
                latest.get(name),
                due.get(name),
                pipeline.schedule.after if pipeline.schedule is not None else None,
                tuple(standing.get(name, ())),
                counts.get(name, 0),
                tuple(set_aside.get(name, ())),
                tuple(unjudged_of(tx, newest[name].of_series if name in newest else ())),
                seen_when.get(name),
                main[name],
                tuple(values[latest[name].series]) if name in latest else (),
                newest[name].unreadable if name in newest else None,
            )
            for name, pipeline in config.pipeline.items()
        )
    return Overview(
        seen,
        owed[EffectState.PENDING],
        owed[EffectState.PARKED],
        refused,
        quiet,
        unheard,
        reruns,
        failed,
        leads,
        is_led,
        jobs,
        differing,
    )


def _rerun(tx: Connection, fire: Fire) -> WaitingRerun:
    if not fire.recipe.is_of_diagnosis:
        return WaitingRerun(fire)
    from bot.domain.diagnosis.inquiry import components_of  # numbers take their time to load
    from bot.store import inquiries

    record = inquiries.find(tx, fire.confirms or "")
    if record is None:
        return WaitingRerun(fire)
    return WaitingRerun(fire, record.inquiry.incident_id, components_of(fire.recipe, record.inquiry))


def _failed(tx: Connection, since: datetime) -> Iterable[WaitingRerun]:
    """Yield the reruns that failed, of the newest inquiry into each incident, where it ended lately or goes on."""
    if not fires.asks_of_late(tx, since):
        return
    from bot.judging.inquiry_answers import failed_of  # numbers take their time to load
    from bot.store import inquiries

    for record in {each.inquiry.incident_id: each for each in inquiries.of_late(tx, since)}.values():
        for fire, trouble in failed_of(tx, record.inquiry):
            yield replace(_rerun(tx, fire), trouble=trouble)


def _latest(tx: Connection, name: str, newest: Newest) -> JudgedRun | None:
    """Return the newest run of a pipeline that can be read, of whichever series."""
    earlier = None if newest.unreadable is None else runs.latest(tx, name)
    known = newest.of_series if earlier is None else (*newest.of_series, earlier)
    return max(known, key=lambda judged: (judged.run.ended, judged.run.run_id), default=None)


def filed_since(herald: Readable, name: str, started: datetime) -> Sequence[OpenIncident]:
    """Return the incidents of a pipeline that people were told of since a moment, with their tickets."""
    with herald.database.begin() as tx:
        found = [i for i in incidents.of_pipeline(tx, name, IncidentState.OPEN) if i.told_at and i.told_at >= started]
        return [each for some in _with_tickets(herald, tx, found).values() for each in some]


def _with_tickets(herald: Readable, tx: Connection, found: Iterable[Incident]) -> Mapping[str, Sequence[OpenIncident]]:
    """Add the tickets of incidents, and gather them by pipeline."""
    keys = [(incident, _ticket_of(herald, incident)) for incident in found]
    known = objects.known_objects(tx, [key for _, key in keys if key is not None])
    told = (
        OpenIncident(i, known[key].bound if key is not None and key in known else None, has_tracker=key is not None)
        for i, key in keys
    )
    return {name: list(some) for name, some in groupby(told, key=lambda each: each.incident.series.pipeline)}


def _ticket_of(herald: Readable, incident: Incident) -> ObjectKey | None:
    section = herald.config.pipeline.get(incident.series.pipeline)
    if section is None or section.tracker is None:
        return None
    return ObjectKey(section.tracker, ObjectKind.TICKET, str(Marker(herald.config.instance, incident.incident_id)))
