"""What the chaos owes to the services, and a count of what arrived there."""

from __future__ import annotations

import json
import re
import sqlite3
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

from bot.config.models import Config
from bot.domain.effects import (
    AnswerComment,
    AnswerInThread,
    AssignTicket,
    AttachExamples,
    AttachExamplesToPage,
    AttachToPage,
    AttachToTicket,
    CommentTicket,
    Effect,
    LabelPage,
    LinkTicket,
    OpenTicket,
    PublishArchive,
    PublishPage,
    ReopenTicket,
    ReplyInThread,
    ResolveTicket,
    ShareChart,
    TellChannel,
    UpdateLedger,
    UpdateSection,
)
from bot.domain.incidents import Kind
from bot.domain.judge import Outcome, Reason
from bot.domain.objects import Marker, ObjectKey, ObjectKind
from bot.domain.views import (
    AnswerKind,
    AnswerPart,
    AnswerView,
    ArchivePageView,
    AssigneeView,
    ChartView,
    CommentKind,
    CommentView,
    FileView,
    LabelsView,
    LedgerView,
    LinkView,
    MessageView,
    MetricRow,
    PipelinePageView,
    RunPageView,
    RunView,
    TicketView,
    Tone,
    VerdictView,
    View,
)
from bot.sandbox import RunningSandbox, SandboxSeed
from bot.sandbox.jira.catalogue import DONE
from bot.sandbox.seed import Channel

INSTANCE = "chaos"
TIMEOUT = timedelta(seconds=1.5)
SEARCH_LAG = 0.2  # seconds
PIPELINES = 6
PICTURE_EVERY = 5  # incidents; drawing takes longer than everything else
ONCE, AGAIN = "C0ATMOST1", "C0ATLEAST"  # channels of the webhooks
TRACKERS = ("jira", "trello", "jira_dc")
CHANNELS = ("C0CHAOS01", "C0CHAOS02", "C0CHAOS03")
HOOKED = {"hook_once": ONCE, "hook_again": AGAIN}

SEED = SandboxSeed(channels=tuple(Channel(name, name.lower()) for name in (*CHANNELS, ONCE, AGAIN)))


def configuration(box: RunningSandbox, timeout: timedelta = TIMEOUT) -> Config:
    """Configure every service that the stand-in has."""
    account = {"email": box.email, "token": box.api_token, "timeout": timeout}
    bearer = {"token": box.bearer_token, "deployment": "datacenter", "timeout": timeout}
    lag = timedelta(seconds=2 * SEARCH_LAG)
    hook = box.slack_webhook_url.rsplit("/", 2)
    return Config.model_validate(
        {
            "instance": INSTANCE,
            "tracker": {
                "jira": {"url": box.jira_cloud_url, "project": box.project_key, "search_lag": lag, **account},
                "jira_dc": {"url": box.jira_datacenter_url, "project": box.project_key, "search_lag": lag, **bearer},
                "trello": {
                    "kind": "trello",
                    "url": box.trello_url,
                    "key": box.trello_key,
                    "token": box.trello_token,
                    "board": box.board_id,
                    "search_lag": lag,
                    "timeout": timeout,
                },
            },
            "wiki": {
                "confluence": {"url": box.confluence_cloud_url, "space": box.space_key, **account},
                "confluence_dc": {"url": box.confluence_datacenter_url, "space": box.space_key, **bearer},
            },
            "chat": {
                "slack": {"kind": "slack", "url": box.slack_url, "token": box.slack_token, "timeout": timeout},
                "hook_once": {
                    "kind": "webhook",
                    "webhook_url": f"{hook[0]}/{ONCE}/{hook[2]}",
                    "timeout": timeout,
                },
                "hook_again": {
                    "kind": "webhook",
                    "webhook_url": f"{hook[0]}/{AGAIN}/{hook[2]}",
                    "delivery": "at_least_once",
                    "timeout": timeout,
                },
            },
        }
    )


