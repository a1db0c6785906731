"""Whether clusters can be asked about jobs: told once a cluster where it has lasted, and over by itself."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from types import MappingProxyType

from sqlalchemy import Connection

from bot.config.models import Config
from bot.domain.cluster_outages import ClusterOutage, find_outages
from bot.domain.conclusion import conclude_without_run
from bot.domain.fires import Fire
from bot.domain.incidents import Incident, Kind, SeriesKey
from bot.domain.judge import Assessment, SeriesState
from bot.judging.context import JudgingContext
from bot.judging.facts import FactReader, rules_in_force
from bot.judging.run_recording import Background, RunRecorder
from bot.judging.silence import nothing_yet
from bot.runtime.log import get_logger
from bot.store import fires, incidents, runs

_LOCK = "clusters that cannot be asked"
_NOBODY = Background()

log = get_logger(__name__)


@dataclass(frozen=True, slots=True)
class ClusterWatch:
    """Files what cannot be asked, for whichever pipelines: one ticket a cluster, at the pipeline that waits longest."""

    context: JudgingContext  # of any pipeline

    def look(self) -> None:
        """File what could not be asked for too long, and end what can be asked again, or what nothing waits for."""
        config, now = self.context.config, self.context.clock()
        with self.context.database.begin() as tx:
            told = self._told(tx)
            if not told and not self._has_cluster():
                return
            found = {each.key: each for each in read_outages(tx, config)}
            late = [each for each in found.values() if each.finding(now) is not None]
            if not told and not late:
                return
            incidents.lock(tx, _LOCK)
            told = self._told(tx)
            for incident in told:
                if found.keys().isdisjoint(incident.metrics):
                    self._end(tx, incident, now)
            known = {key for incident in told for key in incident.metrics}
            for outage in late:
                if outage.key not in known:
                    self._open(tx, outage, now)

    def _has_cluster(self) -> bool:
        """Say whether the pipeline's own jobs run on a cluster: others are looked after by those whose do."""
        job, config = self.context.section.job, self.context.config
        return job is not None and not config.runs_here(job.executor)

    def _told(self, tx: Connection) -> Sequence[Incident]:
        found = incidents.open_of_kind(tx, Kind.AWAY)
        return [each for each in found if each.series.pipeline in self.context.config.pipeline]

    def _open(self, tx: Connection, outage: ClusterOutage, now: datetime) -> None:
        finding = outage.finding(now)
        assert finding is not None
        at_work = replace(self.context, name=_teller(self.context.config, outage.pipelines))
        assessment = Assessment(outage.opened_by, (finding,), SeriesState())
        beside = Background(said=outage.said, waiting=_titles(self.context.config, outage.pipelines))
        _tell(at_work, tx, assessment, now, beside, ends={outage.opened_by: outage.since})
        said = {"executor": outage.executor, "since": outage.since.isoformat(), "said": outage.said}
        log.error("cluster cannot be asked", pipeline=at_work.name, **said)

    def _end(self, tx: Connection, incident: Incident, now: datetime) -> None:
        at_work = replace(self.context, name=incident.series.pipeline)
        assessment = Assessment("can be asked again", (), SeriesState())
        _tell(at_work, tx, assessment, now, _NOBODY, standing=(incident,))


def read_outages(tx: Connection, config: Config) -> tuple[ClusterOutage, ...]:
    """Return the clusters that cannot be asked now, as far as the pipelines of *config* have jobs there."""
    waiting = (_with_executor(fire, config) for fire in fires.waiting(tx) if fire.pipeline in config.pipeline)
    return find_outages(fire for fire in waiting if fire.executor and not config.runs_here(fire.executor))


def _with_executor(fire: Fire, config: Config) -> Fire:
    job = config.pipeline[fire.pipeline].job
    return fire if fire.executor or job is None else replace(fire, executor=job.executor)


def _teller(config: Config, pipelines: Sequence[str]) -> str:
    """Choose the pipeline whose people hear of it: the first that waits, of those that have a tracker, else a chat."""
    sections = config.pipeline
    with_tracker = (name for name in pipelines if sections[name].tracker is not None)
    with_chat = (name for name in pipelines if sections[name].chat is not None)
    return next(with_tracker, None) or next(with_chat, pipelines[0])


def _titles(config: Config, pipelines: Sequence[str]) -> tuple[str, ...]:
    return tuple(config.pipeline[name].title or name for name in pipelines)


def _tell(
    context: JudgingContext,
    tx: Connection,
    assessment: Assessment,
    now: datetime,
    beside: Background,
    *,
    standing: Sequence[Incident] = (),
    ends: Mapping[str, datetime] = MappingProxyType({}),
) -> None:
    """Let the incident take its turn, and owe what people are to be told of it."""
    last = runs.latest(tx, context.name) or nothing_yet(SeriesKey(context.name), min(ends.values(), default=now))
    in_force = rules_in_force(tx, now, context.name)
    facts = FactReader(context, now).without_run(last, assessment, in_force, standing)
    RunRecorder(context).record_without_run(tx, facts, conclude_without_run(facts, ends), beside)
