"""A service that refuses our account is closed and told; nothing is given up, and all goes on when it takes us again."""

import json
import time
import zlib
from dataclasses import replace
from datetime import datetime, timedelta
from importlib import import_module

import pytest
import structlog
from alembic.operations import Operations
from alembic.runtime.migration import MigrationContext

from bot.cli.output.outbox import print_piles
from bot.cli.output.status import print_status
from bot.delivery.admission import Admission
from bot.delivery.circuit_breakers import Gate, gate_of, gates_of
from bot.delivery.dispatcher import Dispatcher
from bot.delivery.services import Services
from bot.domain.backoff import Backoff
from bot.domain.circuit_breaker import CircuitBreaker
from bot.domain.effects import CommentTicket, LabelPage, OpenTicket, PublishPage, ResolveTicket, TellChannel
from bot.domain.objects import ObjectKey, ObjectKind
from bot.domain.views import RunPageView
from bot.errors import AccountError, MissingError, PermanentError, Reach, RetryableError
from bot.reports.overview import Overview
from bot.sandbox import Fault, FaultKind, RunningSandbox, Service
from bot.store import backlog, claims, objects
from bot.store.backlog import Why, piles
from bot.store.owed import EffectState, ParkedFor
from bot.store.owners import Owner
from tests.contract.benches import Reader, confluence_wiki, jira_tracker, slack_chat, trello_tracker
from tests.unit.delivery_bench import Bench, Office, PlainWording
from tests.unit.state_samples import (
    INCIDENT,
    NOON,
    RUN_VIEW,
    TICKET,
    VERDICT,
    comment,
    known,
    label,
    open_ticket,
    outstanding,
    owe,
    resolve,
    tell,
)

LONG = timedelta(minutes=15)
REFUSED = AccountError("Jira did not create the ticket (401): who are you?", status=401)


@pytest.fixture
def bench(sqlite_database) -> Bench:
    return Bench(sqlite_database)


def held(database) -> list[backlog.Refusal]:
    with database.begin() as tx:
        return list(backlog.refusals(tx))


# ---- the service is closed, and nothing is given up


def test_a_refused_account_parks_nothing_and_everything_goes_on_when_it_is_taken_again(bench):
    bench.owe(open_ticket(), comment("run6"), comment("run7"), resolve("good"))
    drainer = bench.dispatcher()
    bench.tracker.faults.fail_next("create", REFUSED)
    drainer.drain()
    assert bench.tracker.tickets == {}
    assert {owed.state for owed in outstanding(bench.database)} == {EffectState.PENDING}
    assert [owed.attempts for owed in outstanding(bench.database)] == [0, 0, 0, 0], "no attempt is counted"
    [refusal] = held(bench.database)
    assert (refusal.service, refusal.since, refusal.words, refusal.waiting) == ("jira", NOON, str(REFUSED), 4)
    bench.clock.now += timedelta(minutes=1)
    drainer.drain()
    assert [mark for mark, _ in bench.ticket.comments] == ["mark-run6", "mark-run7"]
    assert bench.owed == []
    assert held(bench.database) == []


def test_while_the_account_is_refused_one_effect_asks_and_the_others_do_not(bench):
    for number in range(6):
        marker = ObjectKey("jira", ObjectKind.TICKET, f"herald-test-{number:012}-0-1")
        bench.owe((OpenTicket(marker, "opened"), open_ticket()[1]))
    for _ in range(60):
        bench.tracker.faults.fail_next("create", REFUSED)
    drainer = bench.dispatcher()
    for _ in range(60 * 12):
        drainer.drain()
        bench.clock.now += timedelta(seconds=5)
    assert 12 <= bench.tracker.faults.calls["create"] <= 25, "the pauses grow to five minutes"


def test_another_service_is_told_meanwhile(bench):
    bench.owe(open_ticket(), tell("opened"))
    bench.tracker.faults.fail_next("create", REFUSED)
    bench.drain()
    assert len(bench.chat.messages) == 1


def test_a_refused_channel_leaves_the_other_channels_alone(bench):
    other = ObjectKey("slack", ObjectKind.MESSAGE, f"C2 test-{INCIDENT}")
    bench.owe(tell("opened"), (TellChannel(other, "opened", INCIDENT), tell("opened")[1]))
    bench.chat.faults.fail_next("post", AccountError("not_in_channel", reach=Reach.CHANNEL))
    bench.drain()
    assert [message.channel for message in bench.chat.messages] == ["C2"]
    [refusal] = held(bench.database)
    assert (refusal.channel, refusal.waiting) == ("C1", 1)


