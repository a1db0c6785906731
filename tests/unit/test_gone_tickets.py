"""A ticket that people deleted or hid is noticed and told once, and none takes its place; one they closed is theirs."""

from datetime import timedelta

import pytest

from bot.domain.capabilities import TicketState
from bot.domain.incidents import IncidentState
from bot.domain.rules import Person
from bot.ports import Resolution
from bot.reports.digest import compose_digest, preview
from tests.unit.cycle_bench import EAGER, GOOD, Bench

WEI = Person("5b10a", "Wei")
DAY = timedelta(days=1)
TOLD = "Its ticket was deleted or hidden; Herald files no other."


@pytest.fixture
def fallen(sqlite_url, tmp_path):
    bench = Bench(tmp_path, sqlite_url, dict(EAGER))
    bench.tickets.people.assignable.add(WEI.account)
    bench.run()
    bench.outcomes([*GOOD, 0.60, 0.61])
    yield bench
    bench.database.close()


def test_a_deleted_ticket_is_told_once_and_not_replaced(fallen):
    fallen.tracker.tickets.clear()
    fallen.now += DAY
    fallen.herald.triage.run()
    first = " ".join(preview(fallen.herald, compose_digest(fallen.herald, fallen.now - DAY)).split())
    assert TOLD in first
    fallen.outcomes([0.60, 0.60])
    assert (fallen.tracker.tickets, fallen.owed()) == ({}, [])
    assert any("was deleted or hidden" in str(section) for section in fallen.wiki.pages.values())
    fallen.now += DAY
    fallen.herald.triage.run()
    assert TOLD not in " ".join(preview(fallen.herald, compose_digest(fallen.herald, fallen.now - DAY / 2)).split())


def test_what_was_owed_on_a_deleted_ticket_is_owed_no_more(fallen):
    fallen.tracker.say(fallen.ticket.key, WEI, "/herald why")
    fallen.now += timedelta(minutes=2)
    fallen.herald.triage.run()
    fallen.tracker.tickets.clear()
    fallen.herald.dispatcher.drain()
    assert fallen.owed() == ["answer_comment"]
    fallen.now += DAY
    fallen.herald.triage.run()
    assert fallen.owed() == []


def test_what_a_person_closed_while_it_went_on_is_not_opened_again_when_it_returns(fallen):
    fallen.now += timedelta(minutes=5)
    ticket = fallen.ticket
    ticket.state, ticket.resolution = TicketState.DONE, Resolution("10001", "Done", WEI, fallen.now)
    ticket.changed = fallen.now
    fallen.herald.triage.run()
    fallen.herald.dispatcher.drain()
    fallen.outcomes([0.80, 0.80, 0.80, 0.80])
    assert [i.state for i in fallen.incidents()] == [IncidentState.RESOLVED]
    fallen.outcomes([0.60, 0.61, 0.60, 0.61])
    first, second = fallen.tracker.tickets.values()
    assert (first.state, second.state) == (TicketState.DONE, TicketState.TODO)
    assert [link.title for link in second.links.values() if "search" not in link.title] == [first.key]
