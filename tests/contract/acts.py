"""One call of each adapter: how the reads before it are answered, and what the service says to it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from bot.domain.capabilities import TicketState
from bot.domain.message import MessageDocument
from bot.errors import IntegrationError
from bot.ports import Attachment, PageDraft, Posted, RemoteLink, TicketDraft
from bot.services.confluence.config import ConfluenceSection
from bot.services.confluence.wiki import ConfluenceWiki
from bot.services.jira.config import JiraSection
from bot.services.jira.ticket_answers import JiraTicketAnswers
from bot.services.jira.tracker import JiraTracker
from bot.services.slack.chat import SlackChat
from bot.services.slack.config import SlackSection
from bot.services.slack.thread_answers import SlackThreadAnswers
from bot.services.trello.config import TrelloSection
from bot.services.trello.ticket_answers import TrelloTicketAnswers
from bot.services.trello.tracker import TrelloTracker
from bot.services.webhook.chat import WebhookChat
from bot.services.webhook.config import WebhookSection
from tests.contract.breakable import DROP, Breakable, Reply, Request, answer

SECRET = "xoxb-53cr3t-t0k3n"
TIMEOUT = timedelta(seconds=5)  # for a busy machine
BRIEF = timedelta(seconds=0.5)  # where it is waited for that nothing comes
NOW = datetime(2026, 11, 24, 9, tzinfo=UTC)
FILE = Attachment("history-1f2e.png", b"\x89PNG", "image/png")
HISTORY = {"ok": True, "messages": [], "response_metadata": {"next_cursor": ""}}
TICKET = {
    "id": "1",
    "key": "S-1",
    "fields": {"status": {"statusCategory": {"key": "new"}}, "labels": ["m"], "attachment": []},
}
TRANSITIONS = {
    "transitions": [
        {"id": "31", "name": "Done", "to": {"name": "Done", "statusCategory": {"key": "done"}}, "fields": {}}
    ]
}


@dataclass(frozen=True)
class Act:
    """One call of one adapter, how the reads before it are answered, and what the service says to it."""

    make: Callable[..., Any]
    call: Callable[[Any], object]
    prelude: tuple[tuple[str, Any], ...] = ()  # how a path ends -> answer
    proof: Reply = DROP  # what shows that it was done, or that there is nothing

    def reads(self, request: Request) -> Reply | None:
        return next((answer(200, body) for end, body in self.prelude if request.path.endswith(end)), None)


def jira(url: str, deployment: str = "cloud", **more: Any) -> JiraTracker:
    values = {"url": url, "token": SECRET, "project": "S", "timeout": TIMEOUT, "deployment": deployment, **more}
    return JiraTracker(JiraSection(**values))


def jira_dc(url: str, **more: Any) -> JiraTracker:
    return jira(url, "datacenter", **more)


def trello(url: str, **more: Any) -> TrelloTracker:
    values = {"url": f"{url}/1", "key": "k3y-of-the-app", "token": SECRET, "board": "b0ard", "timeout": TIMEOUT, **more}
    return TrelloTracker(TrelloSection(**values))


def jira_answers(url: str, deployment: str = "cloud", **more: Any) -> JiraTicketAnswers:
    values = {"url": url, "token": SECRET, "project": "S", "timeout": TIMEOUT, "deployment": deployment, **more}
    return JiraTicketAnswers(JiraSection(**values))


def trello_answers(url: str, **more: Any) -> TrelloTicketAnswers:
    values = {"url": f"{url}/1", "key": "k3y-of-the-app", "token": SECRET, "board": "b0ard", "timeout": TIMEOUT, **more}
    return TrelloTicketAnswers(TrelloSection(**values))


def slack_answers(url: str, **more: Any) -> SlackThreadAnswers:
    return SlackThreadAnswers(SlackSection(**{"url": f"{url}/api", "token": SECRET, "timeout": TIMEOUT, **more}))


def confluence(url: str, deployment: str = "cloud", **more: Any) -> ConfluenceWiki:
    values = {"url": url, "token": SECRET, "space": "ML", "timeout": TIMEOUT, "deployment": deployment, **more}
    return ConfluenceWiki(ConfluenceSection(**values))


def confluence_dc(url: str, **more: Any) -> ConfluenceWiki:
    return confluence(url, "datacenter", **more)


def slack(url: str, **more: Any) -> SlackChat:
    return SlackChat(SlackSection(**{"url": f"{url}/api", "token": SECRET, "timeout": TIMEOUT, **more}))


def webhook(url: str, **more: Any) -> WebhookChat:
    values = {"webhook_url": f"{url}/services/T1/B1/{SECRET}", "timeout": TIMEOUT, **more}
    return WebhookChat(WebhookSection(**values))


SPACES = ("/api/v2/spaces", {"results": [{"id": 77, "key": "ML"}]})
PAGE = {
    "id": "5",
    "title": "P",
    "version": {"number": 1},
    "body": {"storage": {"value": "<p/>"}},
    "_links": {"webui": "/x"},
}
LISTS = (
    "/boards/b0ard/lists",
    [{"id": f"l{n}", "name": name, "idBoard": "b0"} for n, name in enumerate(("To do", "In progress", "Done"))],
)
CARD = ("/cards/c1", {"id": "c1", "idList": "l0", "closed": False})
FILES = ("/cards/c1/attachments", [])


def jira_move(**more: Any) -> Act:
    to = {"name": "W", "statusCategory": {"key": "indeterminate"}}
    ways = ("/transitions", {"transitions": [{"id": "3", "name": "Go", "to": to}]})
    return Act(jira, lambda t: t.move("S-1", TicketState.DOING), (("/issue/S-1", TICKET), ways), **more)


SELF = "https://jira/rest/api/2/issue/S-1"
MADE_TICKET = answer(201, {"id": "1", "key": "S-1", "self": SELF})
FILE_OF_JIRA = answer(200, [{"id": "7", "filename": FILE.filename, "size": len(FILE.content)}])
FILE_OF_PAGE = {"id": "att7", "title": FILE.filename, "extensions": {"fileSize": len(FILE.content)}}
CARD_MADE = {
    "id": "c1",
    "idShort": 4,
    "shortUrl": "https://t/c",
    "idList": "l0",
    "closed": False,
    "desc": "body\n\n`m`",
}
LINKED_CARD = answer(200, {"id": "a7", "name": "x", "url": "http://x#herald-de7d1b721a1e", "bytes": None})
FILE_OF_CARD = answer(200, {"id": "a7", "name": FILE.filename, "url": "https://t/a7", "bytes": len(FILE.content)})
SAID = {"id": "a7", "type": "commentCard", "data": {"text": "body\n\n`mark`", "card": {"id": "c1"}}}
WRITTEN = answer(200, PAGE | {"version": {"number": 2}})
POSTED = {"ok": True, "channel": "C12345678", "ts": "1.3"}
IN_THREAD = POSTED | {"message": {"ts": "1.3", "thread_ts": "1.2"}}
CREATE, CREATE_PAGE = TicketDraft("title", "body"), PageDraft("P", "<p/>")
LINK, POSTED_BEFORE = RemoteLink("i", "http://x", "x"), Posted("C12345678", "1.2")
WRITES = {
    "jira create": Act(jira, lambda t: t.create("m", CREATE), proof=MADE_TICKET),
    "jira comment": Act(
        jira, lambda t: t.comment("S-1", "mark", "body"), proof=answer(201, {"id": "1", "body": "body"})
    ),
    "jira link": Act(jira, lambda t: t.link("S-1", LINK), proof=answer(201, {"id": 1, "self": f"{SELF}/remotelink/1"})),
    "jira attach": Act(jira, lambda t: t.attach("S-1", FILE), (("/issue/S-1", TICKET),), FILE_OF_JIRA),
    "jira move": jira_move(proof=answer(204)),
    "jira datacenter create": Act(jira_dc, lambda t: t.create("m", CREATE), proof=MADE_TICKET),
    "trello create": Act(trello, lambda t: t.create("m", CREATE), (LISTS,), answer(200, CARD_MADE)),
    "trello comment": Act(trello, lambda t: t.comment("c1", "mark", "body"), proof=answer(200, SAID)),
    "trello link": Act(trello, lambda t: t.link("c1", LINK), (FILES,), LINKED_CARD),
    "trello attach": Act(trello, lambda t: t.attach("c1", FILE), (FILES,), FILE_OF_CARD),
    "trello move": Act(
        trello, lambda t: t.move("c1", TicketState.DONE), (LISTS, CARD), answer(200, CARD_MADE | {"idList": "l2"})
    ),
    "confluence create": Act(confluence, lambda w: w.create(CREATE_PAGE), (SPACES,), answer(200, PAGE)),
    "confluence label": Act(
        confluence, lambda w: w.label("5", ["a"]), proof=answer(200, {"results": [{"prefix": "global", "name": "a"}]})
    ),
    "confluence attach": Act(confluence, lambda w: w.attach("5", FILE), proof=answer(200, {"results": [FILE_OF_PAGE]})),
    "confluence section": Act(confluence, lambda w: w.replace_section("5", "<p>x</p>"), (("/pages/5", PAGE),), WRITTEN),
    "confluence datacenter create": Act(confluence_dc, lambda w: w.create(CREATE_PAGE), proof=answer(200, PAGE)),
    "confluence datacenter attach": Act(
        confluence_dc,
        lambda w: w.attach("5", FILE),
        (("/attachment", {"results": [FILE_OF_PAGE]}),),
        answer(200, FILE_OF_PAGE),
    ),
    "confluence datacenter section": Act(
        confluence_dc, lambda w: w.replace_section("5", "<p>x</p>"), (("/content/5", PAGE),), WRITTEN
    ),
    "slack post": Act(
        slack, lambda c: c.post("C12345678", "mark", MessageDocument.read("hello")), proof=answer(200, POSTED)
    ),
    "slack edit": Act(
        slack,
        lambda c: c.edit(POSTED_BEFORE, "mark", MessageDocument.read("hello")),
        proof=answer(200, POSTED | {"ts": "1.2"}),
    ),
    "slack reply": Act(
        slack, lambda c: c.reply(POSTED_BEFORE, "mark", MessageDocument.read("hello")), proof=answer(200, IN_THREAD)
    ),
    "webhook post": Act(
        webhook, lambda c: c.post("#ml", "mark", MessageDocument.read("hello")), proof=answer(200, "ok")
    ),
}
ANSWERED: dict[str, Any] = {
    "id": "1",
    "key": "S-1",
    "fields": {
        "status": {"id": "1", "name": "Open", "statusCategory": {"key": "new"}},
        "labels": ["m"],
        "issuelinks": [],
        "updated": "2026-11-24T09:00:00.000+0000",
    },
}
NO_COMMENTS = ("/comment", {"comments": [], "total": 0})
US, NO_CARDS, NO_ACTIONS = ("/members/me", {"id": "m1"}), ("/boards/b0ard/cards", []), ("/cards/c1/actions", [])
SHOWN_CARD = CARD_MADE | {"labels": [], "members": [], "dateLastActivity": "2026-11-24T09:00:00.000Z"}
NO_ISSUES = answer(200, {"issues": [], "total": 0})
NO_PAGES = answer(200, {"results": []})
READS = {
    "jira find": Act(jira, lambda t: t.find("m"), proof=NO_ISSUES),
    "jira datacenter find": Act(jira_dc, lambda t: t.find("m"), proof=NO_ISSUES),
    "jira marked": Act(jira, lambda t: list(t.marked("m")), proof=NO_ISSUES),
    "jira datacenter marked": Act(jira_dc, lambda t: list(t.marked("m")), proof=NO_ISSUES),
    "jira has_comment": Act(
        jira, lambda t: t.has_comment("S-1", "mark"), proof=answer(200, {"comments": [], "total": 0})
    ),
    "jira read": Act(jira, lambda t: t.read("S-1"), proof=answer(200, TICKET)),
    "jira answers": Act(jira_answers, lambda t: t.read("S-1", None), (NO_COMMENTS,), answer(200, ANSWERED)),
    "trello find": Act(trello, lambda t: t.find("m"), (LISTS,), answer(200, [])),
    "trello marked": Act(trello, lambda t: list(t.marked("m")), (LISTS,), answer(200, [])),
    "trello has_comment": Act(trello, lambda t: t.has_comment("c1", "mark"), proof=answer(200, [])),
    "trello read": Act(trello, lambda t: t.read("c1"), (LISTS,), answer(200, CARD_MADE)),
    "trello changed": Act(trello_answers, lambda t: t.changed("m", NOW), (LISTS, NO_CARDS), answer(200, [])),
    "trello answers": Act(
        trello_answers, lambda t: t.read("c1", NOW), (LISTS, US, NO_ACTIONS), answer(200, SHOWN_CARD)
    ),
    "confluence find": Act(confluence, lambda w: w.find("T"), (SPACES,), NO_PAGES),
    "confluence datacenter find": Act(confluence_dc, lambda w: w.find("T"), proof=NO_PAGES),
    "confluence labelled": Act(confluence, lambda w: w.labelled("T"), proof=NO_PAGES),
    "confluence datacenter labelled": Act(confluence_dc, lambda w: w.labelled("T"), proof=NO_PAGES),
    "confluence read": Act(confluence, lambda w: w.read("5"), proof=answer(200, PAGE)),
    "slack find": Act(slack, lambda c: c.find("C12345678", "mark", NOW), proof=answer(200, HISTORY)),
    "slack marked": Act(slack, lambda c: c.marked("C12345678", NOW), proof=answer(200, HISTORY)),
    "slack replies": Act(
        slack_answers,
        lambda c: c.replies(POSTED_BEFORE, NOW),
        proof=answer(200, HISTORY | {"user_id": "U1", "team_id": "T1"}),
    ),
    "slack has_reply": Act(slack, lambda c: c.has_reply(POSTED_BEFORE, "mark"), proof=answer(200, HISTORY)),
}
every_write = pytest.mark.parametrize("act", WRITES.values(), ids=list(WRITES))
every_read = pytest.mark.parametrize("act", READS.values(), ids=list(READS))
every_act = pytest.mark.parametrize("act", [*WRITES.values(), *READS.values()], ids=[*WRITES, *READS])


def failure_of(act: Act, server: Breakable, reply: Reply, **more: Any) -> IntegrationError:
    """Perform *act* against a server that gives *reply* to all but the reads before it."""

    def respond(request: Request) -> Reply:
        return (request.method == "GET" and act.reads(request)) or reply

    server.reply = respond
    with pytest.raises(IntegrationError) as caught:
        act.call(act.make(server.url, **({"timeout": BRIEF} if reply.stall else {}), **more))
    return caught.value