def test_a_missing_permission_leaves_what_needs_another_alone(bench):
    bench.owe(open_ticket(), comment("run6"), resolve("good"))
    drainer = bench.dispatcher()
    bench.tracker.faults.fail_next("comment", PermanentError("(403)", status=403, about_access=True))
    bench.tracker.faults.fail_next("confirm_access", AccountError("ADD_COMMENTS", reach=Reach.KIND))
    drainer.drain()
    assert bench.owed == ["comment_ticket", "resolve_ticket"], "which waits behind the comment in its lane"
    other = ObjectKey("jira", ObjectKind.TICKET, "herald-test-bbbbbbbbbbbb-0-1")
    bench.owe((OpenTicket(other, "opened"), open_ticket()[1]))
    drainer.drain()
    assert len(bench.tracker.tickets) == 2


# ---- who is at fault


def test_only_a_refusal_while_access_works_is_the_effects_own(bench):
    bench.owe(open_ticket())
    refusal = PermanentError("Jira did not create the ticket (403): no", status=403, about_access=True)
    for _ in range(3):
        bench.tracker.faults.fail_next("create", refusal)
    bench.drain()
    assert bench.parked == [("open_ticket", str(refusal))]
    assert bench.tracker.faults.calls["confirm_access"] == 3


def test_a_refusal_that_has_just_ended_parks_nothing(bench):
    """Who we are is asked a moment later, when all is well again: so the refused is tried once more."""
    bench.owe(open_ticket())
    bench.tracker.faults.fail_next("create", PermanentError("(404)", status=404, about_access=True))
    bench.drain()
    assert len(bench.tracker.tickets) == 1
    assert bench.owed == []


def test_a_refusal_is_not_believed_of_a_service_that_cannot_be_asked_about_it(bench):
    bench.owe(open_ticket())
    bench.tracker.faults.fail_next("create", PermanentError("(400)", status=400))
    bench.tracker.faults.fail_next("confirm_access", RetryableError("it is down", doubtful=False))
    bench.drain()
    assert bench.parked == []
    assert bench.owed == ["open_ticket"]


def test_a_doubt_outlives_a_refusal_of_the_account(bench):
    """What may have been carried out is looked for when the account works again, and not sent anew."""
    bench.owe(open_ticket())
    drainer = bench.dispatcher()
    bench.tracker.faults.fail_next("create", RetryableError("dropped", doubtful=True), committed=True)
    drainer.drain()
    bench.tracker.faults.fail_next("find", AccountError("no scope to search", reach=Reach.KIND))
    bench.clock.now += timedelta(minutes=2)
    drainer.drain()
    assert outstanding(bench.database)[0].is_doubtful
    bench.clock.now += LONG
    drainer.drain()
    assert bench.owed == []
    assert bench.tracker.faults.calls["create"] == 1


def test_a_doubt_outlives_the_finding_that_it_was_our_account(bench):
    """A login page may come after the work was done: it is looked for, and not done again."""
    bench.owe(open_ticket())
    drainer = bench.dispatcher()
    page = AccountError("a login page", reach=Reach.KIND, doubtful=True, status=200)
    bench.tracker.faults.fail_next("create", page, committed=True)
    bench.tracker.faults.fail_next("confirm_access", AccountError("a login page here too"))
    drainer.drain()
    assert outstanding(bench.database)[0].is_doubtful
    bench.clock.now += LONG
    drainer.drain()
    assert bench.owed == []
    assert bench.tracker.faults.calls["create"] == 1


def test_that_something_cannot_be_looked_up_keeps_nothing_else_waiting(bench):
    bench.owe(tell("opened"))
    drainer = bench.dispatcher()
    bench.chat.faults.fail_next("post", RetryableError("dropped", doubtful=True), committed=True)
    drainer.drain()
    bench.chat.faults.fail_next("find", AccountError("missing_scope channels:history", reach=Reach.KIND))
    bench.clock.now += timedelta(minutes=2)
    other = ObjectKey("slack", ObjectKind.MESSAGE, "C1 test-bbbbbbbbbbbb")
    bench.owe((TellChannel(other, "opened", "bbbbbbbbbbbb"), tell("opened")[1]))
    drainer.drain()
    assert len(bench.chat.messages) == 2
    assert len(bench.owed) == 1


