"""Why something fell, in a clause: what the latest inquiry into it found, where that is sure."""

from __future__ import annotations

from dataclasses import replace
from zoneinfo import ZoneInfo

from sqlalchemy import Connection

from bot.config.pipeline import PipelineSection
from bot.domain.incidents import Incident
from bot.domain.views import ExplanationView
from bot.judging.inquiry_answers import trials_of
from bot.judging.views.diagnosis import explanation_of
from bot.store import inquiries, runs
from bot.text import formats
from bot.text.locales import Locale


def explain(
    tx: Connection, section: PipelineSection, incident: Incident, zone: ZoneInfo, locale: Locale
) -> ExplanationView | None:
    """Return what explains an incident; None where nobody asked, or no cause is sure."""
    asked = inquiries.of_incident(tx, incident.incident_id)
    found = asked[-1].diagnosis if asked else None
    if found is None or not found.is_sure:
        return None
    inquiry = asked[-1].inquiry
    began = runs.find(tx, inquiry.pipeline, inquiry.bad_run)
    view = explanation_of(section, zone, locale, inquiry, found, trials_of(tx, inquiry))
    return view if began is None else replace(view, day=formats.day(began.run.ended, zone, locale))
