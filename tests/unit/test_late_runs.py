"""Runs that come late: the series stands as if each had come when it ended."""

from __future__ import annotations

import shutil
from datetime import timedelta

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from bot.domain.capabilities import TicketState
from bot.domain.incidents import IncidentState, Kind, SeriesKey
from bot.store import incidents, runs
from tests.unit.cycle_bench import EAGER, Bench
from tests.unit.state_samples import NOON

GOOD = (0.80, 0.81, 0.805, 0.80, 0.806, 0.81, 0.803)
WEEK = {"watch": {"overlap": "7d"}}
TWICE = {**EAGER, "recovery": {"runs": 2}}
HOUR = timedelta(hours=1)
SERIES = SeriesKey("search")


@pytest.fixture
def make_bench(migrated_sqlite, tmp_path):
    made = []

    def make_bench(*parts: dict) -> Bench:
        folder = tmp_path / f"bench{len(made)}"
        folder.mkdir()
        shutil.copyfile(migrated_sqlite, folder / "state.db")
        pipeline = {key: value for part in (TWICE, WEEK, *parts) for key, value in part.items()}
        made.append(Bench(folder, f"sqlite:///{folder / 'state.db'}", pipeline))
        made[-1].run()  # the experiment is met while it is empty
        made[-1].now += timedelta(days=2)
        return made[-1]

    yield make_bench
    for bench in made:
        bench.database.close()


def arrive(bench: Bench, number: int, value: float, **changes) -> None:
    """Let run *number*, by its end, come only now."""
    ended = NOON + HOUR + number * HOUR
    bench.log(value, f"run{number:02d}", started=ended - HOUR / 2, ended=ended, **changes)
    bench.run()


def stand(bench: Bench) -> tuple[object, ...]:
    """Return how the series stands: what is remembered, what is open and since when, and what was said of each run."""
    with bench.database.begin() as tx:
        state = runs.load_state(tx, SERIES)
        said = [(j.run.run_id, j.outcome, j.accepted, j.findings) for j in runs.recent(tx, SERIES, 99)]
        open_now = [
            (i.kind, i.state, i.onset, i.metrics, i.bad_runs, i.good_runs, i.began_at)
            for i in incidents.standing(tx, SERIES)
        ]
    return state, open_now, said


def test_older_good_runs_that_come_late_close_no_incident(make_bench):
    bench = make_bench()
    for number, value in enumerate(GOOD[:5]):
        arrive(bench, number, value)
    arrive(bench, 10, 0.60)
    arrive(bench, 11, 0.61)
    assert bench.ticket.state is TicketState.TODO
    for number, value in ((5, 0.807), (6, 0.803), (7, 0.809), (8, 0.804)):
        arrive(bench, number, value)
    (incident,) = bench.incidents()
    assert incident.state is IncidentState.OPEN
    assert incident.onset == "run10"
    assert bench.ticket.state is TicketState.TODO
    assert len(bench.ticket.comments) == 0, "nothing of it is news"
    arrive(bench, 12, 0.80)
    arrive(bench, 13, 0.80)
    assert bench.ticket.state is TicketState.DONE


def test_late_bad_runs_open_what_is_true_now_and_move_its_beginning(make_bench):
    bench = make_bench()
    for number, value in enumerate(GOOD[:5]):
        arrive(bench, number, value)
    arrive(bench, 9, 0.60)
    assert bench.tracker.tickets == {}
    arrive(bench, 8, 0.61)
    (incident,) = bench.incidents(IncidentState.OPEN)
    assert incident.onset == "run08"
    assert bench.ticket.state is TicketState.TODO
    arrive(bench, 7, 0.60)
    (incident,) = bench.incidents(IncidentState.OPEN)
    assert incident.onset == "run07"
    assert len(bench.tracker.tickets) == 1


def test_a_fall_that_was_over_before_it_was_seen_is_told_to_nobody(make_bench):
    bench = make_bench()
    for number, value in enumerate(GOOD[:5]):
        arrive(bench, number, value)
    for number in (10, 11, 12):
        arrive(bench, number, 0.80)
    for number in (7, 8):
        arrive(bench, number, 0.60)
    assert bench.incidents(IncidentState.OPEN) == []
    assert bench.tracker.tickets == {}
    with bench.database.begin() as tx:
        assert [j.outcome.value for j in runs.recent(tx, SERIES, 99)][5:7] == ["suspicious", "regressed"]


