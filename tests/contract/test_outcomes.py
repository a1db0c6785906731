"""Whatever becomes of a request, the right error comes of it, once, and says whether it may have been carried out."""

from __future__ import annotations

import socket
import traceback
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from typing import Any

import pytest

from bot.domain.message import MessageDocument
from bot.errors import AccountError, IntegrationError, PermanentError, RetryableError
from bot.ports import Attachment, PageDraft, Posted, RemoteLink, TicketDraft, TicketState
from bot.services.confluence.config import ConfluenceSection
from bot.services.confluence.wiki import ConfluenceWiki
from bot.services.http import retry_after
from bot.services.jira.config import JiraSection
from bot.services.jira.tracker import JiraTracker
from bot.services.slack.chat import SlackChat
from bot.services.slack.config import SlackSection
from bot.services.trello.config import TrelloSection
from bot.services.trello.tracker import TrelloTracker
from bot.services.webhook.chat import WebhookChat
from bot.services.webhook.config import WebhookSection
from tests.contract.breakable import DROP, HALF, STALL, Breakable, Reply, Request, answer, breakable

SECRET = "xoxb-53cr3t-t0k3n"
TIMEOUT = timedelta(seconds=0.5)
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
    "trello find": Act(trello, lambda t: t.find("m"), (LISTS,), answer(200, [])),
    "trello marked": Act(trello, lambda t: list(t.marked("m")), (LISTS,), answer(200, [])),
    "trello has_comment": Act(trello, lambda t: t.has_comment("c1", "mark"), proof=answer(200, [])),
    "trello read": Act(trello, lambda t: t.read("c1"), (LISTS,), answer(200, CARD_MADE)),
    "confluence find": Act(confluence, lambda w: w.find("T"), (SPACES,), NO_PAGES),
    "confluence datacenter find": Act(confluence_dc, lambda w: w.find("T"), proof=NO_PAGES),
    "confluence labelled": Act(confluence, lambda w: w.labelled("T"), proof=NO_PAGES),
    "confluence datacenter labelled": Act(confluence_dc, lambda w: w.labelled("T"), proof=NO_PAGES),
    "confluence read": Act(confluence, lambda w: w.read("5"), proof=answer(200, PAGE)),
    "slack find": Act(slack, lambda c: c.find("C12345678", "mark", NOW), proof=answer(200, HISTORY)),
    "slack marked": Act(slack, lambda c: c.marked("C12345678", NOW), proof=answer(200, HISTORY)),
    "slack has_reply": Act(slack, lambda c: c.has_reply(POSTED_BEFORE, "mark"), proof=answer(200, HISTORY)),
}
every_write = pytest.mark.parametrize("act", WRITES.values(), ids=list(WRITES))
every_read = pytest.mark.parametrize("act", READS.values(), ids=list(READS))
every_act = pytest.mark.parametrize("act", [*WRITES.values(), *READS.values()], ids=[*WRITES, *READS])


@pytest.fixture
def server() -> Iterator[Breakable]:
    with breakable() as running:
        yield running


def failure_of(act: Act, server: Breakable, reply: Reply, **more: Any) -> IntegrationError:
    """Perform *act* against a server that gives *reply* to all but the reads before it."""

    def respond(request: Request) -> Reply:
        return (request.method == "GET" and act.reads(request)) or reply

    server.reply = respond
    with pytest.raises(IntegrationError) as caught:
        act.call(act.make(server.url, **more))
    return caught.value


def retryable(error: IntegrationError) -> RetryableError:
    assert isinstance(error, RetryableError), error
    return error


@every_write
@pytest.mark.parametrize("reply", [DROP, HALF, STALL], ids=["drop", "half a body", "stall"])
def test_a_write_that_breaks_off_is_doubtful_and_sent_once(act: Act, reply: Reply, server: Breakable):
    error = retryable(failure_of(act, server, reply))
    assert error.doubtful
    assert len(server.writes) == 1


@every_write
@pytest.mark.parametrize("status", [500, 502, 503, 504])
def test_a_write_that_meets_a_server_error_is_doubtful_and_sent_once(act: Act, status: int, server: Breakable):
    error = retryable(failure_of(act, server, answer(status, "<html><h1>Bad day</h1></html>")))
    assert error.doubtful
    assert "Bad day" in str(error)
    assert "<h1>" not in str(error)
    assert len(server.writes) == 1


