"""A run as people see it, and those that an incident speaks of."""

from __future__ import annotations

from bot.domain.incidents import Incident
from bot.domain.runs import Run
from bot.domain.views import RunView
from bot.judging.views.occasion import Occasion
from bot.text import formats


def run_view(on: Occasion, run: Run) -> RunView:
    return RunView(
        name=run.name,
        run_id=run.run_id,
        url=run.url,
        when=formats.moment(run.ended, on.zone, on.locale) if run.run_id else "",
        seed=run.params.get("seed", ""),
        duration=formats.duration(run.ended - run.started, on.locale) if run.ended > run.started else "",
    )


def onset(on: Occasion, incident: Incident) -> RunView:
    judged = on.names.get(incident.onset)
    return run_view(on, (judged or on.history[-1]).run)


def release(on: Occasion) -> RunView | None:
    return None if on.baseline.pinned is None else run_view(on, on.baseline.pinned.run)
