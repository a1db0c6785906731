"""Tickets, and the comments on them."""

from __future__ import annotations

import hashlib
from typing import assert_never

from bot.domain.effects import Effect
from bot.domain.headlines import most_telling
from bot.domain.incidents import UNSEEN, Incident, Kind, Step, Turn
from bot.domain.judge import Against
from bot.domain.notifications import LISTED
from bot.domain.reminding import waits_since
from bot.domain.views import CommentKind, CommentView, MetricRow, NewsView, TicketView
from bot.judging.views.chart import chart_view, legend_of
from bot.judging.views.differences import compared, differences_of, params
from bot.judging.views.examples import examples_view
from bot.judging.views.face import face_of, live_incident
from bot.judging.views.incident import assignee, duration, links, marker, owner
from bot.judging.views.metric_rows import metric_rows, row_of, worst_row
from bot.judging.views.occasion import Occasion
from bot.judging.views.run import release, run_view
from bot.judging.views.verdict import verdict_view
from bot.text import formats

_SLICES_TOLD = 5


def ticket_view(on: Occasion, step: Step) -> TicketView:
    told, chart = face_of(on, step), chart_view(on, step)
    return TicketView(
        verdict=told.verdict,
        run=told.run,
        onset=told.onset,
        rows=told.rows,
        slices=told.slices[:_SLICES_TOLD],
        facts=told.different,
        owner=owner(on, step.incident),
        assignee=assignee(on, step.incident),
        examples=examples_view(on, step),
        marker=marker(on, step.incident),
        chart=chart.filename if chart else "",
        legend=legend_of(on, chart),
        log_tail=on.log_tail,
        release=release(on) if any(f.against is Against.PINNED for f in on.assessment.findings) else None,
        compared=compared(on, differences_of(on, step)),
        unknown=told.unknown,
        listens=on.places.listens,
        resolves=on.places.resolves,
        links=links(report=on.page, earlier=on.places.earlier_ticket(step.incident)),
        live=live_incident(on, step),
    )


def comment_view(on: Occasion, step: Step, effect: Effect) -> CommentView:
    kind = _kind_of(step.turn)
    news = None if kind.is_end else _news(on, step)
    return CommentView(
        kind=kind,
        verdict=verdict_view(on, step),
        run=run_view(on, on.history[-1].run),
        rows=metric_rows(on, step, only=step.incident.metrics) if news is None else _rows_of_news(on, step),
        mark=hashlib.sha256(effect.effect_id.encode()).hexdigest()[:16],
        duration=_duration_told(on, step.incident, kind),
        links=links(report=on.page),
        news=news,
        asked=on.config.tickets.escalate_to,
        examples=examples_view(on, step) if step.turn in LISTED else None,
    )


def result_view(on: Occasion, effect: Effect) -> CommentView:
    """Show what an experiment came to: its verdict, its metrics, and what it was made with."""
    return CommentView(
        kind=CommentKind.RESULT,
        verdict=verdict_view(on, None),
        run=run_view(on, on.history[-1].run),
        rows=metric_rows(on),
        mark=hashlib.sha256(effect.effect_id.encode()).hexdigest()[:16],
        links=links(report=on.page),
        params=params(on),
    )


def _duration_told(on: Occasion, incident: Incident, kind: CommentKind) -> str:
    """Return how long it lasted, or of a reminder how long nobody has answered; of anything else nothing."""
    if kind is CommentKind.REMINDER:
        since = waits_since(incident)
        return "" if since is None else formats.duration(on.now - since, on.locale)
    return duration(on, incident) if kind.is_recovery else ""


def _news(on: Occasion, step: Step) -> NewsView | None:
    """Return what is new since the last word; None where that word, or how often it was bad since, is not known.

    Of what no run shows there is nothing to count.
    """
    news = step.news
    if news is None or not news.bad_runs or step.incident.kind in UNSEEN:
        return None
    fallen = most_telling(f for f in on.assessment.findings if f.key in step.incident.fallen)
    joined = [f for f in fallen if f.key in news.joined]
    worse = [worst_row(on, f, news.worse[f.key]) for f in fallen if f.key in news.worse]
    return NewsView(str(news.bad_runs), tuple(row_of(on, f).plain for f in joined), tuple(worse))


def _rows_of_news(on: Occasion, step: Step) -> tuple[MetricRow, ...]:
    """Return the metrics that a repeat has something new to say of; of what cannot be judged, or failed, all."""
    if step.incident.kind not in {Kind.REGRESSED, Kind.BREACHED} or step.news is None:
        return metric_rows(on, step, only=step.incident.metrics)
    new = (step.news.joined | step.news.worse.keys()) & step.incident.fallen
    told = on.assessment.findings
    return tuple(row_of(on, f) for f in most_telling(f for f in told if f.key in new))


def _kind_of(turn: Turn) -> CommentKind:
    match turn:
        case Turn.RESOLVED:
            return CommentKind.RECOVERY
        case Turn.WITHDRAWN:
            return CommentKind.WITHDRAWN
        case Turn.CONFIRMED:
            return CommentKind.CONFIRMED
        case Turn.REOPENED:
            return CommentKind.REOPENED
        case Turn.SAID_AGAIN:
            return CommentKind.SAID_AGAIN
        case Turn.RETURNED:
            return CommentKind.RETURNED
        case Turn.REMINDED:
            return CommentKind.REMINDER
        case Turn.SUSPECTED | Turn.FILED | Turn.REPEATED | Turn.COUNTED | Turn.RECOVERING | Turn.DISMISSED:
            return CommentKind.REPEAT
        case Turn.WATCHED | Turn.HUSHED | Turn.LEFT:
            return CommentKind.REPEAT
        case _:
            assert_never(turn)