@every_write
def test_an_answer_that_cannot_be_read_leaves_a_write_doubtful(act: Act, server: Breakable):
    error = retryable(failure_of(act, server, answer(200, "<html>Please log in</html>")))
    assert error.doubtful
    assert "Please log in" in str(error)
    assert len(server.writes) == 1


@every_write
@pytest.mark.parametrize("status", [429, 503])
def test_a_write_told_to_come_later_says_when_and_is_doubtful_unless_it_was_one_too_many(
    act: Act, status: int, server: Breakable
):
    error = retryable(failure_of(act, server, answer(status, {"error": "ratelimited", "ok": False}, Retry_After="7")))
    assert error.doubtful is (status == 503), "whoever answers 503 may stand in front of one who went on"
    assert error.retry_after == 7
    assert len(server.writes) == 1


@every_write
def test_a_conflict_passes_and_changed_nothing(act: Act, server: Breakable):
    error = retryable(failure_of(act, server, answer(409, {"message": "stale"})))
    assert not error.doubtful
    assert len(server.writes) == 1


@every_write
@pytest.mark.parametrize("status", [400, 413, 422])
def test_a_refusal_is_permanent_and_sent_once(act: Act, status: int, server: Breakable):
    error = failure_of(act, server, answer(status, {"message": "no, says the service"}))
    assert isinstance(error, PermanentError)
    assert error.status == status
    assert "no, says the service" in str(error)
    assert len(server.writes) == 1


@every_write
def test_a_service_that_takes_no_connections_did_nothing(act: Act, server: Breakable):
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    if act.prelude:
        return  # its reads fail first; see the reads
    with pytest.raises(RetryableError, match="takes no connections") as caught:
        act.call(act.make(f"http://127.0.0.1:{port}"))
    assert not caught.value.doubtful


@pytest.mark.parametrize("make", [jira, trello])
def test_a_host_that_does_not_exist_did_nothing(make: Callable[[str], Any]):
    with pytest.raises(RetryableError, match=r"there is no host named nowhere\.invalid") as caught:
        make("http://nowhere.invalid").create("m", TicketDraft("t", "b"))
    assert not caught.value.doubtful


@every_read
@pytest.mark.parametrize("reply", [DROP, HALF, STALL, answer(500), answer(200, "log in"), answer(429, Retry_After="2")])
def test_a_read_is_never_doubtful(act: Act, reply: Reply, server: Breakable):
    assert not retryable(failure_of(act, server, reply)).doubtful


@every_act
def test_trap_14_15_32_the_libraries_repeat_nothing(act: Act, server: Breakable):
    failure_of(act, server, answer(429, {"ok": False, "error": "ratelimited"}, Retry_After="0"))
    asked = [(each.method, each.path, each.query, each.body) for each in server.requests]
    assert len(asked) == len(set(asked))


@every_act
def test_a_redirect_to_another_host_gets_nothing_of_ours(act: Act, server: Breakable):
    with breakable() as other:
        error = failure_of(act, server, answer(302, Location=f"{other.url}/login?token=1"))
        assert isinstance(error, AccountError)
        assert other.url in str(error)
        assert other.requests == []


@every_act
@pytest.mark.parametrize(
    "reply",
    [answer(401, f"your token {SECRET} is old"), answer(500, {"message": SECRET}), DROP, HALF, answer(200, SECRET)],
)
def test_no_secret_appears_in_an_error_or_its_traceback(act: Act, reply: Reply, server: Breakable):
    error = failure_of(act, server, reply)
    shown = "".join(traceback.format_exception(error)) + repr(error) + repr(error.__context__)
    assert SECRET not in shown
    assert SECRET not in repr(act.make(server.url)) + str(act.make(server.url))


@every_act
def test_a_request_without_a_usable_ca_file_is_not_sent(act: Act, server: Breakable, tmp_path: Path):
    with pytest.raises(PermanentError, match="ca_file"):
        act.call(act.make("https://127.0.0.1:9", ca_file=str(tmp_path / "absent.pem")))