def test_a_doubtful_message_is_looked_for_by_the_id_that_an_earlier_one_shows(bench):
    """The app may not list channels: a channel's name leads nowhere, the id that came with the last answer does."""
    earlier = ObjectKey("slack", ObjectKind.MESSAGE, "#ml test-aaaaaaaaaaaa")
    now = ObjectKey("slack", ObjectKind.MESSAGE, f"#ml test-{INCIDENT}")
    with bench.database.begin() as tx:
        objects.know(tx, known(earlier, "1.2", place="C0123456789"))
    drainer = bench.dispatcher()
    bench.owe((TellChannel(now, "opened", INCIDENT), tell("opened")[1]))
    bench.chat.faults.fail_next("post", RetryableError("dropped", doubtful=True), committed=True)
    drainer.drain()
    bench.chat.messages[0].channel = "C0123456789"
    bench.chat.faults.fail_next("find", AccountError("missing_scope", reach=Reach.EFFECT))
    bench.clock.now += timedelta(minutes=2)
    drainer.drain()
    assert bench.owed == []
    assert len(bench.chat.messages) == 1


def test_one_thing_that_alone_is_refused_for_ever_does_not_stand_in_front_of_the_others(bench):
    """A gateway that blocks one comment by its words looks as if it refused us all."""
    bench.owe(open_ticket())
    bench.drain()
    drainer = bench.dispatcher()
    bench.owe(comment("poison"))
    told = 0
    for minute in range(60):
        bench.tracker.faults.fail_next("comment", AccountError("a page", reach=Reach.KIND))
        drainer.drain()
        bench.tracker.faults.clear("comment")
        marker = ObjectKey("jira", ObjectKind.TICKET, f"herald-test-{minute:012}-0-1")
        bench.owe((OpenTicket(marker, "opened"), open_ticket()[1]))
        bench.clock.now += timedelta(minutes=1)
        drainer.drain()
        told = len(bench.tracker.tickets)
    assert told == 61


def test_the_status_says_who_refuses_us_since_when_in_which_words_and_how_much_waits(bench, capsys):
    bench.owe(open_ticket(), comment("run6"), tell("opened"))
    bench.tracker.faults.fail_next("create", REFUSED)
    bench.chat.faults.fail_next("post", AccountError("not_in_channel: /invite", reach=Reach.CHANNEL))
    bench.drain()
    seen = Overview((), 3, 0, tuple(held(bench.database)))
    capsys.readouterr()  # the log
    print_status(seen, as_json=True)
    assert [
        (each["service"], each["channel"], each["waiting"]) for each in json.loads(capsys.readouterr().out)["refused"]
    ] == [
        ("jira", None, 2),
        ("slack", "C1", 1),
    ]
    print_status(seen, as_json=False)
    shown = " ".join(capsys.readouterr().out.split())
    assert "jira refuses our account since 2026-11-24" in shown
    assert "2 wait for it, and go on by themselves: Jira did not create the ticket (401): who are you?" in shown
    assert "slack C1 refuses our account" in shown


def test_what_config_names_and_is_missing_is_no_refused_account(bench, capsys):
    bench.owe(open_ticket(), comment("run6"))
    bench.tracker.faults.fail_next("create", MissingError("lists: the board has no open list for done"))
    bench.drain()
    assert "what config names is missing there: nothing is lost" in capsys.readouterr().out
    (refusal,) = held(bench.database)
    print_status(Overview((), 2, 0, (refusal,)), as_json=False)
    shown = " ".join(capsys.readouterr().out.split())
    assert "jira: what config names is missing there since 2026-11-24" in shown
    assert "2 wait for it, and go on by themselves: lists: the board has no open list for done" in shown
    assert "our account" not in shown
    with bench.database.begin() as tx:
        found = piles(tx)
    assert [(pile.service, pile.why, pile.count) for pile in found] == [("jira", Why.MISSING, 2)]
    print_piles(found)
    assert "jira: what config names is missing there; wait until it is back" in capsys.readouterr().out
    bench.clock.now += timedelta(minutes=1)
    bench.drain()
    assert held(bench.database) == []


