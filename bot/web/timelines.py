"""An incident's life: what was seen, made again, told, answered, by whom and when."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta

from bot.domain.effects import (
    AnswerComment,
    AnswerInThread,
    CommentTicket,
    OpenTicket,
    PublishPage,
    ReplyInThread,
    TellChannel,
)
from bot.domain.fires import Fire
from bot.domain.incidents import Incident
from bot.domain.judged_run import JudgedRun
from bot.domain.page_paths import run_path
from bot.domain.page_views import EventName, TimelineRow
from bot.domain.snapshots import IncidentBody, Snapshot
from bot.judging.inquiry_answers import answer_part
from bot.judging.views.answer import RuleNaming
from bot.judging.views.metric_rows import shown_value
from bot.store import fires, inquiries, rules, runs, tellings
from bot.text import formats
from bot.web.reading import Reading

_MOST_RUNS, _MOST = 30, 120
_WITH_IT = timedelta(seconds=2)
_TELLS = (OpenTicket.kind, CommentTicket.kind, TellChannel.kind, ReplyInThread.kind, PublishPage.kind)
_Dated = tuple[datetime, TimelineRow]


def timeline(page: Reading, incident: Incident, told: Sequence[Snapshot]) -> tuple[TimelineRow, ...]:
    """Return the moments of an incident's life, the newest first."""
    rows = [*_seen(page, incident), *_told(page, incident, told), *_answered(page, incident), *_asked(page, incident)]
    rows.sort(key=lambda each: each[0], reverse=True)
    return tuple(row for _, row in rows[:_MOST])


def _seen(page: Reading, incident: Incident) -> Iterator[_Dated]:
    name = incident.series.pipeline
    shown = dict.fromkeys((incident.onset, *incident.bad_runs[:_MOST_RUNS], *incident.bad_runs[-_MOST_RUNS:]))
    for run_id in shown:
        judged = runs.find(page.tx, name, run_id)
        if judged is not None:
            yield judged.run.ended, _of_run(page, EventName.SEEN, judged, incident)
            for fire in fires.reruns_of(page.tx, name, run_id):
                yield fire.started_at or fire.due_at, _rerun(page, fire, judged)
    recovered = runs.find(page.tx, name, incident.recovered_by) if incident.recovered_by else None
    if recovered is not None:
        yield recovered.run.ended, _of_run(page, EventName.RECOVERED, recovered, incident)


def _of_run(page: Reading, kind: EventName, judged: JudgedRun, incident: Incident) -> TimelineRow:
    name = incident.series.pipeline
    metric = next((key for key in incident.metrics if key in judged.run.metrics), "")
    section = page.section(name).metrics.get(metric)
    value = shown_value(judged.run.metrics.get(metric), section) if section is not None else ""
    return TimelineRow(
        kind,
        page.moment(judged.run.ended, name),
        run=judged.run.name or judged.run.run_id,
        href=page.ways.to(run_path(name, judged.run.run_id)),
        value=f"{page.plain(name, metric)} {value}" if value else "",
        outcome=judged.outcome,
    )


def _rerun(page: Reading, fire: Fire, judged: JudgedRun) -> TimelineRow:
    name = judged.series.pipeline
    measured = next(iter(fire.measured.items()), None)
    section = None if measured is None else page.section(name).metrics.get(measured[0])
    value = ""
    if measured is not None and section is not None:
        value = f"{page.plain(name, measured[0])} {shown_value(measured[1], section)}"
    when = page.moment(fire.started_at or fire.due_at, name)
    return TimelineRow(EventName.RERUN, when, run=judged.run.name, value=value, by=fire.recipe.name, state=fire.state)


def _told(page: Reading, incident: Incident, told: Sequence[Snapshot]) -> Iterator[_Dated]:
    name = incident.series.pipeline
    delivered = tellings.of_incident(page.tx, incident.incident_id, _TELLS)
    for each in told:
        if isinstance(each.body, IncidentBody):
            places = sorted({service for service, owed_at in delivered if owed_at == each.as_of})
            sentence = each.body.sentences.get(page.locale, "")
            row = TimelineRow(
                EventName.TOLD,
                page.moment(each.as_of, name),
                turn=each.body.turn,
                sentence=sentence,
                places=tuple(places),
            )
            yield each.as_of, row


def _answered(page: Reading, incident: Incident) -> Iterator[_Dated]:
    name = incident.series.pipeline
    naming = RuleNaming(page.title(name), page.section(name).metrics, page.locale, page.zone(name))
    for rule in rules.of_incident(page.tx, incident.incident_id):
        row = naming.row(rule)
        by = str(rule.author)
        when = page.moment(rule.made_at, name)
        yield rule.made_at, TimelineRow(EventName.ANSWERED, when, rule=row, rule_kind=rule.kind, by=by)
        if rule.undone_at is not None:
            undone = page.moment(rule.undone_at, name)
            yield rule.undone_at, TimelineRow(EventName.UNDONE, undone, rule=row, by=row.undone_by)


def _asked(page: Reading, incident: Incident) -> Iterator[_Dated]:
    name = incident.series.pipeline
    told = tellings.of_incident(page.tx, incident.incident_id, (AnswerComment.kind, AnswerInThread.kind))
    for record in inquiries.of_incident(page.tx, incident.incident_id):
        when = page.moment(record.asked_at, name)
        yield record.asked_at, TimelineRow(EventName.ASKED, when, by=record.inquiry.asked_by)
        if record.ended_at is not None:
            ended = page.moment(record.ended_at, name)
            lasted = formats.duration(record.ended_at - record.asked_at, page.locale)
            yield (
                record.ended_at,
                TimelineRow(
                    EventName.DIAGNOSED,
                    ended,
                    value=lasted,
                    state=record.state,
                    diagnosis=answer_part(page.tx, page.config, record, page.locale).diagnosis,
                    places=tuple(sorted({place for place, at in told if _is_of(record.ended_at, at)})),
                ),
            )


def _is_of(ended_at: datetime, owed_at: datetime) -> bool:
    """Say whether an answer was owed when a diagnosis ended."""
    return abs(owed_at - ended_at) < _WITH_IT
