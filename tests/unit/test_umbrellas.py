"""Where one cycle files more incidents than people can read one by one, a ticket lists and links theirs."""

from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.domain.capabilities import TicketState
from bot.domain.effects import LinkTicket, OpenUmbrella
from bot.domain.incidents import IncidentState, SeriesKey
from bot.domain.objects import Marker, ObjectKey, ObjectKind
from bot.domain.umbrellas import Filed, gather, open_umbrella
from bot.store import filings, retention
from bot.store.tables import filings as table
from tests.unit.cycle_bench import GOOD, Bench
from tests.unit.state_samples import incident as sample

MODELS = ("m0", "m1", "m2")
NBSP = "\u00a0"
NO_DASH = r"\-"  # which could be taken for markup
TICKETS = {"comment_every": "0s", "umbrella_above": 2}
BY_MODEL = {
    "tickets": TICKETS,
    "recovery": {"runs": 1},
    "series_by": ["params.model"],
    "owner": "Search team",
    "wiki": None,
    "chat": None,
    "channel": None,
}


# ---- which incidents come under one ticket

incident_ids = st.integers(0, 99).map(lambda number: f"{number:012x}")


def filed(incident_id: str, tickets: int) -> Filed:
    markers = (str(Marker("test", incident_id, place)) for place in range(tickets))
    return Filed(incident_id, tuple(ObjectKey("jira", ObjectKind.TICKET, marker) for marker in markers))


@given(st.lists(st.builds(filed, incident_ids, st.integers(0, 3))), st.integers(0, 8))
def test_more_than_the_bound_come_under_one_ticket_and_each_is_listed_and_linked_once(cycle, above):
    told = {each.incident_id: each for each in cycle if each.tickets}
    umbrella = gather(cycle, above, "test", "search")
    if umbrella is None:
        assert above == 0 or len(told) <= above
        return
    assert len(told) > above > 0
    assert [each.incident_id for each in umbrella.below] == list(told)
    effects = list(open_umbrella(umbrella))
    assert [effect.target for effect in effects if isinstance(effect, OpenUmbrella)] == [umbrella.key]
    assert len({effect.effect_id for effect in effects}) == len(effects)
    links = {(effect.target, *effect.needs) for effect in effects if isinstance(effect, LinkTicket)}
    below = [ticket for each in told.values() for ticket in each.tickets]
    assert links == {link for t in below for link in ((umbrella.key, umbrella.key, t), (t, t, umbrella.key))}
    assert umbrella.key not in below


@given(st.lists(st.builds(filed, incident_ids, st.just(1)), min_size=6))
def test_the_same_cycle_comes_under_the_same_ticket_however_often_it_is_decided(cycle):
    assert gather(cycle, 5, "test", "search") == gather([*cycle, *cycle], 5, "test", "search")


def test_what_was_filed_is_loose_until_it_comes_under_a_ticket_or_is_let_go(database):
    first, second, third, other = (sample(incident_id=f"{number:012x}") for number in range(4))
    key = filed(first.incident_id, 1).tickets[0]
    with database.begin() as tx:
        for each in (first, first, second, third):
            filings.note(tx, each)
        filings.note(tx, replace(other, series=SeriesKey("recommend")))
        filings.lock(tx, "search")
        assert set(filings.loose(tx, "search")) == {first.incident_id, second.incident_id, third.incident_id}
        filings.put_under(tx, [first.incident_id, second.incident_id], key)
        filings.forget(tx, [third.incident_id])
        filings.note(tx, first)
    with database.begin() as tx:
        assert (filings.loose(tx, "search"), filings.loose(tx, "recommend")) == ([], [other.incident_id])
        assert filings.umbrellas(tx, "search") == {key: [first.incident_id, second.incident_id]}
        assert filings.umbrellas(tx, "recommend") == {}


# ---- a Herald with three series that fall at once, where two are as many as people can read


class KilledError(BaseException):
    """The process ended here."""


@pytest.fixture
def make_bench(sqlite_url, tmp_path):
    made = []

    def make_bench(pipeline: dict, models=MODELS) -> Bench:
        bench = Bench(tmp_path, sqlite_url, {**BY_MODEL, **pipeline})
        made.append(bench)
        bench.run()
        for value in GOOD:
            log(bench, value, models)
        bench.run()
        return bench

    yield make_bench
    for bench in made:
        bench.database.close()


def log(bench: Bench, value: float, models=MODELS) -> None:
    for model in models:
        bench.log(value, params={"model": model})


def fall(bench: Bench, models=MODELS) -> None:
    for value in (0.60, 0.61):
        log(bench, value, models)


def umbrellas(bench: Bench) -> list:
    return [each for each in bench.tracker.tickets.values() if "problems at once" in each.draft.title]


def open_incidents(bench: Bench) -> int:
    return len(bench.incidents(IncidentState.OPEN))


def test_what_falls_at_once_is_listed_and_linked_in_one_ticket_and_keeps_its_own(make_bench):
    bench = make_bench({})
    fall(bench)
    bench.run()
    (umbrella,) = umbrellas(bench)
    others = [each for each in bench.tracker.tickets.values() if each is not umbrella]
    assert umbrella.draft.title == "search: 3 problems at once"
    assert len(others) == open_incidents(bench) == 3
    listed = [line for line in umbrella.draft.body.replace(NBSP, " ").splitlines() if line.startswith("* MEM")]
    assert listed == [f"* {each.key.replace('-', NO_DASH)}: {each.draft.title}".replace(NBSP, " ") for each in others]
    for each in others:
        assert [link.title for link in each.links.values()].count(umbrella.key) == 1
    assert sorted(link.title for link in umbrella.links.values()) == sorted(each.key for each in others)
    assert "Owner: Search team" in umbrella.draft.body
    assert bench.owed() == []
    bench.run()
    assert len(bench.tracker.tickets) == 4


