"""What answers about one pipeline's incidents lean on: its places and words, and how its series stand."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection

from bot.config.models import Config
from bot.domain.answers import AnswerPolicy
from bot.domain.hush import say_again
from bot.domain.incidents import Incident, Step, Turn
from bot.domain.judged_run import JudgedRun
from bot.domain.notifications import effects_of
from bot.domain.objects import ObjectKey, channel_of
from bot.domain.rules import Rule
from bot.judging.between_runs import BetweenRuns
from bot.judging.context import JudgingContext
from bot.judging.facts import rules_in_force
from bot.judging.telling import owe_told
from bot.judging.views.answer import RuleNaming
from bot.judging.views.occasion import Occasion
from bot.ports import RunStore
from bot.services.answers_section import Answerable
from bot.store import Database, incidents, objects
from bot.text.locales import Locale
from bot.triage.parts import PartWriter


@dataclass(frozen=True, slots=True)
class Desk:
    """One pipeline, for whoever answers about its incidents."""

    pipeline: str
    config: Config
    database: Database
    run_store: RunStore
    clock: Callable[[], datetime]
    on_step: Callable[[str], None]

    @property
    def is_configured(self) -> bool:
        return self.pipeline in self.config.pipeline

    @property
    def context(self) -> JudgingContext:
        return JudgingContext(self.pipeline, self.config, self.database, self.run_store, self.clock, self.on_step)

    @property
    def title(self) -> str:
        return self.context.title

    @property
    def policy(self) -> AnswerPolicy:
        """How long an answer holds that does not say so itself, as the pipeline's tracker has it."""
        tracker = self.config.tracker.get(self.config.pipeline[self.pipeline].tracker or "")
        if not isinstance(tracker, Answerable):
            return AnswerPolicy()
        answers = tracker.answers
        return AnswerPolicy(answers.noise_lasts, answers.accepted_lasts, answers.watch_runs)

    def tells(self, service: str) -> bool:
        """Say whether the pipeline is told about in that service."""
        section = self.config.pipeline[self.pipeline]
        return service in {section.tracker, section.chat, section.wiki}

    def tickets_of(self, tx: Connection, incident: Incident) -> Sequence[ObjectKey]:
        """Return the tickets that were filed for an incident, of several owners one each."""
        tracker = self.config.pipeline[self.pipeline].tracker
        if tracker is None:
            return ()
        return [each.key for each in objects.tickets_of(tx, tracker, self.config.instance, [incident.incident_id])]

    def writer(self, target: ObjectKey | None) -> PartWriter:
        """Return what writes a reply for whoever reads that ticket or thread."""
        place = () if target is None else (target.service, channel_of(target))
        return PartWriter(self.naming(self.config.locale_of(self.pipeline, *place)))

    def naming(self, locale: Locale) -> RuleNaming:
        zone = self.config.zone_of(self.pipeline)
        return RuleNaming(self.title, self.config.pipeline[self.pipeline].metrics, locale, zone)

    def occasion_of(self, tx: Connection, incident: Incident, now: datetime) -> Occasion:
        step = Step(incident, Turn.REPEATED)
        return BetweenRuns(self.context).occasion(tx, incident.series, now, (step,))

    def last_bad_run(self, tx: Connection, incident: Incident) -> JudgedRun | None:
        return BetweenRuns(self.context).last_bad_run(tx, incident)

    def say_again(self, tx: Connection, ended: Rule, now: datetime) -> None:
        """Tell people of what a rule kept quiet until now, where it still stands and nothing else keeps it quiet."""
        series = ended.scope.series
        held = rules_in_force(tx, now, self.pipeline)
        steps = say_again(incidents.standing(tx, series), held, now)
        if not steps:
            return
        on = BetweenRuns(self.context).occasion(tx, series, now, steps)
        for step in steps:
            incidents.save(tx, step.incident)
        effects = effects_of(f"rule/{ended.number}", steps, on.places, None, has_chart=False)
        owe_told(tx, self.pipeline, effects, on, now)