def test_it_is_logged_once_and_once_more_when_it_is_over(bench, capsys):
    structlog.reset_defaults()
    bench.owe(open_ticket(), comment("run6"))
    drainer = bench.dispatcher()
    for _ in range(3):
        bench.tracker.faults.fail_next("create", REFUSED)
    for _ in range(10):
        drainer.drain()
        bench.clock.now += timedelta(minutes=1)
    logged = capsys.readouterr().out
    assert logged.count("our account is refused") == 1
    assert logged.count("takes again what waits") == 1
    assert "who are you?" in logged


# ---- what an older Herald gave up


@pytest.mark.parametrize(
    ("words", "comes_back"),
    [
        ("Jira did not create the ticket (401): who are you? Check the token.", True),
        ("Confluence did not create the page 'x' (403): no.", True),
        ("Jira did not create the ticket (302): it points to https://sso.example", True),
        ("Slack did not post to #ml: invalid_auth. Check the token", True),
        ("Slack did not post to #ml: missing_scope (needed: chat:write).", True),
        ("Jira did not create the ticket (400): customfield_1: Team is required.", False),
        ("Slack did not post to #ml: invalid_blocks.", False),
    ],
)
def test_what_was_given_up_for_the_accounts_sake_is_owed_again(database, words: str, comes_back: bool):
    owe(database, open_ticket(), comment("run6"))
    with database.begin() as tx:
        owed = claims.claim_next(tx, "a", NOON, NOON + LONG)
        claims.mark_parked(tx, owed, "a", NOON, ParkedFor.REFUSED, words)
    migration = import_module("bot.store.migrations.versions.0006_back_to_the_account")
    with database.begin() as tx, Operations.context(MigrationContext.configure(tx)):
        migration.upgrade()
    with database.begin() as tx:
        claimed = claims.claim_next(tx, "b", NOON, NOON + LONG)
    assert (claimed is not None) is comes_back


# ---- gates and their breakers


def test_an_effect_goes_through_the_gates_of_its_service_its_channel_and_its_kind():
    effect, _ = tell("opened")
    assert gates_of(effect) == (Gate("slack"), Gate("slack", "C1"), Gate("slack", kind=TellChannel.kind))
    effect, _ = open_ticket()
    assert gates_of(effect) == (Gate("jira"), Gate("jira", kind=OpenTicket.kind))


def test_what_was_on_its_way_when_the_account_was_refused_opens_nothing():
    admission, (effect, _) = Admission(at_once=4), open_ticket()
    gate = gate_of(effect, Reach.SERVICE)
    pause, is_new = admission.breakers.refused(gate, NOON, Backoff(), 1.0)
    assert (pause, is_new) == (timedelta(seconds=2), True)
    assert admission.breakers.refused(gate, NOON, Backoff(), 1.0) == (timedelta(seconds=2), False), (
        "nor does it prolong it"
    )
    assert admission.breakers.answered(effect, NOON) == []
    assert admission.closed(NOON).services == {"jira"}
    assert admission.breakers.answered(effect, NOON + pause) == [gate]
    assert admission.closed(NOON).services == set()


def test_an_outage_in_the_midst_of_a_refusal_does_not_open_what_is_closed():
    refused = CircuitBreaker().refuse(NOON, Backoff(), 1.0)
    failed = refused.fail(NOON, timedelta(seconds=1), 3)
    assert not failed.admits(NOON + timedelta(seconds=1))
    assert failed.refused_since == NOON


def test_a_changed_configuration_is_tried_at_once():
    admission, (effect, _) = Admission(), open_ticket()
    admission.breakers.refused(gate_of(effect, Reach.SERVICE), NOON, Backoff(), 1.0)
    admission.breakers.reset()
    assert not admission.closed(NOON).services


def test_only_a_service_that_refuses_us_wholly_is_one(bench):
    admission, (effect, _) = Admission(), tell("opened")
    for reach in (Reach.CHANNEL, Reach.KIND):
        admission.breakers.refused(gate_of(effect, reach), NOON, Backoff(), 1.0)
    assert admission.breakers.refusing() == frozenset()
    admission.breakers.refused(gate_of(effect, Reach.SERVICE), NOON, Backoff(), 1.0)
    assert admission.breakers.refusing() == {"slack"}


# ---- against the stand-in, over HTTP


