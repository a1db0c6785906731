"""Inquiries into incidents: begun from what is on record, and taken on rerun by rerun until the cause is told."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path

from sqlalchemy import Connection

from bot.domain.diagnosis.inquiry import (
    Inquiry,
    InquiryState,
    Outlook,
    guilty_alone,
    is_alike,
    keeps_of,
    look_further,
    obstacles_to,
    on_cut,
    recipe_of,
    recipe_of_pieces,
)
from bot.domain.diagnosis.obstacles import HeldBack
from bot.domain.diagnosis.pieces import Pieces, Unlisted
from bot.domain.diagnosis.posterior import RerunResult
from bot.domain.effects import AnswerComment
from bot.domain.fires import FireState
from bot.domain.incidents import Incident
from bot.domain.recipes import Recipe
from bot.domain.views import AnswerView
from bot.errors import HeraldError
from bot.judging.context import JudgingContext
from bot.judging.inquiry_answers import answer_part, outlook_of, piece_trials_of, reruns_of, trials_of
from bot.judging.inquiry_asking import InquiryAsker
from bot.judging.obstacles import obstacles_of
from bot.judging.pieces import has_pieces, pieces_of
from bot.runtime.log import get_logger
from bot.store import fires, inquiries, objects, outbox, runs
from bot.store.inquiries import InquiryRecord

log = get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Diagnoser:
    """Finds out which change made the incidents of one pipeline."""

    context: JudgingContext

    def begin(self, tx: Connection, incident: Incident, by: str) -> InquiryRecord:
        """Begin an inquiry that *by* asks for, or return the one that runs, or that ended over the same runs.

        Raises:
            DiagnosisError: where config, the incident or its runs give nothing to ask about.
        """
        had = inquiries.of_incident(tx, incident.incident_id)
        if had and had[-1].state is InquiryState.RUNNING:
            return had[-1]
        inquiry = InquiryAsker(self.context).ask(tx, incident, len(had))
        if had and _settled(had[-1], inquiry):
            return had[-1]
        earlier = [one for record in had if is_alike(record.inquiry, inquiry) for one in self._measured(tx, record)]
        inquiry = replace(inquiry, known=(*inquiry.known, *earlier), earlier=len(earlier), asked_by=by)
        inquiries.begin(tx, inquiry, self.context.clock())
        self._go_on(tx, self._find(tx, inquiry))
        return self._find(tx, inquiry)

    def go_on(self, folder: Path) -> None:
        """Take each inquiry of the pipeline one step on: the next rerun is recorded, or what was found is told.

        Relative paths of the config start from *folder*.
        """
        with self.context.database.begin() as tx:
            found = inquiries.running(tx, self.context.name)
        for running in found:
            record = self._look(running, folder)
            pieces = self._pieces(record, folder)
            with self.context.database.begin() as tx:
                if record is not running:
                    inquiries.note(tx, record.inquiry)
                self._go_on(tx, record, pieces)
                self.context.on_step("inquiry.going_on")

    def stop(self, tx: Connection, incident: Incident) -> InquiryRecord:
        """End the inquiry into an incident without an answer, and owe word of it on the ticket.

        Whoever is at work on a rerun that is under way ends it.

        Raises:
            HeraldError: where none is under way.
        """
        now, had = self.context.clock(), inquiries.of_incident(tx, incident.incident_id)
        if not had or had[-1].state is not InquiryState.RUNNING:
            raise HeraldError(f"diagnose {incident.incident_id}: there is none under way to stop")
        inquiry = had[-1].inquiry
        inquiries.end(tx, inquiry, InquiryState.STOPPED, now)
        for fire in reruns_of(tx, inquiry):
            if not fire.state.is_over and fire.started_at is None:
                fires.save(tx, replace(fire, state=FireState.STOPPED, ended_at=now))
        self._tell(tx, inquiry)
        return self._find(tx, inquiry)

    def _measured(self, tx: Connection, record: InquiryRecord) -> list[RerunResult]:
        """Return what reruns of an earlier inquiry measured: they need not be made again."""
        trials = trials_of(tx, record.inquiry)
        return [RerunResult(each.setting, each.value) for each in trials if each.value is not None]

    def _go_on(self, tx: Connection, record: InquiryRecord, pieces: Pieces | None = None) -> None:
        """Record the next rerun, or that it is over; what did it is looked into once its *pieces* are known."""
        inquiry, reruns = record.inquiry, reruns_of(tx, record.inquiry)
        if not all(fire.state.is_over for fire in reruns):
            return
        trials, outlook = trials_of(tx, inquiry), outlook_of(tx, inquiry)
        held, is_late = (
            obstacles_to(inquiry, trials),
            inquiry.until is not None and self.context.clock() > inquiry.until,
        )
        can_rerun = self.context.section.job is not None and not is_late
        if outlook.wanted and can_rerun:
            if inquiry.obstacles is not None:  # else once it has been looked whether it can be set
                recipes = [recipe_of(setting, inquiry.swaps, held) for setting in outlook.wanted]
                self._rerun(tx, record, recipes, held, len(reruns))
            return
        if self._is_to_be_parted(inquiry, outlook):
            if pieces is None:
                return
            inquiry = replace(inquiry, pieces=pieces)
            inquiries.note(tx, inquiry)
        further = look_further(inquiry, trials, piece_trials_of(tx, inquiry))
        if inquiry.pieces is not None and further is not None and further.wanted and can_rerun:
            recipes = [recipe_of_pieces(count, inquiry.pieces, inquiry.swaps, held) for count in further.wanted]
            self._rerun(tx, record, recipes, held, len(reruns))
            return
        diagnosis = replace(outlook.diagnosis, narrowed=None if further is None else further.narrowed)
        inquiries.end(tx, inquiry, InquiryState.ANSWERED, self.context.clock(), diagnosis)
        self._tell(tx, inquiry)

    def _rerun(
        self, tx: Connection, record: InquiryRecord, recipes: Sequence[Recipe], held: HeldBack, had: int
    ) -> None:
        for number, recipe in enumerate(recipes, had + 1):
            due_at = record.asked_at + timedelta(microseconds=number)
            kept = replace(recipe, keeps=keeps_of(recipe, record.inquiry, held))
            recipe_on_cut = on_cut(kept, record.inquiry.cut)
            fires.record(tx, self.context.name, due_at, record.inquiry.inquiry_id, recipe=recipe_on_cut)

    def _look(self, record: InquiryRecord, folder: Path) -> InquiryRecord:
        """Look whether what differs can be set, before anything is rerun: outside of any transaction too."""
        section = self.context.section.diagnose
        if record.inquiry.obstacles is not None or section is None:
            return record
        job = self.context.section.job
        is_here = job is None or self.context.config.runs_here(job.executor)
        seen = obstacles_of(section, record.inquiry.swaps, folder if is_here else None)
        for each in seen:
            component, why = record.inquiry.swaps[each.component].component, each.trouble
            log.warning(
                "cannot be set", pipeline=self.context.name, component=str(component), why=why.said, always=True
            )
        return replace(record, inquiry=replace(record.inquiry, obstacles=seen))

    def _pieces(self, record: InquiryRecord, folder: Path) -> Pieces | None:
        """List the pieces of what did it once that is known: outside of any transaction, as git may take its time."""
        section, inquiry = self.context.section.diagnose, record.inquiry
        with self.context.database.begin() as tx:
            outlook = outlook_of(tx, inquiry)
            good, bad = (runs.find(tx, self.context.name, name) for name in (inquiry.good_run, inquiry.bad_run))
        place = guilty_alone(outlook.diagnosis)
        if section is None or place is None or not self._is_to_be_parted(inquiry, outlook):
            return None
        if good is None or bad is None:  # forgotten meanwhile
            return Pieces(place, unlisted=Unlisted.NO_LIST)
        return pieces_of(section, place, inquiry.swaps[place], good.run, bad.run, folder)

    def _is_to_be_parted(self, inquiry: Inquiry, outlook: Outlook) -> bool:
        """Say whether one component did it alone, and config lets its pieces be told apart, which are not known yet."""
        section, place = self.context.section.diagnose, guilty_alone(outlook.diagnosis)
        if section is None or place is None or outlook.wanted or inquiry.pieces is not None:
            return False
        return inquiry.piece_budget > 0 and has_pieces(section, inquiry.swaps[place])

    def _find(self, tx: Connection, inquiry: Inquiry) -> InquiryRecord:
        found = inquiries.find(tx, inquiry.inquiry_id)
        assert found is not None
        return found

    def _tell(self, tx: Connection, inquiry: Inquiry) -> None:
        """Owe one comment on each ticket of the incident that says what the inquiry came to."""
        context, now = self.context, self.context.clock()
        record = self._find(tx, inquiry)
        incident_id, tracker = inquiry.incident_id, context.section.tracker
        log.info("diagnosed", pipeline=context.name, incident=incident_id, state=record.state.value)
        tickets = [] if tracker is None else objects.tickets_of(tx, tracker, context.config.instance, [incident_id])
        part = answer_part(tx, context.config, record, context.config.locale_of(context.name, tracker or ""))
        owed = []
        for ticket in tickets:
            effect = AnswerComment(ticket.key, f"inquiry/{inquiry.inquiry_id}", incident_id)
            mark = hashlib.sha256(effect.effect_id.encode()).hexdigest()[:16]
            owed.append((effect, AnswerView((part,), "", mark)))
        outbox.owe(tx, context.name, owed, now)


def _settled(record: InquiryRecord, asked: Inquiry) -> bool:
    """Say whether an earlier inquiry has answered what is asked now, of the same runs."""
    is_sure = record.diagnosis is not None and record.diagnosis.is_sure
    return is_sure and record.inquiry.levels == asked.levels and is_alike(record.inquiry, asked)