@dataclass(frozen=True)
class Told:
    """One incident, from its opening to its end, as its effects name it."""

    name: str  # in every headline
    number: int

    @property
    def incident_id(self) -> str:
        return f"{self.name.lower()}0000"

    @property
    def is_datacenter(self) -> bool:
        return self.number % 2 == 1

    @property
    def ticket(self) -> ObjectKey:
        return ObjectKey(TRACKERS[self.number % len(TRACKERS)], ObjectKind.TICKET, self.marker)

    @property
    def marker(self) -> str:
        return str(Marker(INSTANCE, self.incident_id))

    @property
    def page(self) -> ObjectKey:
        return ObjectKey(self.wiki, ObjectKind.PAGE, f"Run {self.name}")

    @property
    def parent(self) -> ObjectKey:
        return ObjectKey(self.wiki, ObjectKind.PAGE, f"Pipeline {self.number % PIPELINES} of {self.name[0]}")

    @property
    def archive(self) -> ObjectKey:
        return ObjectKey(self.wiki, ObjectKind.PAGE, f"{self.parent.name}, the year")

    @property
    def assignee(self) -> str:
        wei = SEED.people[1]
        own = {"jira": wei.account_id, "jira_dc": wei.name, "trello": SEED.trello_member}
        return own[self.ticket.service]

    @property
    def ledger(self) -> ObjectKey:
        return ObjectKey(self.wiki, ObjectKind.PAGE, f"Quiet by {self.name}")

    @property
    def wiki(self) -> str:
        return "confluence_dc" if self.is_datacenter else "confluence"

    @property
    def channel(self) -> str:
        return CHANNELS[self.number % len(CHANNELS)]

    @property
    def mark(self) -> str:
        return f"{INSTANCE}-{self.incident_id}"

    @property
    def hook(self) -> str | None:
        return {2: "hook_once", 3: "hook_again"}.get(self.number % 4)

    @property
    def has_picture(self) -> bool:
        return self.number % PICTURE_EVERY == 0

    @property
    def comments(self) -> tuple[str, ...]:
        return tuple(f"{self.name}-{cause}" for cause in ("repeated", "again", "resolved"))

    @property
    def answers(self) -> tuple[str, ...]:
        return (f"{self.name}-answered",) if self.has_picture else ()

    @property
    def replies(self) -> tuple[str, ...]:
        """All that is said in the message's thread, where there is one."""
        return (*self.comments, *self.answers)

    def message(self, service: str) -> ObjectKey:
        return ObjectKey(service, ObjectKind.MESSAGE, f"{HOOKED.get(service, self.channel)} {self.mark}")

    def effects(self) -> Iterator[tuple[Effect, View | None]]:
        """Yield all effects in the order in which they fall due."""
        about, ticket, page, views = self.incident_id, self.ticket, self.page, _Views(self)
        slack = self.message("slack")
        yield UpdateSection(self.parent, about), views.pipeline
        yield PublishArchive(self.archive, "year", needs=(self.parent,)), views.archive
        yield PublishPage(page, about, about, needs=(self.archive,)), views.page
        yield LabelPage(page, about, needs=(page,)), LabelsView(("herald", self.marker))
        yield OpenTicket(ticket, "opened", about), views.ticket
        yield LinkTicket(ticket, about, about, needs=(ticket, page)), LinkView({"report": page})
        if self.has_picture:
            yield AttachToPage(page, about, needs=(page,)), views.chart
            yield AttachToTicket(ticket, about, about, needs=(ticket,)), views.chart
            yield AttachExamplesToPage(page, about, needs=(page,)), views.examples
            yield AttachExamples(ticket, about, about, needs=(ticket,)), views.examples
        yield TellChannel(slack, "filed", about), views.message(Tone.BAD)
        if self.hook is not None:
            yield TellChannel(self.message(self.hook), "filed", about), views.message(Tone.BAD)
        if self.has_picture:
            yield ShareChart(slack, about, about, needs=(slack,)), views.chart
        for mark in self.comments:
            yield CommentTicket(ticket, mark, about), views.comment(mark)
            if self.has_picture:
                yield ReplyInThread(slack, mark, about, needs=(slack,)), views.comment(mark)
        if self.answers:
            yield AssignTicket(ticket, "asked", about), AssigneeView(self.assignee, "Wei")
        for mark in self.answers:
            yield AnswerComment(ticket, mark, about), views.answer(mark)
            yield AnswerInThread(slack, mark, about, needs=(slack,)), views.answer(mark)
        yield ResolveTicket(ticket, "resolved", about), None
        if self.answers:
            yield ReopenTicket(ticket, "answered", about), None
            yield ResolveTicket(ticket, "resolved again", about), None
            yield UpdateLedger(self.ledger, about), views.ledger
        yield TellChannel(slack, "resolved", about), views.message(Tone.GOOD)