TRACKERS = {
    "jira cloud": (Service.JIRA_CLOUD, lambda box: jira_tracker(box, "cloud").tracker),
    "jira datacenter": (Service.JIRA_DATACENTER, lambda box: jira_tracker(box, "datacenter").tracker),
    "trello": (Service.TRELLO, lambda box: trello_tracker(box, lists={}).tracker),
}
WIKIS = {
    "confluence cloud": (Service.CONFLUENCE_CLOUD, lambda box: confluence_wiki(box, "cloud").wiki),
    "confluence datacenter": (Service.CONFLUENCE_DATACENTER, lambda box: confluence_wiki(box, "datacenter").wiki),
}
EPISODES = (
    FaultKind.REFUSED_ACCOUNT,
    FaultKind.FORBIDDEN,
    FaultKind.NOT_FOUND,
    FaultKind.SSO_REDIRECT,
    FaultKind.LOGIN_PAGE,
)
episodes = pytest.mark.parametrize("kind", EPISODES, ids=str)


def ticket_of(name: str) -> ObjectKey:
    """Build a ticket that no other test has, in a sandbox that they share."""
    return ObjectKey("jira", ObjectKind.TICKET, f"herald-once-{zlib.crc32(name.encode()):012}-0-1")


def opening(ticket: ObjectKey):
    effect, view = open_ticket()
    return type(effect)(ticket, effect.cause), replace(view, marker=ticket.name)


def go_through(office: Office, service: Service, kind: FaultKind, effects) -> None:
    """Owe some before, some during an episode; nothing is parked, and after it all is told."""
    first, *rest = effects
    owe(office.database, first, now=office.clock())
    assert office.drain() == []
    office.sandbox.strike(Fault(kind, service, times=0))
    owe(office.database, *rest, now=office.clock())
    for _ in range(5):
        office.drain()
        office.clock.now += timedelta(seconds=61)
    assert {owed.state for owed in outstanding(office.database)} == {EffectState.PENDING}
    assert held(office.database), "it is told"
    office.sandbox.calm()
    office.clock.now += LONG
    assert office.drain() == []
    assert outstanding(office.database) == []


@episodes
@pytest.mark.parametrize("name", list(TRACKERS))
def test_a_tracker_that_refuses_our_account_gets_everything_once_afterwards(
    sqlite_database, box: RunningSandbox, name: str, kind: FaultKind
):
    service, make = TRACKERS[name]
    tracker = make(box)
    office = Office(sqlite_database, box, Services({"jira": tracker}, {}, {}))
    marker = ticket_of(f"{name} {kind}")
    said = [(type(each)(marker, each.cause), view) for each, view in (comment("a"), comment("b"))]
    closed = (ResolveTicket(marker, "good"), None)
    go_through(office, service, kind, [opening(marker), *said, closed])
    with office.database.begin() as tx:
        key = objects.known_objects(tx, [marker])[marker].bound.external_id
    assert tracker.has_comment(key, "mark-a")
    assert tracker.has_comment(key, "mark-b")
    ticket = tracker.read(key)
    assert ticket is not None
    assert ticket.state.value == "done"
    assert [each.ticket.key for each in tracker.marked("herald-once") if each.marker == marker.name] == [key]


@episodes
@pytest.mark.parametrize("name", list(TRACKERS))
def test_a_ticket_is_opened_once_though_the_account_was_refused_when_it_was_due(
    sqlite_database, box: RunningSandbox, name: str, kind: FaultKind
):
    service, make = TRACKERS[name]
    tracker = make(box)
    office = Office(sqlite_database, box, Services({"jira": tracker}, {}, {}))
    markers = [ticket_of(f"{name} {kind} {number}") for number in range(2)]
    go_through(office, service, kind, [opening(each) for each in markers])
    for marker in markers:
        assert [each.marker for each in tracker.marked("herald-once")].count(marker.name) == 1


@episodes
@pytest.mark.parametrize("name", list(WIKIS))
def test_a_wiki_that_refuses_our_account_gets_everything_once_afterwards(
    sqlite_database, box: RunningSandbox, name: str, kind: FaultKind
):
    service, make = WIKIS[name]
    wiki = make(box)
    office = Office(sqlite_database, box, Services({}, {"confluence": wiki}, {}))
    pages = [ObjectKey("confluence", ObjectKind.PAGE, f"Run {n} of {name} {kind}") for n in range(2)]
    views = [
        RunPageView(each.name, VERDICT, RUN_VIEW, (VERDICT.headline,), (), (), (), None, TICKET.name, ("herald",))
        for each in pages
    ]
    published = [(PublishPage(key, "run5"), view) for key, view in zip(pages, views, strict=True)]
    labelled = [(LabelPage(key, "run5", needs=(key,)), label()[1]) for key in pages]
    go_through(office, service, kind, [*published, *labelled])
    for page in pages:
        assert wiki.find(page.name) is not None


