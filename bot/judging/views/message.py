"""The one message about an incident."""

from __future__ import annotations

from bot.domain.incidents import Step, Turn
from bot.domain.views import MessageView, Tone
from bot.judging.views.chart import chart_view
from bot.judging.views.face import face_of, live_incident
from bot.judging.views.incident import links, tickets
from bot.judging.views.metric_rows import metric_rows
from bot.judging.views.occasion import Occasion

_ROWS_IN_MESSAGE = 4


def message_view(on: Occasion, step: Step) -> MessageView:
    told = face_of(on, step)
    rows = metric_rows(on, step, only=step.incident.metrics)
    return MessageView(
        tone=Tone.GOOD if step.is_end else Tone.BAD,
        verdict=told.verdict,
        run=told.run,
        onset=told.onset,
        rows=rows[:_ROWS_IN_MESSAGE],
        owner=told.owner,
        mark=f"{on.places.instance}-{step.incident.incident_id}",
        duration=told.duration,
        is_withdrawn=step.turn is Turn.WITHDRAWN,
        links=links(**tickets(on, step.incident), report=on.page),
        chart=chart_view(on, step) if on.places.attaches else None,
        live=live_incident(on, step),
    )
