"""What people answer over the wire, in each tracker and in a thread, is acted on once and answered where it stands."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import pytest

from bot.domain.rules import Medium, RuleKind
from bot.ports import TicketAnswers, Tracker
from bot.sandbox import RunningSandbox, serve
from bot.services.jira.config import JiraSection
from bot.services.jira.ticket_answers import JiraTicketAnswers
from bot.services.jira.tracker import JiraTracker
from bot.services.slack.chat import SlackChat
from bot.services.slack.config import SlackSection
from bot.services.slack.thread_answers import SlackThreadAnswers
from bot.services.trello.config import TrelloSection
from bot.services.trello.ticket_answers import TrelloTicketAnswers
from bot.services.trello.tracker import TrelloTracker
from bot.store import rules
from tests.contract.answer_benches import JiraPerson, SlackPerson, TrelloPerson
from tests.unit.cycle_bench import GOOD, Bench
from tests.unit.state_samples import NOON


@dataclass
class WiredBench(Bench):
    """A Herald whose tracker and chat are the stand-ins, over HTTP."""

    sandbox: RunningSandbox | None = None
    service: str = "cloud"

    def __post_init__(self) -> None:
        super().__post_init__()
        box = self.sandbox
        assert box is not None
        self.chat_section = SlackSection(url=box.slack_url, token=box.slack_token, replies=True)
        self.tracker, self.tickets = self._tickets_of(box)
        self.chat, self.threads = SlackChat(self.chat_section), SlackThreadAnswers(self.chat_section)
        self.herald = self.make(channel=box.channel_id, wiki=None)

    def _tickets_of(self, box: RunningSandbox) -> tuple[Tracker, TicketAnswers]:
        if self.service == "trello":
            board = TrelloSection(url=box.trello_url, key=box.trello_key, token=box.trello_token, board=box.board_id)
            return TrelloTracker(board), TrelloTicketAnswers(board)
        person = JiraPerson(box, self.service)
        account = {"email": box.email, "token": box.api_token} if person.is_cloud else {"token": box.bearer_token}
        section = JiraSection(url=person.base, deployment=self.service, project="SR", search_lag="0s", **account)
        return JiraTracker(section), JiraTicketAnswers(section, self.clock)

    def read(self) -> None:
        self.now += timedelta(minutes=2)
        report = self.herald.triage.run()
        assert report.troubles == {}, report.troubles
        assert self.herald.dispatcher.drain().failures == []


@pytest.fixture
def make(tmp_path: Path, sqlite_url: str) -> Iterator[Callable[[str], WiredBench]]:
    made: list[WiredBench] = []
    with serve(None, clock=lambda: made[0].now.timestamp() if made else NOON.timestamp()) as box:

        def build(service: str) -> WiredBench:
            bench = WiredBench(
                tmp_path,
                sqlite_url,
                {"tickets": {"comment_every": "0s"}, "recovery": {"runs": 1}},
                sandbox=box,
                service=service,
            )
            made.append(bench)
            bench.outcomes([*GOOD, *GOOD, 0.50, 0.50])
            return bench

        yield build


@pytest.mark.parametrize("service", ["cloud", "datacenter", "trello"])
def test_what_is_said_on_a_ticket_in_its_thread_and_by_closing_it_is_heard_once(
    make: Callable[[str], WiredBench], service: str
):
    bench = make(service)
    box = bench.sandbox
    assert box is not None
    people = TrelloPerson(box) if service == "trello" else JiraPerson(box, service)
    [marked] = bench.tracker.marked("herald-test")
    key = marked.ticket.key
    bench.now += timedelta(seconds=10)
    people.say(key, "ada", "We know.\n\n/herald why\n/herald assign me")
    [message] = bench.chat.marked(box.channel_id, NOON)
    SlackPerson(box).say(message.posted, "wei", "/herald why")
    for _ in range(3):
        bench.read()
    reading = bench.tickets.read(key, None)
    assert reading is not None
    assert reading.assignee == people.person("ada")
    [said, reply] = reading.comments
    assert (said.author, said.mark, reply.author) == (people.person("ada"), None, bench.tickets.me())
    assert "0.8050" in reply.body
    assert "Assigned to Ada Okafor" in reply.body
    [asked, answered] = bench.threads.replies(message.posted, None)
    assert (asked.author.name, answered.author) == ("Lin Wei", bench.threads.me())
    assert "0.8050" in answered.body
    people.close(key, "wei", "Done")
    for _ in range(2):
        bench.read()
    with bench.database.begin() as tx:
        [rule] = rules.in_force(tx, bench.now)
    assert (rule.kind, rule.author, rule.said_at.medium) == (RuleKind.FIXED, people.person("wei"), Medium.RESOLUTION)
