"""What people deleted, archived or made anew under our hands: it is replaced once, and the effect goes on."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any

import pytest
import requests

from bot.delivery.attempt import TicketFields
from bot.delivery.services import Services
from bot.domain.capabilities import TicketState
from bot.domain.effects import CommentTicket, OpenTicket, ReplyInThread, TellChannel
from bot.domain.objects import ObjectKey, ObjectKind
from bot.errors import AccountError, PermanentError, Reach
from bot.ports import PageDraft, TicketDraft
from bot.render.renderer import Renderer
from bot.sandbox import Fault, FaultKind, RunningSandbox, Service
from bot.services.memory.chat import MemoryChat
from bot.store import backlog, objects, outbox
from bot.store.owed import EffectState, ParkedFor
from tests.contract.benches import ChatBench, Reader, confluence_wiki, jira_tracker, slack_chat, trello_tracker
from tests.unit.delivery_bench import PARENT, Office, update_section
from tests.unit.state_samples import (
    INCIDENT,
    MESSAGE,
    comment_view,
    known,
    message_view,
    outstanding,
    owe,
    tell,
    ticket_view,
)

MINUTE = timedelta(minutes=1)
DRAFT = TicketDraft("Ranking quality fell", "It fell.")
_counter = iter(range(1_000_000))


class Channel:
    """A message of an incident in the sandbox's channel, which people may delete."""

    def __init__(self, database: object, sandbox: RunningSandbox) -> None:
        self.bench: ChatBench = slack_chat(sandbox)
        self.office = Office(database, sandbox, Services({}, {}, {"slack": self.bench.chat}))
        self.mark = f"test-gone{next(_counter):04}"
        self.key = ObjectKey("slack", ObjectKind.MESSAGE, f"{self.bench.channel} {self.mark}")
        self._before = {each.message_id for each in self.bench.see()}

    def tell(self, cause: str) -> None:
        view = replace(message_view(), mark=self.mark)
        owe(
            self.office.database,
            (TellChannel(self.key, cause, INCIDENT), view),
            now=self.office.clock(),
        )

    def answer(self, cause: str) -> None:
        effect = ReplyInThread(self.key, cause, INCIDENT, needs=(self.key,))
        owe(self.office.database, (effect, comment_view(f"{self.mark}-{cause}")), now=self.office.clock())

    def drain(self) -> list[str]:
        self.office.clock.now += MINUTE
        return self.office.drain()

    @property
    def shown(self) -> list[str]:
        return [each.message_id for each in self.bench.see() if each.message_id not in self._before]

    def delete(self, ts: str) -> None:
        sandbox = self.office.sandbox
        answer = requests.post(
            f"{sandbox.slack_url.rstrip('/')}/chat.delete",
            headers={"Authorization": f"Bearer {sandbox.slack_token}"},
            data={"channel": sandbox.channel_id, "ts": ts},
            timeout=5,
        )
        assert answer.json()["ok"], answer.text


@pytest.fixture
def channel(sqlite_database, box: RunningSandbox) -> Iterator[Channel]:
    return Channel(sqlite_database, box)


def test_news_of_a_message_that_was_deleted_is_posted_afresh_and_edited_from_then_on(channel: Channel):
    channel.tell("opened")
    assert channel.drain() == []
    [first] = channel.shown
    channel.delete(first)
    channel.tell("recovered")
    assert channel.drain() == []
    [second] = channel.shown
    assert second != first
    channel.tell("again")
    assert channel.drain() == []
    assert channel.shown == [second]
    assert outstanding(channel.office.database) == []


@pytest.mark.parametrize("fault", [FaultKind.DROP_AFTER, FaultKind.DROP_BEFORE])
def test_a_message_posted_afresh_stands_once_though_its_end_was_in_doubt(channel: Channel, fault: FaultKind):
    channel.tell("opened")
    channel.drain()
    channel.delete(channel.shown[0])
    channel.tell("recovered")
    channel.office.sandbox.strike(Fault(fault, Service.SLACK, path="chat.postMessage"))
    assert channel.drain() != []
    channel.office.clock.now += 15 * MINUTE
    assert channel.drain() == []
    assert len(channel.shown) == 1
    channel.tell("again")
    assert channel.drain() == []
    assert len(channel.shown) == 1


@pytest.mark.parametrize("fault", [None, FaultKind.DROP_AFTER, FaultKind.DROP_BEFORE])
def test_what_would_be_said_below_a_deleted_message_is_said_in_the_channel_once(channel: Channel, fault):
    channel.tell("opened")
    channel.drain()
    channel.delete(channel.shown[0])
    channel.answer("worse")
    if fault is not None:  # the reply itself is refused by Slack, and what is posted instead ends in doubt
        channel.office.sandbox.strike(Fault(fault, Service.SLACK, path="chat.postMessage", skip=1))
        channel.drain()
        channel.office.clock.now += 15 * MINUTE
    assert channel.drain() == []
    assert len(channel.shown) == 1
    assert outstanding(channel.office.database) == []


