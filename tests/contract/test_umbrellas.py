"""The ticket above others on every tracker: listed, linked both ways, closed, and there once though answers are lost."""

from datetime import timedelta

import pytest

from bot.domain.capabilities import TicketState
from bot.domain.incidents import IncidentState
from tests.contract.benches import TrackerBench
from tests.unit.cycle_bench import GOOD, Bench

MODELS = ("m0", "m1")
PIPELINE = {
    "tickets": {"umbrella_above": 1},
    "recovery": {"runs": 1},
    "series_by": ["params.model"],
    "wiki": None,
    "chat": None,
    "channel": None,
}


@pytest.fixture
def fallen(tracker_bench: TrackerBench, sqlite_url, tmp_path):
    """Two series that have fallen, each with its ticket; the cycle was told to stop before it counted them."""
    bench = Bench(tmp_path, sqlite_url, PIPELINE)
    bench.tracker = tracker_bench.tracker
    bench.herald = bench.make()
    bench.run()
    log(bench, *GOOD)
    bench.run()
    run_without_counting(bench, 0.60, 0.61)
    yield bench
    bench.database.close()


def log(bench: Bench, *values: float) -> None:
    for value in values:
        for model in MODELS:
            bench.log(value, params={"model": model})


def run_without_counting(bench: Bench, *values: float) -> None:
    log(bench, *values)
    left = [len(values) * len(MODELS)]

    def stop_after_the_last(step: str) -> None:
        left[0] -= step == "run.recorded"
        bench.stopping |= left[0] == 0

    bench.steps = stop_after_the_last
    bench.run()
    bench.stopping, bench.steps = False, lambda _: None
    bench.herald.dispatcher.drain()


def run_through(bench: Bench) -> int:
    """Run a cycle whose first write gets no answer, deliver it, and say how often something was looked for first."""
    steps: list[str] = []
    bench.steps = steps.append
    bench.run(deliver=False)
    assert bench.herald.dispatcher.drain(timedelta(minutes=10)).failures == []
    return steps.count("delivery.settled")


def split(bench: Bench):
    """Return the tickets above others, and these."""
    own = [each.incident_id for each in bench.incidents()]
    marked = bench.tracker.marked("herald-test")
    below = [each.ticket for each in marked if any(name in each.marker for name in own)]
    return [each.ticket for each in marked if each.ticket not in below], below


def test_though_answers_are_lost_it_stands_once_and_is_linked_both_ways(fallen, tracker_bench):
    assert [len(each) for each in split(fallen)] == [0, 2]
    tracker_bench.fail_next("create", committed=True)
    assert run_through(fallen) >= 2  # since a lost state may have made it, and since no answer came
    (above,), below = split(fallen)
    seen = tracker_bench.see(above.key)
    assert seen.title == "search: 2 problems at once"
    assert seen.body.count("ndcg fell by") == 2
    assert set(seen.links) == {each.url for each in below}
    for each in below:
        assert above.url in tracker_bench.see(each.key).links
    run_without_counting(fallen, 0.80, 0.81)
    assert fallen.incidents(IncidentState.OPEN) == []
    tracker_bench.fail_next("comment", committed=True)
    assert run_through(fallen) >= 1
    assert len(tracker_bench.see(above.key).comments) == 1
    assert tracker_bench.see(above.key).comments[0].startswith("All problems listed here are over;")
    assert fallen.tracker.read(above.key).state is TicketState.DONE
    assert [len(each) for each in split(fallen)] == [1, 2]
    assert fallen.owed() == []
