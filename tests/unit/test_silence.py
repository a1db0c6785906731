"""When nothing came for too long."""

from datetime import UTC, datetime, timedelta

import pytest

from bot.domain.judge import Outcome, Reason
from bot.domain.silence import SilencePolicy, find_silence, quiet_since

NOON = datetime(2026, 11, 24, 12, tzinfo=UTC)
DAILY = SilencePolicy(cadence=timedelta(days=1), grace=timedelta(hours=2))


@pytest.mark.parametrize(("hours", "silent"), [(1, False), (26, False), (26.1, True), (100, True)])
def test_a_run_may_be_as_late_as_its_grace_and_no_later(hours, silent):
    finding = find_silence(DAILY, NOON - timedelta(hours=hours), NOON - timedelta(days=30), NOON)
    assert (finding is not None) is silent
    if finding is not None:
        assert (finding.outcome, finding.reason) == (Outcome.STALE, Reason.SILENCE)
        assert (finding.value, finding.baseline) == (hours * 3600, 86400)


def test_what_was_silent_before_herald_knew_the_pipeline_is_nobodys_news():
    long_ago = NOON - timedelta(days=30)
    assert find_silence(DAILY, long_ago, NOON - timedelta(hours=3), NOON) is None
    assert quiet_since(long_ago, NOON) == NOON


def test_a_pipeline_of_which_nothing_ever_came_is_silent_since_it_is_known():
    assert quiet_since(None, NOON) == NOON
    assert find_silence(DAILY, None, NOON - timedelta(days=2), NOON) is not None
