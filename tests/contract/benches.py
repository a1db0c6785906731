"""Adapters set up beside a way to look at what they did, so that one suite fits all of a port."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any, Protocol

import requests

from bot.errors import PermanentError, RetryableError
from bot.ports import Chat, Posted, Tracker, Wiki
from bot.sandbox import Fault, FaultKind, RunningSandbox, Service
from bot.services.confluence.config import ConfluenceSection
from bot.services.confluence.wiki import ConfluenceWiki
from bot.services.jira.config import JiraSection
from bot.services.jira.tracker import JiraTracker
from bot.services.memory.chat import MemoryChat
from bot.services.memory.faults import Faults
from bot.services.memory.tracker import MemoryTracker
from bot.services.memory.wiki import MemoryWiki
from bot.services.slack.chat import SlackChat
from bot.services.slack.config import SlackSection
from bot.services.trello.config import TrelloSection
from bot.services.trello.tracker import TrelloTracker

TIMEOUT = timedelta(seconds=5)
WRITES = {"POST", "PUT", "DELETE"}


@dataclass(frozen=True)
class SeenTicket:
    title: str
    body: str
    labels: set[str]
    comments: list[str]  # oldest first
    links: dict[str, str]  # title by address
    files: list[str]


@dataclass(frozen=True)
class SeenPage:
    storage: str
    version: int
    labels: set[str]
    files: dict[str, int]  # size by name


@dataclass(frozen=True)
class SeenMessage:
    message_id: str
    text: str  # the headline


class Breaking(Protocol):
    """Makes the next write fail, after it was carried out or before."""

    def __call__(self, method: str, *, committed: bool) -> None: ...


@dataclass(frozen=True)
class TrackerBench:
    tracker: Tracker
    see: Callable[[str], SeenTicket]
    fail_next: Breaking
    count_writes: Callable[[], int | None]  # since the bench was set up; None where nothing goes over a wire
    give_due: Callable[[str, str], None]  # a day, as a person sets it
    missing: str = "SR-999"  # the key of no ticket
    replacing_a_link: int = 1  # in writes


@dataclass(frozen=True)
class WikiBench:
    wiki: Wiki
    see: Callable[[str], SeenPage]
    rewrite: Callable[[str, str], None]  # as a person edits a page
    fail_next: Breaking
    count_writes: Callable[[], int | None]


@dataclass(frozen=True)
class ChatBench:
    chat: Chat
    channel: str
    see: Callable[[], list[SeenMessage]]  # oldest first
    fail_next: Breaking
    count_writes: Callable[[], int | None]
    files: Callable[[Posted], list[str]]  # in a message's thread, by name


def fail_memory(faults: Faults) -> Breaking:
    def fail(method: str, *, committed: bool) -> None:
        faults.fail_next(method, RetryableError("it broke", doubtful=True), committed=committed)

    return fail


def memory_tracker() -> TrackerBench:
    tracker = MemoryTracker()

    def see(key: str) -> SeenTicket:
        held = tracker.tickets[key]
        links = {link.url: link.title for link in held.links.values()}
        comments = [body for _, body in held.comments]
        return SeenTicket(held.draft.title, held.draft.body, set(held.labels), comments, links, list(held.attachments))

    def give_due(key: str, day: str) -> None:
        tracker.tickets[key].due = date.fromisoformat(day)

    return TrackerBench(tracker, see, fail_memory(tracker.faults), lambda: None, give_due)


def memory_wiki() -> WikiBench:
    wiki = MemoryWiki()

    def see(page_id: str) -> SeenPage:
        held = wiki.pages[page_id]
        files = {name: len(each.content) for name, each in held.attachments.items()}
        return SeenPage(held.storage, held.version, set(held.labels), files)

    def rewrite(page_id: str, storage: str) -> None:
        wiki.pages[page_id].storage = storage

    return WikiBench(wiki, see, rewrite, fail_memory(wiki.faults), lambda: None)


def memory_chat() -> ChatBench:
    chat = MemoryChat()

    def see() -> list[SeenMessage]:
        return [SeenMessage(each.message_id, each.text.split("\n\n")[0]) for each in chat.messages]

    def files(posted: Posted) -> list[str]:
        return [name for each in chat.messages if each.message_id == posted.message_id for name in each.files]

    return ChatBench(chat, "#search-quality", see, fail_memory(chat.faults), lambda: None, files)


def break_wire(sandbox: RunningSandbox, service: Service, put: tuple[str, ...] = (), path: str = "") -> Breaking:
    """Drop connections; *put* names the methods whose write is a PUT, *path* tells writes from reads that are posted."""

    def fail(method: str, *, committed: bool) -> None:
        kind = FaultKind.DROP_AFTER if committed else FaultKind.DROP_BEFORE
        verb = "PUT" if method in put else "POST"
        sandbox.strike(Fault(kind, service=service, method=verb, path=path or None))

    return fail


def writes_of(sandbox: RunningSandbox, service: Service, reads: tuple[str, ...] = ()) -> Callable[[], int]:
    """Count requests that write; *reads* are the ends of paths that only read, though they are posted."""
    return lambda: sum(
        each.method in WRITES and not each.path.endswith(reads or ("\0",)) for each in sandbox.requests(service)
    )


class Reader:
    """Reads a service as its own pages would, past the adapter."""

    def __init__(self, base: str, auth: tuple[str, str] | None, bearer: str | None, **query: str) -> None:
        self._base = base
        self._session = requests.Session()
        self._session.auth = auth
        self._session.params = query
        if bearer:
            self._session.headers["Authorization"] = f"Bearer {bearer}"

    def get(self, path: str, **params: Any) -> Any:
        response = self._session.get(f"{self._base}/{path}", params=params, timeout=5)
        response.raise_for_status()
        return response.json()

    def post(self, path: str, **params: str) -> None:
        self._session.post(f"{self._base}/{path}", params=params, timeout=5).raise_for_status()

    def put(self, path: str, body: Mapping[str, Any]) -> None:
        self._session.put(f"{self._base}/{path}", json=body, timeout=5).raise_for_status()


def jira_tracker(sandbox: RunningSandbox, deployment: str, **more: Any) -> TrackerBench:
    cloud = deployment == "cloud"
    base = sandbox.jira_cloud_url if cloud else sandbox.jira_datacenter_url
    account = {"email": sandbox.email, "token": sandbox.api_token} if cloud else {"token": sandbox.bearer_token}
    section = {"url": base, "deployment": deployment, "project": sandbox.project_key, "timeout": TIMEOUT}
    tracker = JiraTracker(JiraSection(**{**section, **account, **more}))
    reader = reader_of(sandbox, base, cloud=cloud)
    service = Service.JIRA_CLOUD if cloud else Service.JIRA_DATACENTER

    def see(key: str) -> SeenTicket:
        fields = reader.get(f"rest/api/2/issue/{key}")["fields"]
        comments = reader.get(f"rest/api/2/issue/{key}/comment")["comments"]
        links = reader.get(f"rest/api/2/issue/{key}/remotelink")
        return SeenTicket(
            fields["summary"],
            fields["description"],
            set(fields["labels"]),
            [each["body"] for each in comments],
            {each["object"]["url"]: each["object"]["title"] for each in links},
            [each["filename"] for each in fields["attachment"]],
        )

    def give_due(key: str, day: str) -> None:
        reader.put(f"rest/api/2/issue/{key}", {"fields": {"duedate": day}})

    return TrackerBench(tracker, see, break_wire(sandbox, service), writes_of(sandbox, service), give_due)


def trello_tracker(sandbox: RunningSandbox, **more: Any) -> TrackerBench:
    section = {"url": sandbox.trello_url, "key": sandbox.trello_key, "token": sandbox.trello_token}
    tracker = TrelloTracker(TrelloSection(**{**section, "board": sandbox.board_id, "timeout": TIMEOUT, **more}))
    reader = Reader(sandbox.trello_url, None, None, key=sandbox.trello_key, token=sandbox.trello_token)
    reader.post("labels", name="ranking", color="sky", idBoard=sandbox.board_id)
    made = writes_of(sandbox, Service.TRELLO)()

    def see(key: str) -> SeenTicket:
        card = reader.get(f"cards/{key}", fields="name,desc,labels")
        files = reader.get(f"cards/{key}/attachments")
        comments = reader.get(f"cards/{key}/actions", filter="commentCard")
        body, marker = unmarked(card["desc"])
        return SeenTicket(
            card["name"],
            body,
            {marker, *(each["name"] for each in card["labels"])},
            [unmarked(each["data"]["text"])[0] for each in reversed(comments)],
            {each["url"].split("#")[0]: each["name"] for each in files if not each["isUpload"]},
            [each["name"] for each in files if each["isUpload"]],
        )

    fail = break_wire(sandbox, Service.TRELLO, put=("move",))
    count = writes_of(sandbox, Service.TRELLO)

    def give_due(key: str, day: str) -> None:
        reader.put(f"cards/{key}", {"due": day})

    return TrackerBench(tracker, see, fail, lambda: count() - made, give_due, missing="0" * 24, replacing_a_link=2)


def unmarked(text: str) -> tuple[str, str]:
    """Take the mark off the end of a text, or read it in the sentence that holds it."""
    last_line, sentence = r"(.*)\n\n`([\w-]+)`", r"(.*`(herald-[\w-]+)`.*)"
    found = re.fullmatch(last_line, text, re.DOTALL) or re.fullmatch(sentence, text, re.DOTALL)
    assert found is not None
    return found[1], found[2]


def confluence_wiki(sandbox: RunningSandbox, deployment: str, **more: Any) -> WikiBench:
    cloud = deployment == "cloud"
    base = sandbox.confluence_cloud_url if cloud else sandbox.confluence_datacenter_url
    account = {"email": sandbox.email, "token": sandbox.api_token} if cloud else {"token": sandbox.bearer_token}
    section = {"url": base, "deployment": deployment, "space": sandbox.space_key, "timeout": TIMEOUT}
    wiki = ConfluenceWiki(ConfluenceSection(**{**section, **account, **more}))
    reader = reader_of(sandbox, base, cloud=cloud)
    service = Service.CONFLUENCE_CLOUD if cloud else Service.CONFLUENCE_DATACENTER
    looks = _CloudLooks(reader) if cloud else _DataCenterLooks(reader)
    fail = break_wire(sandbox, service, put=("replace_section", "attach") if cloud else ("replace_section",))
    return WikiBench(wiki, looks.see, looks.rewrite, fail, writes_of(sandbox, service))


class _CloudLooks:
    def __init__(self, reader: Reader) -> None:
        self._reader = reader

    def see(self, page_id: str) -> SeenPage:
        page = self._reader.get(f"wiki/api/v2/pages/{page_id}", **{"body-format": "storage"})
        labels = self._reader.get(f"wiki/api/v2/pages/{page_id}/labels")["results"]
        files = self._reader.get(f"wiki/api/v2/pages/{page_id}/attachments")["results"]
        return SeenPage(
            page["body"]["storage"]["value"],
            page["version"]["number"],
            {each["name"] for each in labels},
            {each["title"]: each["fileSize"] for each in files},
        )

    def rewrite(self, page_id: str, storage: str) -> None:
        page = self._reader.get(f"wiki/api/v2/pages/{page_id}")
        body = {
            "id": page_id,
            "status": "current",
            "title": page["title"],
            "version": {"number": page["version"]["number"] + 1},
            "body": {"representation": "storage", "value": storage},
        }
        self._reader.put(f"wiki/api/v2/pages/{page_id}", body)


class _DataCenterLooks:
    def __init__(self, reader: Reader) -> None:
        self._reader = reader

    def see(self, page_id: str) -> SeenPage:
        page = self._reader.get(f"rest/api/content/{page_id}", expand="body.storage,version")
        labels = self._reader.get(f"rest/api/content/{page_id}/label")["results"]
        files = self._reader.get(f"rest/api/content/{page_id}/child/attachment")["results"]
        return SeenPage(
            page["body"]["storage"]["value"],
            page["version"]["number"],
            {each["name"] for each in labels},
            {each["title"]: each["extensions"]["fileSize"] for each in files},
        )

    def rewrite(self, page_id: str, storage: str) -> None:
        page = self._reader.get(f"rest/api/content/{page_id}", expand="version")
        body = {
            "type": "page",
            "title": page["title"],
            "version": {"number": page["version"]["number"] + 1},
            "body": {"storage": {"representation": "storage", "value": storage}},
        }
        self._reader.put(f"rest/api/content/{page_id}", body)


def slack_chat(sandbox: RunningSandbox, **more: Any) -> ChatBench:
    section = {"url": sandbox.slack_url, "token": sandbox.slack_token, "timeout": TIMEOUT}
    chat = SlackChat(SlackSection(**{**section, **more}))
    reader = Reader(sandbox.slack_url.rstrip("/"), None, sandbox.slack_token)

    def see() -> list[SeenMessage]:
        messages = reader.get("conversations.history", channel=sandbox.channel_id)["messages"]
        ours = [each for each in reversed(messages) if each.get("text")]
        return [SeenMessage(each["ts"], each["text"]) for each in ours]

    fail = break_wire(sandbox, Service.SLACK, path="chat\\.(postMessage|update)")
    reads = ("conversations.history", "conversations.list", "chat.getPermalink")

    def files(posted: Posted) -> list[str]:
        thread = reader.get("conversations.replies", channel=posted.channel, ts=posted.message_id)["messages"]
        return [file["name"] for each in thread for file in each.get("files", ())]

    return ChatBench(chat, "#search-quality", see, fail, writes_of(sandbox, Service.SLACK, reads), files)


def reader_of(sandbox: RunningSandbox, base: str, *, cloud: bool) -> Reader:
    auth = (sandbox.email, sandbox.api_token) if cloud else None
    return Reader(base, auth, None if cloud else sandbox.bearer_token)


__all__ = ["ChatBench", "PermanentError", "TrackerBench", "WikiBench"]