@dataclass(frozen=True)
class _Views:
    told: Told

    @property
    def row(self) -> MetricRow:
        return MetricRow(
            "ndcg", "Ranking quality", Outcome.REGRESSED, Reason.CONFIRMED, "0.60", "0.80", "-0.20", "-25 %", "", "", ""
        )

    @property
    def verdict(self) -> VerdictView:
        return VerdictView(Outcome.REGRESSED, Kind.REGRESSED, self.told.name, self.row, (), (), "3", "2")

    @property
    def run(self) -> RunView:
        return RunView(f"run of {self.told.name}", self.told.name, "", "24 Nov 2026")

    @property
    def links(self) -> dict[str, ObjectKey]:
        return {"ticket": self.told.ticket, "report": self.told.page}

    @property
    def pipeline(self) -> PipelinePageView:
        title = self.told.parent.name
        return PipelinePageView(title, title, f"As of {self.told.name}.", "Search", ("Ranking quality",), (), ())

    @property
    def ledger(self) -> LedgerView:
        return LedgerView(self.told.ledger.name, INSTANCE, (), ())

    @property
    def archive(self) -> ArchivePageView:
        return ArchivePageView(self.told.archive.name, self.told.parent.name, "2026", {"pipeline": self.told.parent})

    @property
    def page(self) -> RunPageView:
        title, marker = self.told.page.name, self.told.marker
        links = {"pipeline": self.told.parent, "archive": self.told.archive}
        return RunPageView(
            title, self.verdict, self.run, (self.row,), (), (), (), None, marker, ("herald", marker), links=links
        )

    @property
    def ticket(self) -> TicketView:
        links = {"report": self.told.page}
        return TicketView(
            self.verdict, self.run, self.run, (self.row,), (), (), "Search", self.told.marker, links=links
        )

    @property
    def examples(self) -> FileView:
        return FileView(f"{self.told.name}.csv", '"example_id","change"\r\n"u1",-0.5\r\n')

    @property
    def chart(self) -> ChartView:
        return ChartView("ndcg", ("a", "b"), (0.8, 0.6), (None, None), filename=f"{self.told.name}.png")

    def comment(self, mark: str) -> CommentView:
        is_over = mark == self.told.comments[-1]
        kind = CommentKind.RECOVERY if is_over else CommentKind.REPEAT
        return CommentView(kind, self._verdict(is_over=is_over), self.run, (self.row,), mark)

    def answer(self, mark: str) -> AnswerView:
        return AnswerView((AnswerPart(AnswerKind.HELP),), "Wei", mark)

    def message(self, tone: Tone) -> MessageView:
        mark = self.told.mark
        verdict = self._verdict(is_over=tone is Tone.GOOD)
        return MessageView(tone, verdict, self.run, self.run, (self.row,), "Search", mark, "", self.links)

    def _verdict(self, *, is_over: bool) -> VerdictView:
        return replace(self.verdict, outcome=Outcome.OK) if is_over else self.verdict


