"""Whether a pipeline's runs could be looked at: noted after each look, and told where they could not for too long."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection

from bot.config.pipeline import PipelineSection
from bot.domain.blindness import A_DAY, Look, find_blindness, missed, saw
from bot.domain.incidents import Incident, IncidentState, Kind, SeriesKey, advance
from bot.domain.judge import Assessment, SeriesState
from bot.judging import run_views
from bot.judging.judging import Judging
from bot.runtime.log import get_logger
from bot.store import incidents, looks, runs

log = get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Lookout:
    """Keeps how the looks at one pipeline have gone."""

    judging: Judging

    @property
    def _section(self) -> PipelineSection:
        return self.judging.pipeline

    def saw(self) -> None:
        """Note that all there was could be seen; what was told of blindness is over."""
        now = self.judging.clock()
        with self.judging.database.begin() as tx:
            before = looks.of_pipeline(tx, self.judging.name)
            looks.save(tx, saw(before, now))
            for incident in self._standing(tx):
                self._end(tx, incident)
        if before.unseen_since is not None:
            log.info("can look again", pipeline=self.judging.name, since=before.unseen_since.isoformat())

    def missed(self, said: str) -> None:
        """Note that it could not be looked, in the words of whoever was asked."""
        with self.judging.database.begin() as tx:
            before = looks.of_pipeline(tx, self.judging.name)
            looks.save(tx, missed(before, self.judging.clock(), said))

    def look_for_blindness(self) -> None:
        """File that nothing could be seen for longer than the pipeline's cadence, or a day where it has none."""
        silence, now = self._section.silence_policy, self.judging.clock()
        with self.judging.database.begin() as tx:
            look = looks.of_pipeline(tx, self.judging.name)
            finding = find_blindness(look, A_DAY if silence is None else silence.cadence, now)
            if finding is None or look.failing_since is None or look.unseen_since is None or self._standing(tx):
                return
            opened_by = f"unseen since {look.failing_since.isoformat()}"
            assessment = Assessment(opened_by, (finding,), SeriesState())
            ends = {opened_by: look.unseen_since}
            self._turn(tx, (), assessment, ends, look)
        log.error("cannot look", pipeline=self.judging.name, since=look.unseen_since.isoformat(), said=look.said)

    def _standing(self, tx: Connection) -> list[Incident]:
        found = incidents.standing(tx, SeriesKey(self.judging.name))
        return [each for each in found if each.kind is Kind.BLIND and each.state is IncidentState.OPEN]

    def _end(self, tx: Connection, incident: Incident) -> None:
        look = Look(self.judging.name)
        self._turn(tx, (incident,), Assessment("seen again", (), SeriesState()), {}, look)

    def _turn(
        self,
        tx: Connection,
        known: tuple[Incident, ...],
        assessment: Assessment,
        ends: dict[str, datetime],
        look: Look,
    ) -> None:
        """Let the incident take its turn, and owe what people are to be told of it."""
        now, series = self.judging.clock(), SeriesKey(self.judging.name)
        steps = advance(known, assessment, series, self._section.incident_policy, now, ends)
        last = runs.latest(tx, self.judging.name) or run_views.nothing_yet(series, look.failing_since or now)
        for step in steps:
            incidents.save(tx, step.incident)
        self.judging.owe_without_run(tx, last, assessment, steps, now, said=look.said)
