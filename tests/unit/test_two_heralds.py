"""Two Heralds on one state, each with a memory of its own of what the services hold."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from bot.delivery.dispatcher import LEASE
from bot.delivery.services import Services
from bot.domain.effects import AttachToPage, AttachToTicket, LinkTicket, OpenTicket
from bot.domain.objects import ObjectKey, ObjectKind
from bot.domain.views import LinkView
from bot.sandbox import RunningSandbox, Service
from bot.services.last_seen import LastSeen
from bot.store import objects
from bot.store.owners import Owner
from tests.contract.benches import TrackerBench, confluence_wiki, jira_tracker, trello_tracker
from tests.unit.delivery_bench import CHART, Office, publish_page
from tests.unit.state_samples import INCIDENT, PAGE, known, owe, ticket_view

TRACKERS: dict[str, Callable[[RunningSandbox], TrackerBench]] = {
    "jiracloud": lambda box: jira_tracker(box, "cloud"),
    "jiradatacenter": lambda box: jira_tracker(box, "datacenter"),
    "trello": trello_tracker,
}


class Killed(BaseException):
    pass


def die(step: str) -> None:
    if step == "delivery.performed":
        raise Killed


def deliver_twice(office: Office, others: Services, effect: tuple) -> None:
    """Let another Herald carry the effect out and die before it can say so; then the first takes it over."""
    owe(office.database, effect, now=office.clock())
    owner = Owner("host/2/2/b", clock=lambda _tx: office.clock())
    other = replace(office.dispatcher, services=others, owner=owner, on_step=die)
    with pytest.raises(Killed):
        other.drain()
    office.clock.now += 2 * LEASE
    assert office.drain() == []


@pytest.fixture(params=TRACKERS)
def shared_ticket(request, sqlite_database, box) -> tuple[Office, ObjectKey, TrackerBench, Services]:
    """Return a ticket that the office's own Herald has just filed, and the services of another Herald."""
    mine, theirs = TRACKERS[request.param](box), TRACKERS[request.param](box)
    office = Office(sqlite_database, box, Services({"jira": mine.tracker}, {}, {}))
    ticket = ObjectKey("jira", ObjectKind.TICKET, f"herald-two{request.node.name[:9]}-{request.param}-0-1")
    owe(sqlite_database, (OpenTicket(ticket, "opened", INCIDENT), ticket_view()), now=office.clock())
    assert office.drain() == []
    return office, ticket, mine, Services({"jira": theirs.tracker}, {}, {})


def key_of(office: Office, ticket: ObjectKey) -> str:
    with office.database.begin() as tx:
        return objects.known_objects(tx, [ticket])[ticket].bound.external_id


def test_a_file_that_a_dead_herald_put_on_a_ticket_is_not_put_there_again(shared_ticket):
    office, ticket, bench, theirs = shared_ticket
    deliver_twice(office, theirs, (AttachToTicket(ticket, "run5", INCIDENT, needs=(ticket,)), CHART))
    assert bench.see(key_of(office, ticket)).files == [CHART.filename]


def test_a_link_that_a_dead_herald_put_on_a_ticket_is_not_put_there_again(shared_ticket, box):
    office, ticket, bench, theirs = shared_ticket
    with office.database.begin() as tx:
        objects.know(tx, known(PAGE, "1"))
    deliver_twice(
        office, theirs, (LinkTicket(ticket, "run5", INCIDENT, needs=(ticket, PAGE)), LinkView({"report": PAGE}))
    )
    assert len(bench.see(key_of(office, ticket)).links) == 1
    number = key_of(office, ticket)
    made = [each for each in box.requests() if each.method == "POST" and each.path.endswith(f"{number}/attachments")]
    assert len(made) == (made[:1] != [] and made[0].service == Service.TRELLO), "Jira knows a link by its identity"


def test_a_file_that_a_dead_herald_put_on_a_page_is_not_put_there_again(sqlite_database, box):
    bench, theirs = confluence_wiki(box, "datacenter"), confluence_wiki(box, "datacenter")
    office = Office(sqlite_database, box, Services({}, {"confluence": bench.wiki}, {}))
    owe(sqlite_database, publish_page(), now=office.clock())
    assert office.drain() == []
    others = Services({}, {"confluence": theirs.wiki}, {})
    deliver_twice(office, others, (AttachToPage(PAGE, "run5", INCIDENT, needs=(PAGE,)), CHART))
    assert list(bench.see(key_of(office, PAGE)).files) == [CHART.filename]


def test_what_was_seen_is_believed_for_a_while_only_since_others_write_too():
    now = [0.0]
    seen = LastSeen[int](30.0, clock=lambda: now[0])
    seen.keep("a", 1)
    now[0] = 31.0
    assert seen.take("a") is None
    seen.keep("a", 2)
    seen.forget("a")
    assert seen.take("a") is None
    seen.keep("a", 3)
    assert (seen.take("a"), seen.take("a")) == (3, None)
