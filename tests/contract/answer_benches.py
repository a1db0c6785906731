"""Adapters that read answers, beside the people who give them, so that one suite fits all of a port."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import requests

from bot.domain.rules import Person
from bot.ports import Chat, Posted, ThreadAnswers, TicketAnswers, Tracker
from bot.sandbox import RunningSandbox, Service
from bot.sandbox.seed import Account
from bot.services.jira.config import JiraSection
from bot.services.jira.ticket_answers import JiraTicketAnswers
from bot.services.jira.tracker import JiraTracker
from bot.services.memory.answers import MemoryThreadAnswers, MemoryTicketAnswers
from bot.services.memory.chat import MemoryChat
from bot.services.memory.tracker import MemoryTracker
from bot.services.slack.chat import SlackChat
from bot.services.slack.config import SlackSection
from bot.services.slack.thread_answers import SlackThreadAnswers
from bot.services.trello.config import TrelloSection
from bot.services.trello.ticket_answers import TrelloTicketAnswers
from bot.services.trello.tracker import TrelloTracker
from tests.contract.benches import TIMEOUT


@dataclass(frozen=True)
class TicketPeople:
    """What people do to a ticket, past the adapters; who does it is named as `ada`."""

    say: Callable[[str, str, str], str]  # key, who, words -> id of the comment
    edit: Callable[[str, str, str, str], None]  # key, who, id of the comment, words
    close: Callable[[str, str, str], None]  # key, who, resolution
    person: Callable[[str], Person]


@dataclass(frozen=True)
class AnswersBench:
    answers: TicketAnswers
    tracker: Tracker
    people: TicketPeople
    expel: Callable[[str], None]  # whom no ticket can be assigned to from now on
    missing: str = "SR-999"  # the key of no ticket
    count_requests: Callable[[], int | None] = lambda: None


def memory_answers() -> AnswersBench:
    tracker = MemoryTracker()
    answers = MemoryTicketAnswers(tracker)
    answers.people.assignable |= {"ada", "wei"}
    answers.people.groups["search-leads"] = {"ada"}
    answers.people.roles["Developers"] = {"wei"}
    people = TicketPeople(
        say=lambda key, who, words: tracker.say(key, Person(who, who.title()), words).comment_id,
        edit=lambda key, _, comment, words: tracker.edit(key, comment, words),
        close=lambda key, who, name: tracker.close(key, name, Person(who, who.title())),
        person=lambda who: Person(who, who.title()),
    )
    return AnswersBench(answers, tracker, people, answers.people.assignable.discard)


class JiraPerson:
    """Writes to the stand-in for Jira as one of its people."""

    def __init__(self, sandbox: RunningSandbox, deployment: str) -> None:
        self._sandbox = sandbox
        self.is_cloud = deployment == "cloud"
        self.base = sandbox.jira_cloud_url if self.is_cloud else sandbox.jira_datacenter_url

    def account(self, who: str) -> Account:
        return next(one for one in self._sandbox.seed.accounts if one.name == who)

    def person(self, who: str) -> Person:
        account = self.account(who)
        known = account.account_id if self.is_cloud else account.name
        return Person(known, account.display_name, is_app=self.is_cloud and account.is_bot)

    def send(self, who: str, method: str, path: str, body: Any) -> Any:
        account = self.account(who)
        auth = (account.email, account.api_token) if self.is_cloud else None
        headers = {} if self.is_cloud else {"Authorization": f"Bearer {account.bearer}"}
        answer = requests.request(
            method, f"{self.base}/rest/api/2/{path}", json=body, auth=auth, headers=headers, timeout=5
        )
        answer.raise_for_status()
        return answer.json() if answer.content else None

    def say(self, key: str, who: str, words: str) -> str:
        return str(self.send(who, "POST", f"issue/{key}/comment", {"body": words})["id"])

    def edit(self, key: str, who: str, comment: str, words: str) -> None:
        self.send(who, "PUT", f"issue/{key}/comment/{comment}", {"body": words})

    def close(self, key: str, who: str, resolution: str) -> None:
        body = {"transition": {"id": "31"}, "fields": {"resolution": {"name": resolution}}}
        self.send(who, "POST", f"issue/{key}/transitions", body)

    def link(self, who: str, key: str, original: str) -> None:
        body = {"type": {"name": "Duplicate"}, "inwardIssue": {"key": key}, "outwardIssue": {"key": original}}
        self.send(who, "POST", "issueLink", body)


def jira_answers(sandbox: RunningSandbox, deployment: str, **more: Any) -> AnswersBench:
    writes = JiraPerson(sandbox, deployment)
    account = {"email": sandbox.email, "token": sandbox.api_token}
    known = account if writes.is_cloud else {"token": sandbox.bearer_token}
    values = {"url": writes.base, "deployment": deployment, "project": sandbox.project_key, "timeout": TIMEOUT}
    section = JiraSection(**{**values, **known, **more})
    service = Service.JIRA_CLOUD if writes.is_cloud else Service.JIRA_DATACENTER
    return AnswersBench(
        JiraTicketAnswers(section),
        JiraTracker(section),
        TicketPeople(writes.say, writes.edit, writes.close, writes.person),
        lambda who: sandbox.change(service, unassignable=[who]),
        count_requests=lambda: len(sandbox.requests(service)),
    )


class TrelloPerson:
    """Writes to the stand-in for Trello as one of its people."""

    def __init__(self, sandbox: RunningSandbox) -> None:
        self._sandbox = sandbox

    def account(self, who: str) -> Account:
        return next(one for one in self._sandbox.seed.people if one.name == who)

    def person(self, who: str) -> Person:
        account = self.account(who)
        return Person(account.trello_member, account.display_name)

    def send(self, who: str, method: str, path: str, **params: str) -> Any:
        known = {"key": self._sandbox.trello_key, "token": self.account(who).trello_token}
        answer = requests.request(method, f"{self._sandbox.trello_url}/{path}", params=params | known, timeout=5)
        answer.raise_for_status()
        return answer.json()

    def say(self, key: str, who: str, words: str) -> str:
        return str(self.send(who, "POST", f"cards/{key}/actions/comments", text=words)["id"])

    def edit(self, key: str, who: str, comment: str, words: str) -> None:
        self.send(who, "PUT", f"cards/{key}/actions/{comment}/comments", text=words)

    def close(self, key: str, who: str, name: str) -> None:
        """Move the card to the list of that name, which is made where there is none."""
        board = self._sandbox.board_id
        lists = {each["name"]: each["id"] for each in self.send(who, "GET", f"boards/{board}/lists")}
        made = lists.get(name) or self.send(who, "POST", "lists", name=name, idBoard=board, pos="bottom")["id"]
        self.send(who, "PUT", f"cards/{key}", idList=made)


def trello_answers(sandbox: RunningSandbox, **more: Any) -> AnswersBench:
    writes = TrelloPerson(sandbox)
    values = {"url": sandbox.trello_url, "key": sandbox.trello_key, "token": sandbox.trello_token}
    section = TrelloSection(**{**values, "board": sandbox.board_id, "timeout": TIMEOUT, **more})
    return AnswersBench(
        TrelloTicketAnswers(section),
        TrelloTracker(section),
        TicketPeople(writes.say, writes.edit, writes.close, writes.person),
        lambda who: sandbox.change(Service.TRELLO, observers=[who]),
        missing="0" * 24,
        count_requests=lambda: len(sandbox.requests(Service.TRELLO)),
    )


@dataclass(frozen=True)
class ThreadBench:
    answers: ThreadAnswers
    chat: Chat
    channel: str
    say: Callable[[Posted, str, str], str]  # message, who, words -> id of the reply
    person: Callable[[str], Person]
    expel: Callable[[str], None]  # who may not speak from now on


def memory_thread() -> ThreadBench:
    chat = MemoryChat()
    answers = MemoryThreadAnswers(chat)
    answers.people.assignable |= {"ada", "wei"}
    return ThreadBench(
        answers,
        chat,
        "#search-quality",
        lambda posted, who, words: answers.say(posted, Person(who, who.title()), words, now()).comment_id,
        lambda who: Person(who, who.title()),
        answers.people.assignable.discard,
    )


class SlackPerson:
    """Calls the stand-in for Slack as one of its people."""

    def __init__(self, sandbox: RunningSandbox) -> None:
        self._sandbox = sandbox

    def account(self, who: str) -> Account:
        return next(one for one in self._sandbox.seed.people if one.name == who)

    def person(self, who: str) -> Person:
        account = self.account(who)
        return Person(account.slack_user, account.display_name)

    def call(self, who: str, method: str, **body: str) -> Any:
        headers = {"Authorization": f"Bearer {self.account(who).slack_token}"}
        answer = requests.post(f"{self._sandbox.slack_url}{method}", json=body, headers=headers, timeout=5).json()
        assert answer["ok"], answer
        return answer

    def say(self, posted: Posted, who: str, words: str) -> str:
        body = {"channel": posted.channel, "thread_ts": posted.message_id, "text": words}
        return str(self.call(who, "chat.postMessage", **body)["ts"])


def slack_thread(sandbox: RunningSandbox, **more: Any) -> ThreadBench:
    writes = SlackPerson(sandbox)
    section = SlackSection(**{"url": sandbox.slack_url, "token": sandbox.slack_token, "timeout": TIMEOUT, **more})
    return ThreadBench(
        SlackThreadAnswers(section),
        SlackChat(section),
        "#search-quality",
        writes.say,
        writes.person,
        lambda who: sandbox.change(Service.SLACK, guests=[who]),
    )


def now() -> datetime:
    return datetime.now(UTC)
