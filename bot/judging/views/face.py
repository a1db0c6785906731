"""What is said of a turn of an incident, wherever it is said: one record, of which every telling shows its part."""

from __future__ import annotations

from dataclasses import replace

from bot.domain.incidents import Step
from bot.domain.page_paths import incident_path, live_page
from bot.domain.snapshots import IncidentBody, IncidentFace, Snapshot, mint_snapshot_id
from bot.domain.views import LivePage
from bot.judging.views.chart import chart_view
from bot.judging.views.differences import differences_of, different, unknown
from bot.judging.views.incident import duration, owners
from bot.judging.views.metric_rows import metric_rows, slice_rows
from bot.judging.views.occasion import Occasion
from bot.judging.views.run import onset, run_view
from bot.judging.views.verdict import verdict_view
from bot.render.renderer import said_in
from bot.text.locales import known_locales

_SLICES = 40


def face_of(on: Occasion, step: Step) -> IncidentFace:
    """Gather what is said of a turn in the language of the occasion."""
    found = differences_of(on, step)
    return IncidentFace(
        verdict=verdict_view(on, step),
        run=run_view(on, on.history[-1].run),
        onset=onset(on, step.incident),
        rows=metric_rows(on, step),
        slices=slice_rows(on, step)[:_SLICES],
        different=different(on, found),
        unknown=unknown(found),
        owner=owners(on, step.incident),
        duration=duration(on, step.incident) if step.is_recovery else "",
    )


def snapshot_of(on: Occasion, step: Step) -> Snapshot:
    """Freeze a turn of an incident, in every language that there is."""
    faces = {locale: face_of(replace(on, locale=locale), step) for locale in known_locales()}
    incident, run = step.incident, on.history[-1].run
    return Snapshot(
        snapshot_id=mint_snapshot_id(incident.incident_id, step.turn, run.run_id, on.now.isoformat()),
        as_of=on.now,
        pipeline=incident.series.pipeline,
        body=IncidentBody(
            turn=step.turn,
            faces={str(locale): face for locale, face in faces.items()},
            sentences={str(locale): said_in(locale, face.verdict) for locale, face in faces.items()},
            chart=chart_view(on, step),
        ),
        incident_id=incident.incident_id,
        run_id=run.run_id,
    )


def live_incident(on: Occasion, step: Step) -> LivePage | None:
    """Return the page that shows how an incident stands now."""
    return live_page(on.places.pages, incident_path(step.incident.incident_id))
