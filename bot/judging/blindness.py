"""Whether a pipeline's runs could be looked at: noted after each look, and told where they could not for too long."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from types import MappingProxyType

from sqlalchemy import Connection

from bot.domain.blindness import A_DAY, Look, find_blindness, missed, saw
from bot.domain.conclusion import conclude_without_run
from bot.domain.incidents import Incident, IncidentState, Kind, SeriesKey
from bot.domain.judge import Assessment, SeriesState
from bot.judging.context import JudgingContext
from bot.judging.facts import FactReader, rules_in_force
from bot.judging.run_recording import Background, RunRecorder
from bot.judging.silence import nothing_yet
from bot.runtime.log import get_logger
from bot.store import incidents, looks, runs

log = get_logger(__name__)


@dataclass(frozen=True, slots=True)
class BlindnessWatch:
    """Keeps how the looks at one pipeline have gone."""

    context: JudgingContext

    def saw(self) -> None:
        """Note that all there was could be seen; what was told of blindness is over."""
        now = self.context.clock()
        with self.context.database.begin() as tx:
            before = looks.of_pipeline(tx, self.context.name)
            looks.save(tx, saw(before, now))
            for incident in self._standing(tx):
                self._end(tx, incident)
        if before.unseen_since is not None:
            log.info("can look again", pipeline=self.context.name, since=before.unseen_since.isoformat())

    def missed(self, said: str) -> None:
        """Note that it could not be looked, in the words of whoever was asked."""
        with self.context.database.begin() as tx:
            before = looks.of_pipeline(tx, self.context.name)
            looks.save(tx, missed(before, self.context.clock(), said))

    def look_for_blindness(self) -> None:
        """File that nothing could be seen for longer than the pipeline's cadence, or a day where it has none."""
        silence, now = self.context.section.silence_policy, self.context.clock()
        with self.context.database.begin() as tx:
            look = looks.of_pipeline(tx, self.context.name)
            finding = find_blindness(look, A_DAY if silence is None else silence.cadence, now)
            if finding is None or look.failing_since is None or look.unseen_since is None or self._standing(tx):
                return
            opened_by = f"unseen since {look.failing_since.isoformat()}"
            assessment = Assessment(opened_by, (finding,), SeriesState())
            self._tell(tx, assessment, look, ends={opened_by: look.unseen_since})
        log.error("cannot look", pipeline=self.context.name, since=look.unseen_since.isoformat(), said=look.said)

    def _standing(self, tx: Connection) -> list[Incident]:
        found = incidents.standing(tx, SeriesKey(self.context.name))
        return [each for each in found if each.kind is Kind.BLIND and each.state is IncidentState.OPEN]

    def _end(self, tx: Connection, incident: Incident) -> None:
        self._tell(tx, Assessment("seen again", (), SeriesState()), Look(self.context.name), standing=(incident,))

    def _tell(
        self,
        tx: Connection,
        assessment: Assessment,
        look: Look,
        *,
        standing: Sequence[Incident] = (),
        ends: Mapping[str, datetime] = MappingProxyType({}),
    ) -> None:
        """Let the incident take its turn, and owe what people are to be told of it."""
        name, now = self.context.name, self.context.clock()
        last = runs.latest(tx, name) or nothing_yet(SeriesKey(name), look.failing_since or now)
        facts = FactReader(self.context, now).without_run(last, assessment, rules_in_force(tx, now, name), standing)
        RunRecorder(self.context).record_without_run(
            tx, facts, conclude_without_run(facts, ends), Background(said=look.said)
        )
