"""The one message about an incident."""

from __future__ import annotations

from bot.domain.incidents import Step, Turn
from bot.domain.views import MessageView, Tone
from bot.judging.views.chart import chart_view
from bot.judging.views.incident import duration, links, owners, tickets
from bot.judging.views.metric_rows import metric_rows
from bot.judging.views.occasion import Occasion
from bot.judging.views.run import onset, run_view
from bot.judging.views.verdict import verdict_view

_ROWS_IN_MESSAGE = 4


def message_view(on: Occasion, step: Step) -> MessageView:
    rows = metric_rows(on, step, only=step.incident.metrics)
    return MessageView(
        tone=Tone.GOOD if step.is_end else Tone.BAD,
        verdict=verdict_view(on, step),
        run=run_view(on, on.history[-1].run),
        onset=onset(on, step.incident),
        rows=rows[:_ROWS_IN_MESSAGE],
        owner=owners(on, step.incident),
        mark=f"{on.places.instance}-{step.incident.incident_id}",
        duration=duration(on, step.incident) if step.is_recovery else "",
        is_withdrawn=step.turn is Turn.WITHDRAWN,
        links=links(**tickets(on, step.incident), report=on.page),
        chart=chart_view(on, step) if on.places.attaches else None,
    )