@pytest.mark.parametrize("make", [jira, trello])
def test_a_token_that_no_header_can_hold_is_told_without_showing_it(make: Callable[..., Any], server: Breakable):
    for token in ("line\nbreak", "schlüssel€"):
        with pytest.raises(PermanentError, match="token") as caught:
            make(server.url, token=token).find("m")
        assert token not in "".join(traceback.format_exception(caught.value))


@pytest.mark.parametrize(
    ("said", "seconds"),
    [
        ("7", 7),
        ("0", 1),
        ("-5", 1),
        ("0.2", 1),
        ("3600", 300),
        ("1e99", 300),
        ("soon", None),
        ("", None),
        ("nan", None),
    ],
)
def test_trap_16_17_18_retry_after_as_a_number_or_a_lie(said: str, seconds: float | None):
    assert retry_after({"Retry-After": said}) == seconds


def test_trap_16_retry_after_as_a_date_is_read_by_the_services_own_clock():
    ours_is_wrong = NOW + timedelta(days=3)
    date = {"Date": format_datetime(ours_is_wrong, usegmt=True)}
    later = format_datetime(ours_is_wrong + timedelta(seconds=40), usegmt=True)
    past = format_datetime(ours_is_wrong - timedelta(hours=1), usegmt=True)
    assert retry_after({"Retry-After": later, **date}) == 40
    assert retry_after({"Retry-After": past, **date}) == 1


def test_retry_after_as_a_date_without_another_is_read_by_our_clock():
    later = format_datetime(datetime.now(UTC) + timedelta(seconds=100), usegmt=True)
    assert retry_after({"Retry-After": later}) == pytest.approx(100, abs=3)
    assert retry_after({}) is None


def test_trap_35_jira_says_which_field_it_complains_of(server: Breakable):
    body = {"errorMessages": ["It failed"], "errors": {"customfield_10011": "Epic Name is required."}}
    error = failure_of(WRITES["jira create"], server, answer(400, body))
    assert isinstance(error, PermanentError)
    assert error.fields == {"customfield_10011": "Epic Name is required."}
    assert "It failed; customfield_10011: Epic Name is required." in str(error)


def test_trap_35_confluence_v2_says_why(server: Breakable):
    body = {"errors": [{"status": 400, "code": "INVALID", "title": "Invalid body", "detail": "at line 3"}]}
    assert "Invalid body: at line 3" in str(failure_of(WRITES["confluence section"], server, answer(400, body)))


def test_trap_35_confluence_v1_says_why(server: Breakable):
    body = {"statusCode": 403, "message": "Not permitted", "data": {"errors": [{"message": {"key": "no.edit"}}]}}
    assert "Not permitted; no.edit" in str(failure_of(WRITES["confluence label"], server, answer(403, body)))


@pytest.mark.parametrize("status", [401, 403, 404])
@pytest.mark.parametrize("name", ["jira create", "confluence label"])
def test_a_refusal_of_access_says_what_to_check(name: str, status: int, server: Breakable):
    assert "Check" in str(failure_of(WRITES[name], server, answer(status, {})))


@pytest.mark.parametrize(
    "word",
    ["msg_too_long", "invalid_blocks", "no_text", "message_not_found", "cant_update_message"],
)
def test_what_slack_will_never_do_is_permanent_in_its_own_word(word: str, server: Breakable):
    said = {"ok": False, "error": word, "response_metadata": {"messages": ["[ERROR] because"]}}
    error = failure_of(WRITES["slack post"], server, answer(200, said))
    assert isinstance(error, PermanentError)
    assert error.fields == {"error": word}
    assert f"{word} ([ERROR] because)" in str(error)


@pytest.mark.parametrize(
    ("word", "doubtful"), [("ratelimited", False), ("internal_error", True), ("fatal_error", True)]
)
def test_what_slack_may_do_later_is_retryable(word: str, doubtful: bool, server: Breakable):
    error = retryable(failure_of(WRITES["slack post"], server, answer(200, {"ok": False, "error": word})))
    assert error.doubtful is doubtful
    assert len(server.writes) == 1


def test_a_missing_scope_is_named(server: Breakable):
    said = {"ok": False, "error": "missing_scope", "needed": "chat:write"}
    assert "needed: chat:write" in str(failure_of(WRITES["slack post"], server, answer(200, said)))
