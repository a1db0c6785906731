"""What people did with an incident's ticket stays known when a run that came late changes how it began."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from bot.domain.incidents import Incident, IncidentState, Kind, SeriesKey, Turn
from bot.domain.weaving import settle_kind

NOON = datetime(2026, 11, 24, 12, tzinfo=UTC)
TOLD = Incident(
    "told00000001", Kind.REGRESSED, SeriesKey("search"), IncidentState.OPEN, "run8", NOON, ("ndcg",), ("run8", "run9"),
    told_at=NOON, waits_since=NOON, reminded_at=NOON + timedelta(days=7), closed_by_people=True,
    ticket_gone_at=NOON + timedelta(days=8), follows="earlier00001",
)  # fmt: skip


def test_a_late_run_forgets_nothing_of_what_became_of_the_ticket():
    shown = replace(
        Incident("shown0000001", TOLD.kind, TOLD.series, TOLD.state, "run8", NOON, TOLD.metrics, TOLD.bad_runs),
        bad_runs=("run8", "run8b", "run9"),
    )
    (step,) = settle_kind(TOLD, shown, "run8b", NOON + timedelta(days=9), ())
    assert step.turn is Turn.COUNTED
    assert step.incident == replace(TOLD, bad_runs=shown.bad_runs)