@pytest.mark.parametrize(("place", "said"), [("C-before", 1), ("C1", 0)])
def test_news_of_a_message_in_a_closed_channel_goes_to_the_one_that_has_its_name_now(
    sqlite_database, place: str, said: int
):
    chat = MemoryChat()
    office = Office(sqlite_database, None, Services({}, {}, {"slack": chat}))
    with sqlite_database.begin() as tx:
        objects.know(tx, known(MESSAGE, "1", place))
    closed = AccountError("is_archived", reach=Reach.CHANNEL, fields={"error": "is_archived"})
    chat.faults.fail_next("edit", closed, committed=False)
    owe(sqlite_database, tell("recovered"), now=office.clock())
    office.drain()
    assert len(chat.messages) == said
    assert len(outstanding(sqlite_database)) == 1 - said, "where none has its name, it waits to be opened again"


# ---- what a tracker refuses of a new ticket


@dataclass
class Asking:
    """A wording that asks for more than the sandbox's trackers give."""

    locale: str = "en"
    fields: TicketFields = field(default_factory=lambda: TicketFields("Blocker", "nobody", ("ours",), ("No such",)))

    def renderer(self, _pipeline: str, _target: ObjectKey) -> Renderer:
        return Renderer(self.locale)

    def ticket_fields(self, _pipeline: str) -> TicketFields:
        return self.fields


def file_ticket(office: Office, wording: Asking) -> str:
    """Owe a ticket and deliver it; returns its marker."""
    marker = f"herald-once-{next(_counter):012}-0-1"
    effect = OpenTicket(ObjectKey("jira", ObjectKind.TICKET, marker), "opened")
    owe(office.database, (effect, replace(ticket_view(), marker=marker)), now=office.clock())
    office.dispatcher = replace(office.dispatcher, wording=wording)
    office.clock.now += MINUTE
    office.drain()
    return marker


@pytest.mark.parametrize("deployment", ["cloud", "datacenter"])
@pytest.mark.parametrize(("locale", "said"), [("en", "Not set, since Jira refused it"), ("zh", "未设置")])
def test_a_field_that_jira_refuses_is_left_out_and_said_in_the_ticket(
    sqlite_database, box: RunningSandbox, deployment: str, locale: str, said: str
):
    bench = jira_tracker(box, deployment, fields={"customfield_10099": {"value": "Ranking"}})
    office = Office(sqlite_database, box, Services({"jira": bench.tracker}, {}, {}))
    marker = file_ticket(office, Asking(locale))
    assert outstanding(sqlite_database) == []
    ticket = bench.tracker.find(marker)
    assert ticket is not None
    seen = bench.see(ticket.key)
    last = seen.body.strip().splitlines()[-1]
    assert said in last
    for value in ("Blocker", "nobody", "No such", "customfield\\_10099", "Ranking"):
        assert value in last or value.replace("\\", "") in last, last
    assert {marker, "ours"} <= seen.labels, "what is not refused is set"


def test_a_second_try_without_a_field_that_ends_in_doubt_makes_no_second_ticket(sqlite_database, box: RunningSandbox):
    bench = jira_tracker(box, "cloud")
    office = Office(sqlite_database, box, Services({"jira": bench.tracker}, {}, {}))
    box.strike(Fault(FaultKind.DROP_AFTER, Service.JIRA_CLOUD, method="POST", path="/issue$", skip=1))
    marker = file_ticket(office, Asking())
    assert [owed.effect.kind for owed in outstanding(sqlite_database)] == [OpenTicket.kind]
    office.clock.now += 15 * MINUTE
    assert office.drain() == []
    assert [each.marker for each in bench.tracker.marked("herald-once")].count(marker) == 1


def test_a_field_that_config_calls_required_is_worth_no_ticket(sqlite_database, box: RunningSandbox):
    bench = jira_tracker(box, "cloud")
    office = Office(sqlite_database, box, Services({"jira": bench.tracker}, {}, {}))
    marker = file_ticket(office, Asking(fields=TicketFields("Blocker", required=frozenset({"priority"}))))
    [owed] = outstanding(sqlite_database)
    assert owed.state is EffectState.PARKED
    assert "priority" in owed.fields
    assert bench.tracker.find(marker) is None