@pytest.mark.parametrize(("tickets", "models"), [({"umbrella_above": 0}, MODELS), ({}, MODELS[:2])])
def test_as_many_as_people_can_read_have_no_ticket_above_them(make_bench, tickets, models):
    bench = make_bench({"tickets": {**TICKETS, **tickets}}, models)
    fall(bench, models)
    bench.run()
    assert len(bench.tracker.tickets) == open_incidents(bench) == len(models)
    with bench.database.begin() as tx:
        assert filings.loose(tx, "search") == []


def test_what_comes_bit_by_bit_is_never_gathered(make_bench):
    bench = make_bench({})
    for some in (MODELS[:2], MODELS[2:]):
        fall(bench, some)
        bench.run()
    assert (umbrellas(bench), open_incidents(bench)) == ([], 3)


def test_it_is_resolved_when_all_below_it_is_over_and_not_before(make_bench):
    bench = make_bench({})
    fall(bench)
    bench.run()
    (umbrella,) = umbrellas(bench)
    log(bench, 0.80, MODELS[:2])
    log(bench, 0.81, MODELS[:2])
    bench.run()
    assert open_incidents(bench) == 1
    assert (umbrella.state, umbrella.comments) == (TicketState.TODO, [])
    log(bench, 0.80, MODELS[2:])
    log(bench, 0.81, MODELS[2:])
    bench.run()
    assert open_incidents(bench) == 0
    assert umbrella.state is TicketState.DONE
    assert [body for _, body in umbrella.comments] == [
        "All problems listed here are over; the ticket of each says how it ended."
    ]
    bench.run()
    assert len(umbrella.comments) == 1
    with bench.database.begin() as tx:
        assert tx.execute(table.select()).all() == []


def test_where_people_close_tickets_it_is_said_that_all_is_over_and_left_to_them(make_bench):
    bench = make_bench({"tickets": {**TICKETS, "resolve": False}})
    fall(bench)
    bench.run()
    for value in (0.80, 0.81):
        log(bench, value)
    bench.run()
    (umbrella,) = umbrellas(bench)
    assert umbrella.state is TicketState.TODO
    assert [body for _, body in umbrella.comments] == [
        "All problems listed here are over; the ticket of each says how it ended. Closing this one is yours."
    ]


@pytest.mark.parametrize(
    ("step", "time"), [("run.recording", 5), ("run.recorded", 5), ("umbrella.owing", 1), ("umbrella.owed", 1)]
)
def test_wherever_herald_is_killed_there_is_one_ticket_above_and_all_is_below_it(make_bench, step, time):
    bench = make_bench({})
    fall(bench)
    left = [time]

    def die(name: str) -> None:
        left[0] -= name == step
        if name == step and left[0] == 0:
            raise KilledError

    bench.steps = die
    with pytest.raises(KilledError):
        bench.run()
    bench.steps = lambda _: None
    bench.run()
    bench.run()
    (umbrella,) = umbrellas(bench)
    assert open_incidents(bench) == len(umbrella.links) == 3
    assert len(bench.tracker.tickets) == 4


@pytest.mark.parametrize("step", ["delivery.marked-sent", "delivery.performed"])
def test_wherever_a_delivery_is_killed_the_ticket_above_stands_once(make_bench, step):
    bench = make_bench({})
    fall(bench)
    bench.run(deliver=False)

    def die(name: str) -> None:
        if name == step:
            raise KilledError

    bench.steps = die
    for _ in range(25):  # more than there is to deliver
        bench.now += timedelta(minutes=10)
        try:
            bench.herald.dispatcher.drain()
        except KilledError:
            bench.herald = bench.make()
    bench.steps = lambda _: None
    bench.now += timedelta(hours=1)
    bench.herald.dispatcher.drain(timedelta(hours=1))
    (umbrella,) = umbrellas(bench)
    assert len(umbrella.links) == 3
    assert len(bench.tracker.tickets) == 4


def test_a_cycle_that_is_told_to_stop_leaves_the_count_to_the_next(make_bench):
    bench = make_bench({})
    fall(bench)

    def stop(name: str) -> None:
        bench.stopping |= name == "run.recorded" and open_incidents(bench) == 2

    bench.steps = stop
    bench.run()
    assert open_incidents(bench) == 2
    bench.stopping, bench.steps = False, lambda _: None
    bench.run()
    (umbrella,) = umbrellas(bench)
    assert len(umbrella.links) == 3


def test_one_that_is_open_for_years_is_resolved_all_the_same(make_bench):
    bench = make_bench({})
    fall(bench)
    bench.run()
    bench.now += timedelta(days=800)
    with bench.database.begin() as tx:
        assert retention.forget(tx, bench.now, {}) > 0
    for value in (0.80, 0.81):
        log(bench, value)
    bench.run()
    assert [each.state for each in umbrellas(bench)] == [TicketState.DONE]