def test_what_a_late_run_makes_uncertain_is_withdrawn_and_not_called_recovered(make_bench):
    bench = make_bench()
    for number, value in enumerate(GOOD[:5]):
        arrive(bench, number, value)
    arrive(bench, 10, 0.60)
    arrive(bench, 12, 0.61)
    assert bench.ticket.state is TicketState.TODO
    arrive(bench, 11, 0.804)
    (incident,) = bench.incidents(IncidentState.RESOLVED)
    assert not incident.was_seen_recovering
    assert bench.ticket.state is TicketState.DONE
    said = (bench.ticket.comments[-1][1], bench.chat.messages[0].text)
    for text in said:
        assert "it is not certain that ndcg of search ever fell. The next run will tell." in text
        assert "ecovered" not in text
        assert "lasted" not in text
    arrive(bench, 13, 0.80)
    assert bench.incidents(IncidentState.OPEN, IncidentState.CANDIDATE) == []


def test_what_was_on_its_way_back_and_never_fell_for_certain_is_withdrawn_too(make_bench):
    bench = make_bench()
    for number, value in enumerate(GOOD[:5]):
        arrive(bench, number, value)
    for number, value in ((10, 0.60), (12, 0.61), (13, 0.80), (11, 0.804)):
        arrive(bench, number, value)
    assert bench.ticket.state is TicketState.DONE
    (_, said) = bench.ticket.comments[-1]
    assert "it is not certain that ndcg of search ever fell. It is at 0.8000, against a baseline of 0.8042." in said


def test_runs_that_ended_at_one_moment_stand_in_the_order_of_their_ids(make_bench):
    values = {"b": 0.60, "a": 0.80, "d": 0.61, "c": 0.80}
    stands = []
    for order in ("abcd", "dcba"):
        bench = make_bench()
        for number, value in enumerate(GOOD[:5]):
            arrive(bench, number, value)
        for name in order:
            ended = NOON + 9 * HOUR
            bench.log(values[name], f"tie-{name}", started=ended - HOUR, ended=ended)
            bench.run()
        stands.append(stand(bench))
    assert stands[0] == stands[1]


def test_a_late_run_is_stored_and_told_once_however_often_it_is_met(make_bench):
    bench = make_bench({"publish": "all"})
    for number, value in enumerate((*GOOD[:5], 0.60, 0.61)):
        arrive(bench, number if number < 5 else number + 3, value)
    arrive(bench, 6, 0.80)
    before = bench.snapshot()
    bench.run()
    assert bench.snapshot() == before
    assert len([title for title in bench.pages if "run06" in title]) == 1


def test_a_silence_is_not_ended_by_a_run_that_was_over_before_it_began(make_bench):
    bench = make_bench({"stale": {"cadence": "1h", "grace": "0s"}})
    arrive(bench, 5, 0.80)
    (silence,) = [i for i in bench.incidents(IncidentState.OPEN) if i.kind is Kind.STALE]
    arrive(bench, 3, 0.80)
    assert silence.incident_id in {i.incident_id for i in bench.incidents(IncidentState.OPEN)}


@settings(max_examples=2, deadline=None, phases=[Phase.generate], suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_whatever_the_order_of_arrival_the_series_stands_as_if_all_had_come_in_order(data, make_bench):
    values = data.draw(
        st.lists(st.sampled_from([0.80, 0.81, 0.805, 0.60, 0.61, 0.9]), min_size=8, max_size=13).map(
            lambda more: [*GOOD[:4], *more]
        )
    )
    lateness = data.draw(st.lists(st.integers(0, 6), min_size=len(values), max_size=len(values)))
    in_order, shuffled = make_bench(), make_bench()
    for number, value in enumerate(values):
        arrive(in_order, number, value)
    for number in sorted(range(len(values)), key=lambda number: (number + lateness[number], number)):
        arrive(shuffled, number, values[number])
    assert stand(shuffled) == stand(in_order)