def test_a_refusal_of_what_a_ticket_cannot_do_without_is_one_of_the_ticket(sqlite_database, box: RunningSandbox):
    bench = jira_tracker(box, "cloud", issue_type="No such type")
    office = Office(sqlite_database, box, Services({"jira": bench.tracker}, {}, {}))
    file_ticket(office, Asking())
    [owed] = outstanding(sqlite_database)
    assert owed.state is EffectState.PARKED
    assert "issuetype" in owed.fields


def test_a_member_that_trello_refuses_is_left_out_and_said_on_the_card(sqlite_database, box: RunningSandbox):
    bench = trello_tracker(box, lists={})
    office = Office(sqlite_database, box, Services({"jira": bench.tracker}, {}, {}))
    marker = file_ticket(office, Asking())
    assert outstanding(sqlite_database) == []
    ticket = bench.tracker.find(marker)
    assert ticket is not None
    card = Reader(box.trello_url, None, None, key=box.trello_key, token=box.trello_token).get(f"cards/{ticket.key}")
    said = "Not set, since Trello refused it: assignee 'nobody' \\(invalid value for idMembers.\\)"
    assert said in card["desc"]
    assert marker in card["desc"]


# ---- ids that were learnt by name


def trello_of(sandbox: RunningSandbox) -> Callable[..., Any]:
    """Return what asks Trello past the adapter."""

    def ask(method: str, path: str, **params: str) -> Any:
        account = {"key": sandbox.trello_key, "token": sandbox.trello_token}
        answer = requests.request(method, f"{sandbox.trello_url}/{path}", params=params | account, timeout=5)
        answer.raise_for_status()
        return answer.json()

    return ask


def test_cards_go_to_the_open_list_that_has_the_name_of_one_that_was_archived(box: RunningSandbox):
    ask = trello_of(box)
    tracker = trello_tracker(box, lists={"todo": "Ours"}).tracker
    old = ask("POST", "lists", name="Ours", idBoard=box.board_id)["id"]
    assert ask("GET", f"cards/{tracker.create('m-before', DRAFT).key}")["idList"] == old
    ask("PUT", f"lists/{old}", closed="true")
    with pytest.raises(AccountError, match="no open list for todo = 'Ours'"):
        tracker.create("m-between", DRAFT)
    new = ask("POST", "lists", name="Ours", idBoard=box.board_id)["id"]
    made = tracker.create("m-after", DRAFT)
    assert ask("GET", f"cards/{made.key}")["idList"] == new
    tracker.move(made.key, TicketState.DONE)
    tracker.move(made.key, TicketState.TODO)
    assert ask("GET", f"cards/{made.key}")["idList"] == new


def test_a_label_that_was_deleted_on_the_board_is_made_again(box: RunningSandbox):
    ask = trello_of(box)
    tracker = trello_tracker(box, lists={}).tracker
    tracker.create("m-1", replace(DRAFT, labels=("fading",)))
    [label] = [one for one in ask("GET", f"boards/{box.board_id}/labels") if one["name"] == "fading"]
    ask("DELETE", f"labels/{label['id']}")
    made = tracker.create("m-2", replace(DRAFT, labels=("fading",)))
    assert [one["name"] for one in ask("GET", f"cards/{made.key}")["labels"]] == ["fading"]


@dataclass(frozen=True)
class Pages:
    """The pages of a Confluence, as people handle them."""

    sandbox: RunningSandbox
    deployment: str

    def ask(self, method: str, path: str, body: object = None) -> Any:
        if self.deployment == "cloud":
            address, auth = (
                f"{self.sandbox.confluence_cloud_url}/wiki/{path}",
                (self.sandbox.email, self.sandbox.api_token),
            )
        else:
            address, auth = f"{self.sandbox.confluence_datacenter_url}/{path}", None
        headers = {} if auth else {"Authorization": f"Bearer {self.sandbox.bearer_token}"}
        answer = requests.request(method, address, json=body, auth=auth, headers=headers, timeout=5)
        answer.raise_for_status()
        return answer.json() if answer.content else None

    def delete(self, page_id: str) -> None:
        self.ask("DELETE", f"api/v2/pages/{page_id}" if self.deployment == "cloud" else f"rest/api/content/{page_id}")

    def parent_of(self, page_id: str) -> str:
        if self.deployment == "cloud":
            return str(self.ask("GET", f"api/v2/pages/{page_id}")["parentId"])
        return str(self.ask("GET", f"rest/api/content/{page_id}?expand=ancestors")["ancestors"][-1]["id"])


deployments = pytest.mark.parametrize("deployment", ["cloud", "datacenter"])


