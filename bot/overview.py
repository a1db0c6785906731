"""How everything stands: pipelines, their last findings, next times and open incidents."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection

from bot.app import Herald
from bot.domain.effects import Marker, ObjectKey, ObjectKind
from bot.domain.incidents import Incident, IncidentState
from bot.schedule import next_due_times
from bot.store import incidents, outbox, pipelines, runs
from bot.store.outbox import EffectState, Refusal
from bot.store.runs import JudgedRun
from bot.views import Bound


@dataclass(frozen=True, slots=True)
class OpenIncident:
    incident: Incident
    ticket: Bound | None


@dataclass(frozen=True, slots=True)
class PipelineOverview:
    name: str
    last: JudgedRun | None
    next_due: datetime | None
    after: str | None  # the pipeline it waits for
    incidents: tuple[OpenIncident, ...]


@dataclass(frozen=True, slots=True)
class Overview:
    pipelines: tuple[PipelineOverview, ...]
    owed: int
    parked: int
    refused: tuple[Refusal, ...] = ()  # where our account is not taken


def overview(herald: Herald) -> Overview:
    """Gather how everything stands from the state."""
    with herald.database.begin() as tx:
        known = {name: each for name in herald.config.pipeline if (each := pipelines.find(tx, name)) is not None}
    due = next_due_times(herald.config, known, herald.around.clock())
    with herald.database.begin() as tx:
        outstanding = outbox.outstanding(tx)
        refused = tuple(outbox.refusals(tx))
        seen = tuple(
            PipelineOverview(
                name,
                runs.latest(tx, name),
                due.get(name),
                schedule.after if (schedule := pipeline.schedule) is not None else None,
                tuple(
                    _with_ticket(herald, tx, name, incident)
                    for incident in incidents.of_pipeline(tx, name, IncidentState.CANDIDATE, IncidentState.OPEN)
                ),
            )
            for name, pipeline in herald.config.pipeline.items()
        )
    parked = sum(owed.state is EffectState.PARKED for owed in outstanding)
    return Overview(seen, len(outstanding) - parked, parked, refused)


def _with_ticket(herald: Herald, tx: Connection, name: str, incident: Incident) -> OpenIncident:
    tracker = herald.config.pipeline[name].tracker
    if tracker is None:
        return OpenIncident(incident, None)
    key = ObjectKey(tracker, ObjectKind.TICKET, str(Marker(herald.config.instance, incident.incident_id)))
    known = outbox.known_objects(tx, [key]).get(key)
    return OpenIncident(incident, known.bound if known else None)
