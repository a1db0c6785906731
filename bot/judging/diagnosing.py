"""Inquiries into incidents: begun from what is on record, and taken on rerun by rerun until the cause is told."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path

from sqlalchemy import Connection

from bot.domain.diagnosis.differences import differences, setting_of
from bot.domain.diagnosis.inquiry import (
    Inquiry,
    InquiryState,
    Outlook,
    guilty_alone,
    is_alike,
    look_further,
    on_cut,
    part_known,
    recipe_of,
    recipe_of_pieces,
)
from bot.domain.diagnosis.pieces import Pieces, Unlisted
from bot.domain.diagnosis.posterior import RerunResult, levels_of
from bot.domain.effects import AnswerComment
from bot.domain.fires import FireState
from bot.domain.incidents import Incident, Kind
from bot.domain.judge.ranges import effect_at
from bot.domain.judged_run import JudgedRun
from bot.domain.manifest import manifest_of
from bot.domain.recipes import Recipe
from bot.domain.views import AnswerView
from bot.errors import DiagnosisError, HeraldError, NoInquiry
from bot.judging.context import JudgingContext
from bot.judging.inquiry_answers import answer_part, outlook_of, piece_trials_of, reruns_of, trials_of
from bot.judging.pieces import has_pieces, pieces_of
from bot.judging.swaps import cut_of, swaps_of
from bot.runtime.log import get_logger
from bot.store import fires, inquiries, objects, outbox, runs
from bot.store.inquiries import InquiryRecord

_ACCEPTED = 20
_BAD = 5

log = get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Diagnoser:
    """Finds out which change made the incidents of one pipeline."""

    context: JudgingContext

    def begin(self, tx: Connection, incident: Incident) -> InquiryRecord:
        """Begin an inquiry into an incident, or return the one that runs, or that ended over the same runs.

        Raises:
            DiagnosisError: where config, the incident or its runs give nothing to ask about.
        """
        had = inquiries.of_incident(tx, incident.incident_id)
        if had and had[-1].state is InquiryState.RUNNING:
            return had[-1]
        inquiry = self._ask(tx, incident, len(had))
        if had and _settled(had[-1], inquiry):
            return had[-1]
        earlier = [one for record in had if is_alike(record.inquiry, inquiry) for one in self._measured(tx, record)]
        inquiry = replace(inquiry, known=(*inquiry.known, *earlier))
        inquiries.begin(tx, inquiry, self.context.clock())
        self._go_on(tx, self._find(tx, inquiry))
        return self._find(tx, inquiry)

    def go_on(self, folder: Path) -> None:
        """Take each inquiry of the pipeline one step on: the next rerun is recorded, or what was found is told.

        Relative paths of the config start from *folder*.
        """
        with self.context.database.begin() as tx:
            found = inquiries.running(tx, self.context.name)
        for record in found:
            pieces = self._pieces(record, folder)
            with self.context.database.begin() as tx:
                self._go_on(tx, record, pieces)
                self.context.on_step("inquiry.going_on")

    def stop(self, tx: Connection, incident: Incident) -> InquiryRecord:
        """End the inquiry into an incident without an answer, and owe word of it on the ticket.

        A rerun that is under way ends by itself, and says nothing any more.

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
        outlook, is_late = outlook_of(tx, inquiry), inquiry.until is not None and self.context.clock() > inquiry.until
        can_rerun = self.context.section.job is not None and not is_late
        if outlook.wanted is not None and can_rerun:
            self._rerun(tx, record, recipe_of(outlook.wanted, inquiry.swaps), len(reruns))
            return
        if self._is_to_be_parted(inquiry, outlook):
            if pieces is None:
                return
            inquiry = replace(inquiry, pieces=pieces)
            inquiries.note(tx, inquiry)
        further = look_further(inquiry, trials_of(tx, inquiry), piece_trials_of(tx, inquiry))
        if inquiry.pieces is not None and further is not None and further.wanted is not None and can_rerun:
            self._rerun(tx, record, recipe_of_pieces(further.wanted, inquiry.pieces, inquiry.swaps), len(reruns))
            return
        diagnosis = replace(outlook.diagnosis, narrowed=None if further is None else further.narrowed)
        inquiries.end(tx, inquiry, InquiryState.ANSWERED, self.context.clock(), diagnosis)
        self._tell(tx, inquiry)

    def _rerun(self, tx: Connection, record: InquiryRecord, recipe: Recipe, had: int) -> None:
        due_at = record.asked_at + timedelta(microseconds=had + 1)
        recipe = on_cut(recipe, record.inquiry.cut)
        fires.record(tx, self.context.name, due_at, record.inquiry.inquiry_id, recipe=recipe)

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
        if section is None or place is None or outlook.wanted is not None or inquiry.pieces is not None:
            return False
        return inquiry.piece_budget > 0 and has_pieces(section, inquiry.swaps[place])

    def _find(self, tx: Connection, inquiry: Inquiry) -> InquiryRecord:
        found = inquiries.find(tx, inquiry.inquiry_id)
        assert found is not None
        return found

    def _ask(self, tx: Connection, incident: Incident, had: int) -> Inquiry:
        """Gather what an inquiry into an incident is about."""
        context = self.context
        section, where = context.section.diagnose, f"[pipeline.{context.name}.diagnose]"
        if section is None or context.section.job is None:
            raise _no(incident, NoInquiry.NOT_CONFIGURED, f"{where} should say how components are set")
        if incident.kind is not Kind.REGRESSED:
            raise _no(incident, NoInquiry.OTHER_KIND, f"it is {incident.kind.value}, not something worse")
        metric = next((each for each in context.section.policies.metrics if each.name in incident.whole), None)
        bad = [] if metric is None else self._bad_runs(tx, incident, metric.name)
        if metric is None or not bad:
            raise _no(incident, NoInquiry.NO_RUNS, "none of its runs is on record with a whole metric that fell")
        earlier = runs.recent(tx, incident.series, _ACCEPTED, accepted_only=True, ahead_of=bad[0].run)
        accepted = [each for each in earlier if metric.name in each.run.metrics]
        if not accepted:
            raise _no(incident, NoInquiry.UNKNOWN_NOISE, "no accepted run is on record from before it")
        manifests = [manifest_of(each.run, each.card) for each in accepted]
        all_found = differences(manifests, manifest_of(bad[0].run, bad[0].card))
        found = all_found.found
        swaps, left_out = swaps_of(section, found, accepted[-1].run, bad[0].run)
        if not swaps:
            differing = ", ".join(str(each.component) for each in found) or "nothing on record"
            raise _no(incident, NoInquiry.NOTHING_TO_SET, f"{where} does not say how to set what differs: {differing}")
        names = {swap.component for swap in swaps}
        settings = [setting_of(each, [one for one in found if one.component in names]) for each in manifests]
        cut = cut_of(section, bad[0].run)
        if cut is None:
            raise _no(incident, NoInquiry.NOTHING_TO_SET, f"{where} names in cut what the bad run does not have")
        good, known = part_known(settings, [each.run.metrics[metric.name] for each in accepted])
        try:
            levels = levels_of(good, [each.run.metrics[metric.name] for each in bad], section.share)
        except ValueError as error:
            raise _no(incident, NoInquiry.UNKNOWN_NOISE, str(error)) from error
        text = "\x1f".join((incident.incident_id, bad[-1].run.run_id, str(had)))
        return Inquiry(
            inquiry_id=hashlib.sha256(text.encode()).hexdigest()[:16],
            pipeline=context.name,
            incident_id=incident.incident_id,
            metric=metric.name,
            smallest=effect_at(metric, levels.before),
            good_run=accepted[-1].run.run_id,
            bad_run=bad[0].run.run_id,
            levels=levels,
            swaps=swaps,
            known=known if section.cut is None else (),  # they saw all the data
            left_out=left_out,
            budget=section.reruns,
            piece_budget=section.reruns_within,
            until=None if section.timeout is None else context.clock() + section.timeout,
            has_other_test_set=all_found.has_other_test_set,
            cut=cut,
        )

    def _bad_runs(self, tx: Connection, incident: Incident, metric: str) -> list[JudgedRun]:
        """Return the first runs since the metric fell: it may have joined the incident, or be back in it."""
        names = dict.fromkeys((incident.onset, *incident.bad_runs))
        found = (runs.find(tx, self.context.name, run_id) for run_id in names)
        there = sorted((each for each in found if each is not None), key=lambda each: each.run.place)
        said = [f for each in there[-1:] for f in each.findings if f.key == metric and f.onset is not None]
        onset = runs.find(tx, self.context.name, said[0].onset or "") if said else None
        if onset is not None:
            there = [onset, *(each for each in there if each.run.place > onset.run.place)]
        return [each for each in there if metric in each.run.metrics][:_BAD]

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


def _no(incident: Incident, reason: NoInquiry, why: str) -> DiagnosisError:
    return DiagnosisError(f"diagnose {incident.incident_id}: {why}", reason)