@deployments
def test_pages_go_below_the_page_that_has_the_title_of_a_parent_that_was_deleted(box: RunningSandbox, deployment: str):
    pages, title = Pages(box, deployment), f"Reports of {next(_counter)}"
    by_hand = confluence_wiki(box, deployment).wiki
    wiki = confluence_wiki(box, deployment, parent=title).wiki
    old = by_hand.create(PageDraft(title, "")).page_id
    assert pages.parent_of(wiki.create(PageDraft(f"{title}, first", "")).page_id) == old
    pages.delete(old)
    with pytest.raises(AccountError, match=f"there is no page titled '{title}'.*in the trash of space"):
        wiki.create(PageDraft(f"{title}, second", ""))
    new = by_hand.create(PageDraft(title, "")).page_id
    assert pages.parent_of(wiki.create(PageDraft(f"{title}, second", "")).page_id) == new
    below_the_old = PageDraft(f"{title}, third", "", parent_id=old, parent_title=title)
    assert pages.parent_of(by_hand.create(below_the_old).page_id) == new, "one that the state remembers"


@deployments
def test_a_page_that_is_kept_up_to_date_is_made_again_where_people_deleted_it(
    sqlite_database, box: RunningSandbox, deployment: str
):
    bench = confluence_wiki(box, deployment)
    office = Office(sqlite_database, box, Services({}, {"confluence": bench.wiki}, {}))
    owe(sqlite_database, update_section("run5"), now=office.clock())
    assert office.drain() == []
    first = bench.wiki.find(PARENT.name)
    assert first is not None
    Pages(box, deployment).delete(first.page_id)
    office = Office(sqlite_database, box, Services({}, {"confluence": confluence_wiki(box, deployment).wiki}, {}))
    owe(sqlite_database, update_section("run6"), now=office.clock())
    assert office.drain() == []
    second = bench.wiki.find(PARENT.name)
    assert second is not None
    assert second.page_id != first.page_id
    assert outstanding(sqlite_database) == []


def test_a_page_in_the_archive_that_has_the_wanted_title_is_named(box: RunningSandbox):
    wiki, title = confluence_wiki(box, "cloud").wiki, f"Kept {next(_counter)}"
    page = wiki.create(PageDraft(title, ""))
    Pages(box, "cloud").ask("POST", "rest/api/content/archive", {"pages": [{"id": int(page.page_id)}]})
    said = f"A page with this title is in the archive of space {box.space_key}: restore or rename it."
    with pytest.raises(PermanentError, match=said):
        wiki.create(PageDraft(title, ""))


# ---- what fails for ever


def fail_a_comment(office: Office, **which: Any) -> None:
    """Let a ticket be there, and a comment on it fail from now on."""
    marker = file_ticket(office, Asking(fields=TicketFields()))
    effect = CommentTicket(ObjectKey("jira", ObjectKind.TICKET, marker), "worse")
    office.sandbox.strike(Fault(FaultKind.ERROR_BEFORE, Service.JIRA_CLOUD, times=0, status=500, **which))
    owe(office.database, (effect, comment_view(f"mark-{marker}")), now=office.clock())
    office.drain()
    office.clock.now += 25 * 60 * MINUTE
    office.drain()
    office.clock.now += 15 * MINUTE


def test_what_fails_for_a_day_while_others_are_taken_is_parked_told_and_comes_back(
    sqlite_database, box: RunningSandbox
):
    office = Office(sqlite_database, box, Services({"jira": jira_tracker(box, "cloud").tracker}, {}, {}))
    fail_a_comment(office, method="POST", path="/comment$")
    file_ticket(office, Asking(fields=TicketFields()))
    for pause in (*[1] * 10, 15):  # a service that fails is held for a minute, and what failed rests for longer
        office.clock.now += pause * MINUTE + timedelta(seconds=5)
        office.drain()
    [owed] = outstanding(sqlite_database)
    assert (owed.state, owed.parked_for) == (EffectState.PARKED, ParkedFor.FAILING)
    assert f"`herald outbox retry {owed.seq}`" in (owed.error or "")
    with sqlite_database.begin() as tx:
        assert [pile.why for pile in backlog.piles(tx)] == [backlog.Why.FAILING]
        assert backlog.count(tx)[EffectState.PARKED] == 1, "which the digest and the status tell of"
        assert outbox.retry_all(tx, office.clock()) == [owed.seq]
    office.drain()
    assert [each.state for each in outstanding(sqlite_database)] == [EffectState.PENDING], "it has a day anew"
    box.calm()
    office.clock.now += 15 * MINUTE
    assert office.drain() == []
    assert outstanding(sqlite_database) == []


def test_a_service_that_fails_for_days_for_everybody_parks_nothing(sqlite_database, box: RunningSandbox):
    office = Office(sqlite_database, box, Services({"jira": jira_tracker(box, "cloud").tracker}, {}, {}))
    fail_a_comment(office)
    for _ in range(3):
        office.clock.now += 15 * MINUTE
        office.drain()
    assert [each.state for each in outstanding(sqlite_database)] == [EffectState.PENDING]