@dataclass
class Score:
    """How often things are there that should be there once."""

    duplicates: list[str] = field(default_factory=list)
    losses: list[str] = field(default_factory=list)
    repeated: int = 0  # to channels set to at least once, beyond the first
    unheard: int = 0  # by channels set to at most once

    def once(self, what: str, count: int) -> None:
        if count == 0:
            self.losses.append(what)
        elif count > 1:
            self.duplicates += [what] * (count - 1)

    def holds(self, what: str, *, true: bool) -> None:
        if not true:
            self.losses.append(what)


@dataclass(frozen=True)
class SeenTicket:
    name: str  # as messages show it
    marks: tuple[str, ...]  # of its comments, oldest first
    links: int
    files: Counter[str]
    is_done: bool


class Seen:
    """What lies in the stand-in's file after the storm."""

    def __init__(self, path: Path) -> None:
        with closing(sqlite3.connect(path)) as db:
            db.row_factory = sqlite3.Row
            files = _rows(db, "SELECT service, owner, filename, url FROM attachment")
            self.tickets: dict[str, list[SeenTicket]] = {}  # by marker
            self._read_issues(db, files)
            self._read_cards(db, files)
            pages = _rows(db, "SELECT * FROM page WHERE status = 'current'")
            messages = _rows(db, "SELECT * FROM message ORDER BY id", "metadata", "attachments", "blocks", "files")
            shared = {row["id"]: row["name"] for row in _rows(db, "SELECT id, name FROM slack_file WHERE complete")}
            self.labels = Counter(row["page"] for row in _rows(db, "SELECT page FROM page_label"))
        self.page_files = Counter((each["service"], each["filename"]) for each in files)
        self.pages = {(page["service"], page["title"]): page for page in pages}
        self.page_counts = Counter((page["service"], page["title"]) for page in pages)
        self.by_mark: dict[str, list[Any]] = {}
        self.hooked: dict[str, list[str]] = {}
        self.replies: Counter[tuple[str, str]] = Counter()  # by the message answered, and the reply's mark
        self.shown: Counter[tuple[str, str]] = Counter()  # by that message, and the file's name
        for message in messages:
            if message["author"] == "B0WEBHOOK":
                self.hooked.setdefault(message["channel"], []).append(_all_text(message))
            elif message["thread_ts"]:
                place = message["thread_ts"]
                self.shown.update((place, shared[each]) for each in message["files"] or ())
                if message["metadata"]:
                    self.replies[place, message["metadata"]["event_payload"]["mark"]] += 1
            elif message["metadata"]:
                self.by_mark.setdefault(message["metadata"]["event_payload"]["mark"], []).append(message)

    def _read_issues(self, db: sqlite3.Connection, files: list[dict[str, Any]]) -> None:
        comments = _rows(db, "SELECT issue, properties FROM issue_comment ORDER BY id", "properties")
        links = Counter(row["issue"] for row in _rows(db, "SELECT issue FROM remote_link"))
        for issue in _rows(db, "SELECT id, service, key, fields FROM issue", "fields"):
            number, service = issue["id"], issue["service"]
            marks = [c["properties"].get("herald", {}).get("mark", "") for c in comments if c["issue"] == number]
            own = Counter(f["filename"] for f in files if (f["service"], f["owner"]) == (service, str(number)))
            done = issue["fields"]["status"] == DONE.id
            ticket = SeenTicket(issue["key"], tuple(marks), links[number], own, done)
            for label in issue["fields"].get("labels", []):
                self.tickets.setdefault(label, []).append(ticket)

    def _read_cards(self, db: sqlite3.Connection, files: list[dict[str, Any]]) -> None:
        lists = {row["id"]: row["name"] for row in _rows(db, "SELECT id, name FROM trello_list")}
        actions = _rows(db, "SELECT card, data FROM card_action WHERE type = 'commentCard' ORDER BY at, id", "data")
        for card in _rows(db, "SELECT * FROM card"):
            texts = [each["data"]["text"] for each in actions if each["card"] == card["id"]]
            attached = [each for each in files if each["owner"] == card["id"]]
            ticket = SeenTicket(
                f"#{card['number']}",
                tuple(text.rstrip().rsplit("`", 2)[-2] for text in texts),
                sum("#herald-" in each["url"] for each in attached),
                Counter(each["filename"] for each in attached if not each["url"]),
                lists[card["list"]] == "Done",
            )
            for marker in set(re.findall(rf"herald-{INSTANCE}-\w+-0-1", card["description"])):
                self.tickets.setdefault(marker, []).append(ticket)


