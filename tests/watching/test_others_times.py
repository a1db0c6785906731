"""Times as other people's programs write them: in other units, or not at all."""

from __future__ import annotations

import sqlite3
from datetime import UTC, datetime, timedelta

import pytest

from bot.services.mlflow.times import read_moment
from tests.watching.bench import GOOD, Bench

UNITS = {"seconds": 1, "microseconds": 10**6, "nanoseconds": 10**9}
END = datetime(2026, 11, 28, 12, 30, tzinfo=UTC)


def tell(bench: Bench, run_id: str, **columns: int | None) -> None:
    """Write times into MLflow's table as a program would that knows nothing of their unit."""
    with sqlite3.connect(bench.folder / "mlflow.db") as connection:
        for column, value in columns.items():
            connection.execute(f"UPDATE runs SET {column} = ? WHERE run_uuid = ?", (value, run_id))
    connection.close()


def in_unit(bench: Bench, moment: datetime, unit: str) -> str:
    run_id = bench.log(GOOD, moment)
    start = int((moment - timedelta(minutes=10)).timestamp())
    tell(bench, run_id, start_time=start * UNITS[unit], end_time=int(moment.timestamp()) * UNITS[unit])
    return run_id


@pytest.mark.parametrize("factor", [1, 1000, 10**6, 10**9])
@pytest.mark.parametrize("moment", [datetime(1971, 1, 2, tzinfo=UTC), END, datetime(2900, 1, 1, tzinfo=UTC)])
def test_a_time_says_its_unit_by_its_size(factor, moment):
    assert read_moment(int(moment.timestamp()) * factor) == moment


@pytest.mark.parametrize("number", [None, 0, -1, 2000, 10**30, True, "1796000000000", 1.796e12, float("nan")])
def test_what_is_no_time_in_any_unit_is_none(number):
    assert read_moment(number) is None


@pytest.mark.parametrize("unit", UNITS)
def test_runs_whose_times_are_in_another_unit_are_judged_among_the_others(bench, unit):
    now = bench.now().replace(microsecond=0)
    bench.log_row([GOOD] * 3, now - timedelta(hours=8))
    bench.cycle()
    bench.ahead = timedelta(minutes=10)
    before, odd, after = (
        bench.log(GOOD, now + timedelta(minutes=1)),
        in_unit(bench, now + timedelta(minutes=2), unit),
        bench.log(GOOD, now + timedelta(minutes=3)),
    )
    assert [each.run.run_id for each in bench.cycle().judged] == [before, odd, after]
    assert bench.judged(odd).run.ended == now + timedelta(minutes=2)
    assert list(bench.cycle().judged) == []


@pytest.mark.parametrize("unit", UNITS)
def test_first_contact_reads_other_units_in_their_order(bench, unit):
    now = bench.now().replace(microsecond=0)
    first = bench.log(GOOD, now - timedelta(hours=3))
    odd = in_unit(bench, now - timedelta(hours=2), unit)
    last = bench.log(GOOD, now - timedelta(hours=1))
    assert [each.run.run_id for each in bench.cycle().judged] == [first, odd, last]


@pytest.mark.parametrize("end", [None, 2000, 2**63 - 1, 2**63 - 1 - 10**6])
def test_a_finished_run_without_an_end_is_seen_by_its_start(bench, end):
    now = bench.now()
    old = bench.log(GOOD, now - timedelta(hours=5))
    tell(bench, old, end_time=None)
    assert [each.run.run_id for each in bench.cycle().judged] == [old]
    bench.ahead = timedelta(hours=1)
    later = [bench.log(GOOD, now + timedelta(minutes=20 + place)) for place in range(2)]
    tell(bench, later[0], end_time=end)
    assert {each.run.run_id for each in bench.cycle().judged} == set(later)
    assert list(bench.cycle().judged) == []


def test_a_run_that_still_runs_is_none_without_an_end(bench):
    bench.cycle()
    bench.ahead = timedelta(hours=1)
    running = bench.log(GOOD, bench.now(), status="RUNNING")
    assert list(bench.cycle().judged) == []
    assert not bench.is_judged(running)


def test_a_start_in_seconds_is_enough_where_there_is_no_end(bench):
    now = bench.now()
    bench.log(GOOD, now - timedelta(hours=5))
    bench.cycle()
    bench.ahead = timedelta(hours=1)
    later = bench.log(GOOD, now + timedelta(minutes=20))
    tell(bench, later, start_time=int((now + timedelta(minutes=10)).timestamp()), end_time=None)
    assert [each.run.run_id for each in bench.cycle().judged] == [later]
    assert list(bench.cycle().judged) == []
