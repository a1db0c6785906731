"""Acts on what people say: each answer once, with all that follows from it, in the transaction that notes it."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import assert_never

from sqlalchemy import Connection

from bot.config.models import Config
from bot.domain.answers import Answered, Asked, Unanswerable, answer, asked_by, take_back
from bot.domain.commands import (
    Accept,
    AskWhy,
    AssignMe,
    CallNoise,
    Diagnose,
    Expected,
    Fixed,
    Help,
    Mute,
    Rerun,
    Said,
    ShowRules,
    Undo,
    Unreadable,
)
from bot.domain.effects import AnswerComment, AnswerInThread, AssignTicket, Effect, ResolveTicket
from bot.domain.objects import Marker, ObjectKey, ObjectKind
from bot.domain.rules import Medium, Person, Rule, SaidAt
from bot.domain.views import AnswerKind, AnswerPart, AnswerView, AssigneeView, View
from bot.errors import DiagnosisError
from bot.judging.diagnosing import Diagnoser
from bot.judging.facts import rules_in_force
from bot.judging.inquiry_answers import answer_part
from bot.ports import RunStore
from bot.runtime.log import get_logger
from bot.runtime.steps import ignore_step
from bot.store import Database, fires, heard, incidents, objects, outbox, rules
from bot.store.heard import Became
from bot.triage.desks import Desk
from bot.triage.quiet_pages import QuietPages
from bot.triage.statements import Closing, Matter, Statement, question_of

log = get_logger(__name__)

_REFUSED = {
    Unanswerable.OVER: AnswerKind.OVER,
    Unanswerable.LOOP: AnswerKind.LOOP,
    Unanswerable.PAST: AnswerKind.PAST,
}


@dataclass(slots=True)
class _Reply:
    """What is gathered while the commands of one statement are carried out, in their order."""

    parts: list[AnswerPart] = field(default_factory=list)
    owed: list[tuple[Effect, View | None]] = field(default_factory=list)
    changed: list[Rule] = field(default_factory=list)  # rules that were made or taken back


@dataclass(frozen=True, slots=True)
class Answering:
    """Acts on answers about the incidents of all configured pipelines."""

    config: Config
    database: Database
    run_store: RunStore
    clock: Callable[[], datetime]
    on_step: Callable[[str], None] = ignore_step

    def desk(self, pipeline: str) -> Desk:
        return Desk(pipeline, self.config, self.database, self.run_store, self.clock, self.on_step)

    def pass_over(self, tx: Connection, statement: Statement, became: Became) -> None:
        """Note that something was said which asks nothing of Herald, so that a later edit asks nothing either."""
        heard.hear(tx, statement.said_at, became, self.clock())

    def refuse(self, tx: Connection, matter: Matter, statement: Statement) -> None:
        """Tell somebody who may give no commands so, once a place."""
        said = statement.said_at
        was_told = heard.was_refused(tx, said.service, said.place)
        if heard.hear(tx, said, Became.REFUSED, self.clock()) and not was_told:
            self._owe(tx, matter, statement, _Reply([AnswerPart(AnswerKind.STRANGER)]))

    def act(self, tx: Connection, matter: Matter, statement: Statement) -> Sequence[AnswerPart]:
        """Carry out the commands of one statement, and owe one reply to them; nothing where it was heard before."""
        if not heard.hear(tx, statement.said_at, Became.ANSWERED, self.clock()):
            return ()
        self.on_step("answer.heard")
        reply = _Reply()
        for said in statement.commands:
            incident = incidents.find(tx, matter.incident.incident_id) or matter.incident
            self._carry_out(tx, replace(matter, incident=incident), statement, said, reply)
        self._owe(tx, matter, statement, reply)
        for undone in (rule for rule in reply.changed if rule.undone_at is not None):
            self._say_again(tx, undone)  # last: what the same comment asked for may keep it quiet still
        self.on_step("answer.owed")
        log.info("answered", place=str(matter.target), commands=len(statement.commands))
        return reply.parts

    def close(self, tx: Connection, matter: Matter, closing: Closing) -> Sequence[AnswerPart]:
        """Act on how somebody closed a ticket; what config says nothing of is asked about once a ticket."""
        now, said = self.clock(), closing.said_at
        if not heard.hear(tx, said, Became.ANSWERED, now):
            return ()
        self.on_step("answer.heard")
        reply, statement = _Reply(), Statement(said, closing.author, ())
        if closing.meaning is not None:
            joins = self._joined(tx, closing.duplicate_of, said.service)
            asked = Asked(closing.meaning, closing.author, said, joins=joins, repeats=closing.duplicate_of)
            self._rule(tx, matter, asked, reply, closing.name)
        elif heard.hear(tx, question_of(said), Became.ANSWERED, now):
            reply.parts.append(self.desk(matter.pipeline).writer(matter.target).unmapped(closing.name))
        if reply.parts:
            self._owe(tx, matter, statement, reply)
        self.on_step("answer.owed")
        return reply.parts

    def tell_full(self, tx: Connection, matter: Matter) -> None:
        """Say on a ticket, once, that it has no room for more comments: from then on none is made there."""
        assert matter.target is not None
        said = SaidAt(Medium.COMMENT, matter.target.service, matter.target.name, "full")
        if heard.hear(tx, said, Became.NOTHING, self.clock()):
            statement = Statement(said, Person(""), ())
            self._owe(tx, matter, statement, _Reply([AnswerPart(AnswerKind.FULL)]))

    def undo(self, tx: Connection, number: int, statement: Statement) -> Rule | None:
        """Take a rule back, whatever it is about; what it kept quiet is said where it still stands."""
        undone = self._take_back(tx, number, statement)
        if undone is not None:
            self._say_again(tx, undone)
        return undone

    def _take_back(self, tx: Connection, number: int, statement: Statement) -> Rule | None:
        undone = rules.undo(tx, number, statement.author, self.clock())
        incident = None if undone is None else incidents.find(tx, undone.scope.incident_id)
        if undone is not None and incident is not None:
            incidents.save(tx, take_back(undone, incident))
        return undone

    def _say_again(self, tx: Connection, undone: Rule) -> None:
        desk = self.desk(undone.scope.series.pipeline)
        if desk.is_configured:
            desk.say_again(tx, undone, self.clock())

    def _carry_out(self, tx: Connection, matter: Matter, statement: Statement, said: Said, reply: _Reply) -> None:
        now, writer = self.clock(), self.desk(matter.pipeline).writer(matter.target)
        match said:
            case Fixed() | Expected() | CallNoise() | Mute() | Accept():
                zone = self.config.zone_of(matter.pipeline)
                asked = asked_by(said, statement.author, statement.said_at, now, zone)
                assert asked is not None
                self._rule(tx, matter, asked, reply)
            case Rerun():
                reply.parts.append(self._rerun(tx, matter, now))
            case Diagnose():
                reply.parts.append(self._diagnose(tx, matter, statement.author))
            case AssignMe():
                self._assign(matter, statement, reply)
            case AskWhy():
                on = self.desk(matter.pipeline).occasion_of(tx, matter.incident, now)
                reply.parts.append(writer.why(on, matter.incident))
            case ShowRules():
                held = rules_in_force(tx, now, matter.pipeline)
                reply.parts.append(writer.rules(r for r in held if r.scope.series == matter.incident.series))
            case Undo(number):
                self._undo(tx, matter, statement, number, reply)
            case Help():
                reply.parts.append(writer.help())
            case Unreadable():
                reply.parts.append(writer.unreadable(said))
            case _:
                assert_never(said)

    def _rule(self, tx: Connection, matter: Matter, asked: Asked, reply: _Reply, closed_as: str = "") -> None:
        """Let an answer hold from now on."""
        now, incident, desk = self.clock(), matter.incident, self.desk(matter.pipeline)
        bad = desk.last_bad_run(tx, incident)
        held = rules.in_force(tx, now)
        came = answer(incident, asked, desk.policy, now, held, () if bad is None else bad.findings)
        match came:
            case Unanswerable():
                reply.parts.append(AnswerPart(_REFUSED[came], closed_as=closed_as))
                return
            case Answered():
                rule = rules.add(tx, came.rule)
                for replaced in came.replaces:
                    rules.undo(tx, replaced.number, asked.author, now)
                incidents.save(tx, came.incident)
            case _:
                assert_never(came)
        reply.changed.append(rule)
        for ticket in desk.tickets_of(tx, incident) if came.closes else ():
            if ticket != matter.target or not closed_as:
                reply.owed.append((ResolveTicket(ticket, f"rule/{rule.number}", incident.incident_id), None))
        watch = came.incident.watch
        watched = watch.runs if watch is not None and not came.incident.state.is_over else 0
        reply.parts.append(desk.writer(matter.target).rule(rule, watched, closed_as, came.replaces))

    def _undo(self, tx: Connection, matter: Matter, statement: Statement, number: int, reply: _Reply) -> None:
        """Take a rule back that is about the same service; of others' rules nobody decides here."""
        found = rules.find(tx, number)
        desk = None if found is None else self.desk(found.scope.series.pipeline)
        is_here = desk is not None and desk.is_configured and _is_told(desk, matter.target)
        undone = self._take_back(tx, number, statement) if is_here else None
        if undone is None or desk is None:
            reply.parts.append(AnswerPart(AnswerKind.NO_RULE, said=str(number)))
            return
        reply.changed.append(undone)
        reply.parts.append(desk.writer(matter.target).undone(undone))

    def _rerun(self, tx: Connection, matter: Matter, now: datetime) -> AnswerPart:
        """Let the pipeline's job run once more, by another seed; one that waits already is not asked for twice."""
        desk = self.desk(matter.pipeline)
        if self.config.pipeline[matter.pipeline].job is None:
            return AnswerPart(AnswerKind.NO_JOB, said=desk.title)
        if not any(fire.by_hand for fire in fires.unfinished(tx, matter.pipeline)):
            fires.record(tx, matter.pipeline, now, by_hand=True)
        return AnswerPart(AnswerKind.RERUN, said=desk.title)

    def _diagnose(self, tx: Connection, matter: Matter, author: Person) -> AnswerPart:
        """Let reruns find out which change did it; where they have, say once more what they found."""
        desk = self.desk(matter.pipeline)
        diagnoser = Diagnoser(desk.context)
        try:
            record = diagnoser.begin(tx, matter.incident, str(author))
        except DiagnosisError as error:
            return AnswerPart(AnswerKind.CANNOT_ASK, said=error.reason)
        if record.diagnosis is None:
            return AnswerPart(AnswerKind.ASKED, said=desk.title)
        return answer_part(tx, self.config, record, desk.writer(matter.target).locale)

    def _assign(self, matter: Matter, statement: Statement, reply: _Reply) -> None:
        said, person = statement.said_at, statement.author
        if said.medium is not Medium.COMMENT or matter.target is None:  # elsewhere they are known by another name
            reply.parts.append(AnswerPart(AnswerKind.CANNOT_ASSIGN, said=str(person)))
            return
        effect = AssignTicket(matter.target, f"said/{said.said_id}", matter.incident.incident_id)
        reply.owed.append((effect, AssigneeView(person.account, str(person))))
        reply.parts.append(AnswerPart(AnswerKind.ASSIGNED, said=str(person)))

    def _joined(self, tx: Connection, key: str, service: str) -> str:
        """Return the incident whose ticket another repeats, or that ticket's key where it is none of ours."""
        known = objects.known_as(tx, service, ObjectKind.TICKET, [key] if key else []).get(key)
        marker = None if known is None else Marker.read(known.key.name)
        return key if marker is None else marker.incident_id

    def _owe(self, tx: Connection, matter: Matter, statement: Statement, reply: _Reply) -> None:
        """Owe the reply, all that it announces, and the pages that show it."""
        now = self.clock()
        effect = reply_to(matter, statement)
        if effect is not None:
            reply.owed.append((effect, AnswerView(tuple(reply.parts), str(statement.author), mark_of(effect))))
        outbox.owe(tx, matter.pipeline, reply.owed, now)
        QuietPages(self.config, self.desk).owe(tx, reply.changed, now)


def mark_of(reply: AnswerComment | AnswerInThread | None) -> str:
    """Return what a reply is found again by."""
    return "" if reply is None else hashlib.sha256(reply.effect_id.encode()).hexdigest()[:16]


def reply_to(matter: Matter, statement: Statement) -> AnswerComment | AnswerInThread | None:
    """Return the effect that answers a statement, where there is a place for it; its id follows from what was said."""
    target, incident_id = matter.target, matter.incident.incident_id
    cause = f"{statement.said_at.medium}/{statement.said_at.said_id}"
    if target is None:
        return None
    if target.kind is ObjectKind.MESSAGE:
        return AnswerInThread(target, cause, incident_id, needs=(target,))
    return AnswerComment(target, cause, incident_id)


def _is_told(desk: Desk, target: ObjectKey | None) -> bool:
    """Say whether what is said there decides about a pipeline; by hand everything is."""
    return target is None or desk.tells(target.service)