def _rows(db: sqlite3.Connection, query: str, *structured: str) -> list[dict[str, Any]]:
    rows = [dict(row) for row in db.execute(query)]
    for row in rows:
        for name in structured:
            row[name] = json.loads(row[name]) if row[name] else {}
    return rows


def _all_text(message: Mapping[str, Any]) -> str:
    said = json.dumps([message["text"], message["blocks"], message["attachments"]], ensure_ascii=False)
    return said.replace("\u2060", "")  # which keeps `#1` from becoming a channel


def count(told: list[Told], seen: Seen, score: Score) -> None:
    """Compare what should be there with what is."""
    for one in told:
        tickets = seen.tickets.get(one.marker, [])
        score.once(f"ticket {one.name}", len(tickets))
        for ticket in tickets[:1]:
            _count_ticket(one, ticket, score)
        _count_pages(one, seen, score)
        _count_messages(one, [ticket.name for ticket in tickets], seen, score)


def _count_ticket(one: Told, ticket: SeenTicket, score: Score) -> None:
    for mark in one.replies:
        score.once(f"comment {mark}", ticket.marks.count(mark))
    score.holds(f"order of comments {one.name}", true=list(dict.fromkeys(ticket.marks)) == list(one.replies))
    score.once(f"link {one.name}", ticket.links)
    score.holds(f"end of {one.name}", true=ticket.is_done)
    if one.has_picture:
        score.once(f"picture on ticket {one.name}", ticket.files[f"{one.name}.png"])
        score.once(f"examples on ticket {one.name}", ticket.files[f"{one.name}.csv"])


def _count_pages(one: Told, seen: Seen, score: Score) -> None:
    service = "confluence-dc" if one.is_datacenter else "confluence-cloud"
    for key in (one.page, one.archive, one.parent, *([one.ledger] if one.answers else [])):
        score.once(f"page {key.name}", seen.page_counts[service, key.name])
    page = seen.pages.get((service, one.page.name))
    score.holds(f"labels {one.name}", true=page is not None and seen.labels[page["id"]] == len(("herald", "marker")))
    if one.has_picture:
        score.once(f"picture on page {one.name}", seen.page_files[service, f"{one.name}.png"])
        score.once(f"examples on page {one.name}", seen.page_files[service, f"{one.name}.csv"])


def _count_messages(one: Told, tickets: list[str], seen: Seen, score: Score) -> None:
    messages = seen.by_mark.get(one.mark, [])
    score.once(f"message {one.name}", len(messages))
    for message in messages[:1]:
        shown = _all_text(message)
        mended = all(name in shown for name in tickets[:1]) and one.page.name in shown
        score.holds(f"last words on {one.name}", true=mended and "has recovered" in shown)
        if one.has_picture:
            score.once(f"picture in thread {one.name}", seen.shown[message["ts"], f"{one.name}.png"])
            for mark in one.replies:
                score.once(f"reply {mark}", seen.replies[message["ts"], mark])
    if one.hook is not None:
        number = sum(one.name in text for text in seen.hooked.get(HOOKED[one.hook], []))
        if one.hook == "hook_once":
            score.duplicates += [f"webhook {one.name}"] * max(number - 1, 0)
            score.unheard += number == 0
        else:
            score.holds(f"webhook {one.name}", true=number > 0)
            score.repeated += max(number - 1, 0)
