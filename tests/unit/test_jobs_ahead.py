"""A job whose fire was recorded ahead of the clock is said to be due, and not to wait."""

from __future__ import annotations

from bot.cli.output.status import _job
from bot.reports.jobs_at_work import JobStage, jobs_at_work
from bot.store import fires
from tests.unit.simulation import configured
from tests.unit.state_samples import MINUTE, NOON


def test_a_fire_recorded_ahead_is_said_to_be_due_at_its_time_and_to_wait_only_then(sqlite_database):
    config = configured({"search": {"schedule": {"every": "1d"}, "job": {"command": ["train"]}}})
    with sqlite_database.begin() as tx:
        fires.record(tx, "search", NOON + 5 * MINUTE)
        (ahead,) = jobs_at_work(tx, config, NOON)
        (due,) = jobs_at_work(tx, config, NOON + 5 * MINUTE)
    assert (ahead.stage, due.stage) == (JobStage.AHEAD, JobStage.DUE)
    assert "is due at" in _job(ahead)
    assert "waits for its turn since" in _job(due)
