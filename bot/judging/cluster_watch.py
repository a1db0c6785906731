"""Whether clusters can be asked about jobs: told once a cluster and cause where it has lasted, and over by itself."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from sqlalchemy import Connection

from bot.config.models import Config
from bot.domain.cluster_outages import ClusterOutage, find_outages
from bot.domain.conclusion import Facts, conclude_said_anew, conclude_without_run
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
                outage = next((found[key] for key in incident.metrics if key in found), None)
                if outage is None:
                    self._end(tx, incident, now)
                else:
                    self._say_why(tx, incident, outage, now)
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
        ends = {outage.opened_by: outage.since}
        facts = _facts(at_work, tx, assessment, now, since=outage.since)
        RunRecorder(at_work).record_without_run(tx, facts, conclude_without_run(facts, ends), self._beside(outage))
        said = {"executor": outage.executor, "since": outage.since.isoformat(), "said": outage.said}
        log.error("cluster cannot be asked", pipeline=at_work.name, **said)

    def _say_why(self, tx: Connection, incident: Incident, outage: ClusterOutage, now: datetime) -> None:
        """Tell that a cluster cannot be asked for another reason than people know of, where it is one."""
        at_work = replace(self.context, name=incident.series.pipeline)
        finding = outage.finding(now)
        step = outage.tell_cause(incident, at_work.section.incident_policy.comment_every, now)
        if finding is None or step is None:
            return
        assessment = Assessment(step.incident.bad_runs[-1], (finding,), SeriesState())
        facts = _facts(at_work, tx, assessment, now, standing=(incident,))
        RunRecorder(at_work).record_without_run(tx, facts, conclude_said_anew(facts, step), self._beside(outage))
        log.error("cluster cannot be asked for another reason", executor=outage.executor, said=outage.said)

    def _end(self, tx: Connection, incident: Incident, now: datetime) -> None:
        at_work = replace(self.context, name=incident.series.pipeline)
        assessment = Assessment("can be asked again", (), SeriesState())
        facts = _facts(at_work, tx, assessment, now, standing=(incident,))
        RunRecorder(at_work).record_without_run(tx, facts, conclude_without_run(facts, {}))

    def _beside(self, outage: ClusterOutage) -> Background:
        """Return what is shown of an outage: why, in the cluster's words, and who waits."""
        config = self.context.config
        return Background(
            said=outage.said, waiting=tuple(config.pipeline[name].title or name for name in outage.pipelines)
        )


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


def _facts(
    context: JudgingContext,
    tx: Connection,
    assessment: Assessment,
    now: datetime,
    *,
    standing: Sequence[Incident] = (),
    since: datetime | None = None,
) -> Facts:
    """Read what an incident is concluded from that takes a turn without a run."""
    last = runs.latest(tx, context.name) or nothing_yet(SeriesKey(context.name), since or now)
    in_force = rules_in_force(tx, now, context.name)
    return FactReader(context, now).without_run(last, assessment, in_force, standing)
