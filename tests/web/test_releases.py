"""Which run of a history is drawn as the released one, where config pins an alias and MLflow is not asked."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from bot.domain.incidents import SeriesKey
from bot.domain.judge.findings import Against, Finding, Outcome, Reason
from bot.domain.judged_run import JudgedRun
from bot.domain.runs import DataCard, Run, RunStatus
from bot.web.releases import as_judged

NOON = datetime(2026, 11, 24, 12, tzinfo=UTC)


def judged(number: int, value: float, release: float | None = None) -> JudgedRun:
    ended = NOON + timedelta(days=number)
    run = Run(f"r{number}", "nightly", RunStatus.FINISHED, ended, ended, {"ndcg": value}, {}, {}, "")
    found = Finding("ndcg", Outcome.OK, Reason.WITHIN_SPREAD, baseline=0.2)
    if release is not None:
        found = Finding("ndcg", Outcome.REGRESSED, Reason.CONFIRMED, baseline=release, against=Against.PINNED)
    return JudgedRun(run, SeriesKey("p"), DataCard(), (found,), Outcome.OK, True, False, ended)


@pytest.mark.parametrize(
    ("values", "release", "place"),
    [((0.1, 0.2, 0.3), 0.2, 1), ((0.2, 0.2, 0.3), 0.2, None), ((0.1, 0.2, 0.3), 0.25, None), ((0.1, 0.2), None, None)],
)
def test_the_release_is_the_one_run_that_has_what_was_held_against(values, release, place):
    history = [judged(number, value) for number, value in enumerate(values)]
    assert as_judged([*history, judged(9, 0.15, release)]) == place