@episodes
def test_a_chat_that_refuses_our_account_gets_everything_once_afterwards(
    sqlite_database, box: RunningSandbox, kind: FaultKind
):
    chat = slack_chat(box).chat
    office = Office(sqlite_database, box, Services({}, {}, {"slack": chat}))
    keys = [ObjectKey("slack", ObjectKind.MESSAGE, f"#search-quality test-{kind}-{n}") for n in range(2)]
    texts = [(TellChannel(key, "opened"), tell("opened")[1]) for key in keys]
    go_through(office, Service.SLACK, kind, texts)


def test_seconds_of_refusals_in_the_midst_of_much_work_lose_and_double_nothing(sqlite_database, box: RunningSandbox):
    """Eight workers at once, forty-two comments behind their tickets, and an episode that begins among them."""
    tracker = jira_tracker(box, "cloud").tracker
    markers = [ticket_of(f"episode {number}") for number in range(6)]
    for marker in markers:
        said = [(type(each)(marker, each.cause), view) for each, view in map(comment, "abcdefg")]
        owe(sqlite_database, opening(marker), *said, now=datetime.now(NOON.tzinfo))
    dispatcher = Dispatcher(
        sqlite_database,
        Services({"jira": tracker}, {}, {}),
        PlainWording(),
        Owner("host/1/1/a"),
        lambda: datetime.now(NOON.tzinfo),
        time.sleep,
        workers=8,
        admission=Admission(at_once=4),
        backoff=Backoff(first=0.1),
        in_flight=timedelta(0),
    )
    box.strike(Fault(FaultKind.REFUSED_ACCOUNT, Service.JIRA_CLOUD, times=9, skip=9))
    dispatcher.drain(timedelta(seconds=60))
    assert outstanding(sqlite_database) == []
    keys = {each.marker: each.ticket.key for each in tracker.marked("herald-once")}
    reader = Reader(box.jira_cloud_url, (box.email, box.api_token), None)
    for marker in markers:
        comments = reader.get(f"rest/api/2/issue/{keys[marker.name]}/comment", expand="properties")["comments"]
        assert [each["properties"][0]["value"]["mark"] for each in comments] == [f"mark-{cause}" for cause in "abcdefg"]


def test_a_ticket_that_is_gone_is_the_one_things_fault(sqlite_database, box: RunningSandbox):
    tracker = jira_tracker(box, "cloud").tracker
    office = Office(sqlite_database, box, Services({"jira": tracker}, {}, {}))
    owe(sqlite_database, open_ticket(), now=office.clock())
    office.drain()
    box.strike(Fault(FaultKind.NOT_FOUND, Service.JIRA_CLOUD, path="/issue/", times=0))
    owe(sqlite_database, comment("run6"), now=office.clock())
    office.drain()
    [owed] = outstanding(sqlite_database)
    assert (owed.state, owed.parked_for) == (EffectState.PARKED, ParkedFor.REFUSED)


@pytest.mark.parametrize(
    ("permission", "kind"),
    [("ADD_COMMENTS", CommentTicket.kind), ("TRANSITION_ISSUES", ResolveTicket.kind)],
)
def test_a_permission_that_is_missing_in_the_project_is_named_and_waited_for(
    sqlite_database, box: RunningSandbox, permission: str, kind: str
):
    office = Office(sqlite_database, box, Services({"jira": jira_tracker(box, "datacenter").tracker}, {}, {}))
    box.change(Service.JIRA_DATACENTER, denied=(permission,))
    told = {CommentTicket.kind: comment("run6"), ResolveTicket.kind: resolve("good")}
    owe(sqlite_database, open_ticket(), told[kind], now=office.clock())
    assert permission in office.drain()[-1]
    assert [owed.state for owed in outstanding(sqlite_database)] == [EffectState.PENDING]
    box.calm()
    office.clock.now += LONG
    assert office.drain() == []
    assert outstanding(sqlite_database) == []
