"""Every request and answer on the wire is as the services describe it."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
import requests
from openapi_core.exceptions import OpenAPIError

from bot.domain.capabilities import TicketState
from bot.domain.message import MessageDocument
from bot.errors import IntegrationError
from bot.ports import Attachment, PageDraft, RemoteLink, Speakers, Ticket, TicketDraft
from bot.sandbox import Fault, FaultKind, RunningSandbox, Service
from bot.services.checks import TicketWants
from bot.services.confluence.checks import check_confluence
from bot.services.confluence.config import ConfluenceSection
from bot.services.jira.checks import check_jira
from bot.services.jira.config import JiraSection
from bot.services.slack.checks import check_slack
from bot.services.slack.config import SlackSection
from bot.services.trello.checks import check_trello
from bot.services.trello.config import TrelloSection
from bot.services.webhook.chat import WebhookChat
from bot.services.webhook.config import WebhookSection
from tests.contract.answer_benches import jira_answers, slack_thread, trello_answers
from tests.contract.benches import TIMEOUT, confluence_wiki, jira_tracker, slack_chat, trello_tracker
from tests.contract.descriptions import FILES, Exchange, hold, reasons

BEFORE = datetime.now(UTC) - timedelta(hours=1)
FILE = Attachment("history.png", b"\x89PNG" + bytes(60), "image/png")
LINK = RemoteLink("herald-report", "https://wiki/1", "Report", "of run 4")

ANY = ".*"
# What the descriptions lack: service, method, path, status -> what is true of the exchange all the same.
UNDECLARED: dict[tuple[str, str, str, int], Callable[[Exchange], bool]] = {
    # a title that is taken
    ("confluence-dc", "POST", "/rest/api/content", 400): lambda e: e.got.json()["statusCode"] == 400,
    # declared as a 201, though it only reads
    ("confluence-dc", "GET", r"/rest/api/content/\d+/child/attachment", 200): lambda e: isinstance(
        e.got.json()["results"], list
    ),
    # only the replacement of a link is declared
    ("jira-dc", "POST", r"/rest/api/2/issue/[\w-]+/remotelink", 201): lambda e: {"id", "self"} <= set(e.got.json()),
    # a link between tickets is answered with nothing, though a body is declared
    ("jira-cloud", "POST", "/rest/api/2/issueLink", 201): lambda e: e.got.content == b"",
    ("jira-dc", "POST", "/rest/api/2/issue", 401): lambda e: "Authorization" in e.sent.headers,
    # described as one file, though it answers with a list (trap 36)
    ("jira-dc", "POST", r"/rest/api/2/issue/[\w-]+/attachments", 200): lambda e: (
        e.got.json()[0]["filename"] == FILE.filename
    ),
    # described as one of what they list
    ("jira-dc", "GET", "/rest/api/2/user/assignable/search", 200): lambda e: (
        {"name", "displayName"} <= set(e.got.json()[0])
    ),
    ("jira-dc", "GET", "/rest/api/2/issue/createmeta/SR/.*", 200): lambda e: (
        {"startAt", "total", "values"} <= set(e.got.json())
    ),
    # described as one of what they list, too
    ("jira-dc", "GET", "/rest/api/2/resolution", 200): lambda e: all(
        {"id", "name"} <= set(row) for row in e.got.json()
    ),
    ("jira-dc", "GET", "/rest/api/2/status", 200): lambda e: all({"id", "name"} <= set(row) for row in e.got.json()),
    # who people are, and who gets a ticket, is left out of the descriptions
    ("jira-cloud", "GET", "/rest/api/2/status", 200): lambda e: all({"id", "name"} <= set(row) for row in e.got.json()),
    ("jira-cloud", "GET", "/rest/api/2/user/groups", 200): lambda e: {"name", "groupId"} <= set(e.got.json()[0]),
    ("jira-dc", "GET", "/rest/api/2/user", 200): lambda e: isinstance(e.got.json()["groups"]["items"], list),
    **{
        (service, "GET", r"/rest/api/2/project/\w+/role", 200): lambda e: "/role/" in e.got.json()["Developers"]
        for service in ("jira-cloud", "jira-dc")
    },
    **{
        (service, "GET", r"/rest/api/2/project/\w+/role/\d+", 200): lambda e: isinstance(e.got.json()["actors"], list)
        for service in ("jira-cloud", "jira-dc")
    },
    ("jira-cloud", "PUT", r"/rest/api/2/issue/[\w-]+/assignee", 204): lambda e: "accountId" in str(e.sent.body),
    ("jira-dc", "PUT", r"/rest/api/2/issue/[\w-]+/assignee", 204): lambda e: "name" in str(e.sent.body),
    ("trello", "GET", r"/boards/[0-9a-f]{24}/actions", 200): lambda e: "date" in e.got.json()[0],
    ("trello", "POST", r"/cards/[0-9a-f]{24}/idMembers", 200): lambda e: "fullName" in e.got.json()[0],
    ("slack", "POST", "/api/users.info", 200): lambda e: isinstance(e.got.json()["user"]["is_bot"], bool),
    # the list of its errors is described as an object
    ("confluence-dc", ANY, ANY, 404): lambda e: e.got.json()["statusCode"] == 404,
    # who we are is no operation of the descriptions
    ("confluence-cloud", "GET", "/wiki/rest/api/user/current", 200): lambda e: (
        {"type", "accountId", "displayName"} <= set(e.got.json())
    ),
    ("confluence-dc", "GET", "/rest/api/user/current", 200): lambda e: (
        {"type", "userKey", "displayName"} <= set(e.got.json())
    ),
    # that a channel may be asked for by its id
    ("slack", "POST", "/api/conversations.info", 200): lambda e: "ok" in e.got.json(),
    # webhooks are described in prose only
    ("slack", "POST", r"/services/\w+/\w+/\w+", 200): lambda e: (
        json.loads(e.sent.body or "")["text"] != "" and e.got.text == "ok"
    ),
    # the description is older than this way of uploading files
    ("slack", "POST", "/api/files.getUploadURLExternal", 200): lambda e: e.got.json()["upload_url"].startswith("http"),
    ("slack", "POST", r"/upload/v1/\w+", 200): lambda e: "Authorization" not in e.sent.headers,
    ("slack", "POST", "/api/files.completeUploadExternal", 200): lambda e: e.got.json()["files"][0]["id"] != "",
    # a list instead of the one attachment that was added
    ("trello", "POST", r"/cards/\w+/attachments", 200): lambda e: {"id", "name", "url"} <= set(e.got.json()),
    # sizes are described as text, and sent as numbers
    ("trello", "GET", r"/cards/\w+/attachments", 200): lambda e: all(
        isinstance(row.get("bytes", 0), int | None) for row in e.got.json()
    ),
    # described as a word, though they are a list
    ("trello", "GET", r"/boards/[0-9a-f]{24}", 200): lambda e: e.got.json()["memberships"][0]["memberType"] == "normal",
    # that an attachment can be taken off again
    ("trello", "DELETE", r"/cards/\w+/attachments/[0-9a-f]{24}", 200): lambda e: isinstance(e.got.json(), dict),
    # only reading the board says what it refuses
    ("trello", ANY, ANY, 404): lambda e: e.got.text != "",
    ("trello", ANY, ANY, 401): lambda e: "OAuth oauth_consumer_key=" in e.sent.headers["Authorization"],
    # hardly an operation declares that it can be too much
    **{(service, ANY, ANY, 429): lambda e: e.got.headers["Retry-After"] == "7" for service in FILES},
    **{(service, "PUT", ANY, 409): lambda e: e.got.text != "" for service in ("confluence-cloud", "confluence-dc")},
}


def check_of(exchange: Exchange) -> Callable[[Exchange], bool] | None:
    for (service, method, path, status), check in UNDECLARED.items():
        if (service, status) == (exchange.service, exchange.got.status_code) and all(
            re.fullmatch(pattern, said) for pattern, said in ((method, exchange.sent.method), (path, exchange.path))
        ):
            return check
    return None


def as_requests_has_it(sent: httpx.Request, got: httpx.Response) -> Exchange:
    request, response = requests.PreparedRequest(), requests.Response()
    request.prepare(sent.method, str(sent.url), dict(sent.headers), data=sent.read())
    response.status_code = got.status_code
    response.headers.update(got.headers)
    response._content = got.read()
    return Exchange(request, response)


@pytest.fixture
def exchanges(monkeypatch: pytest.MonkeyPatch) -> list[Exchange]:
    """Keep every request that leaves through `requests` or `httpx`, with its answer."""
    kept: list[Exchange] = []
    send = requests.adapters.HTTPAdapter.send

    def keep(self: Any, request: requests.PreparedRequest, **arguments: Any) -> requests.Response:
        response = send(self, request, **arguments)
        kept.append(Exchange(request, response))
        return response

    def keep_other(self: Any, request: httpx.Request) -> httpx.Response:
        response = send_other(self, request)
        kept.append(as_requests_has_it(request, response))
        return response

    send_other = httpx.HTTPTransport.handle_request
    monkeypatch.setattr(requests.adapters.HTTPAdapter, "send", keep)
    monkeypatch.setattr(httpx.HTTPTransport, "handle_request", keep_other)
    return kept


def check(exchanges: list[Exchange]) -> None:
    assert exchanges
    for exchange in exchanges:
        problem = problem_of(exchange)
        if problem:
            pytest.fail(f"{exchange}: {problem}", pytrace=False)


def problem_of(exchange: Exchange) -> str:
    by_hand = check_of(exchange)
    if by_hand is not None:
        return "" if by_hand(exchange) else "its own check fails"
    try:
        return "" if hold(exchange) else "nothing describes it"
    except OpenAPIError as error:
        return f"{error!r}; {reasons(error)}; sent {exchange.sent.body!r:.500}"


@pytest.mark.parametrize("deployment", ["cloud", "datacenter"])
def test_what_a_tracker_says_and_hears_is_described(
    sandbox: RunningSandbox, deployment: str, exchanges: list[Exchange]
):
    tracker = jira_tracker(sandbox, deployment).tracker
    draft = TicketDraft("Fell 🙂", "h2. {code}", ("ranking",), priority="High", components=("ranking",))
    key = tracker.create("herald-1", draft).key
    tracker.find("herald-1")
    tracker.read(key)
    tracker.comment(key, "m", "again")
    tracker.has_comment(key, "m")
    tracker.move(key, TicketState.DOING)
    tracker.move(key, TicketState.DONE)
    tracker.link(key, LINK)
    tracker.link(key, LINK)
    tracker.attach(key, FILE)
    again = tracker.create("herald-1", draft)
    assert len(tracker.marked("herald-1")) <= 2
    tracker.close_duplicate(again.key, Ticket(key, "", TicketState.TODO))
    assert tracker.read("SR-999") is None
    with pytest.raises(IntegrationError):
        tracker.create("herald-2", TicketDraft("x", "y", priority="No such"))
    check(exchanges)


def test_what_a_board_says_and_hears_is_described(sandbox: RunningSandbox, exchanges: list[Exchange]):
    bench = trello_tracker(sandbox, due=timedelta(days=7))
    exchanges.clear()
    tracker = bench.tracker
    key = tracker.create("herald-1", TicketDraft("Fell 🙂", "## *x*", ("ranking",), priority="High")).key
    tracker.create("herald-2", TicketDraft("Fell", "word " * 3_000))
    tracker.find("herald-1")
    tracker.read(key)
    tracker.comment(key, "m", "again")
    tracker.has_comment(key, "m")
    tracker.move(key, TicketState.DOING)
    tracker.move(key, TicketState.DONE)
    tracker.link(key, LINK)
    tracker.link(key, RemoteLink(LINK.identity, "https://wiki/2", "Report"))
    tracker.attach(key, FILE)
    tracker.marked("herald-1")
    assert tracker.read("0" * 24) is None
    sandbox.change(Service.TRELLO, read_only=True)
    refused(lambda: tracker.comment(key, "m", "again"))
    check(exchanges)


@pytest.mark.parametrize("deployment", ["cloud", "datacenter"])
def test_what_a_wiki_says_and_hears_is_described(sandbox: RunningSandbox, deployment: str, exchanges: list[Exchange]):
    wiki = confluence_wiki(sandbox, deployment).wiki
    above = wiki.create(PageDraft("Pipeline", "<p>x</p>")).page_id
    page = wiki.create(PageDraft("Run 4", "<p>x</p>", parent_id=above)).page_id
    wiki.find("Run 4")
    wiki.create(PageDraft("Run 4", "<p>x</p>"))
    wiki.label(page, ["herald-1", "ranking"])
    wiki.attach(page, FILE)
    wiki.attach(page, FILE)
    wiki.replace_section(page, "<p>new</p>")
    assert wiki.read(page) is not None
    wiki.labelled("ranking")
    check(exchanges)


def test_what_a_chat_says_and_hears_is_described(sandbox: RunningSandbox, exchanges: list[Exchange]):
    chat = slack_chat(sandbox).chat
    posted = chat.post("#search-quality", "m", MessageDocument.read("tone: bad\nFell\n\nTicket: pending\n\n> small"))
    chat.edit(posted, "m", MessageDocument.read("Back"))
    chat.find("#search-quality", "m", BEFORE)
    slack_chat(sandbox).chat.find("#search-quality", "m", BEFORE)
    chat.marked("#search-quality", BEFORE)
    chat.reply(posted, "r", MessageDocument.read("Still there"))
    assert chat.has_reply(posted, "r")
    chat.share(posted, FILE)
    with pytest.raises(IntegrationError):
        chat.post("C0ARCHIVE", "m", MessageDocument.read("hello"))
    check(exchanges)


@pytest.mark.parametrize("service", ["cloud", "datacenter", "trello"])
def test_how_answers_in_tickets_are_asked_for_is_described(
    sandbox: RunningSandbox, service: str, exchanges: list[Exchange]
):
    bench = trello_answers(sandbox) if service == "trello" else jira_answers(sandbox, service)
    key = bench.tracker.create("herald-team-1-0-1", TicketDraft("x", "y", labels=("herald-team",))).key
    bench.people.say(key, "ada", "/herald why")
    bench.people.close(key, "wei", "Done")
    exchanges.clear()
    ada = bench.people.person("ada")
    assert bench.answers.changed("herald-team", BEFORE) == [key]
    assert bench.answers.read(key, BEFORE) is not None
    assert bench.answers.may_speak(ada, Speakers())
    assert not bench.answers.may_speak(ada, Speakers(groups=frozenset({"x"}), roles=frozenset({"Administrators"})))
    bench.tracker.assign(key, ada.account)
    check(exchanges)


def test_how_answers_in_threads_are_asked_for_is_described(sandbox: RunningSandbox, exchanges: list[Exchange]):
    bench = slack_thread(sandbox)
    posted = bench.chat.post(bench.channel, "m", MessageDocument.read("Fell"))
    bench.say(posted, "ada", "/herald why")
    exchanges.clear()
    [reply] = bench.answers.replies(posted, BEFORE)
    assert bench.answers.may_speak(reply.author, Speakers())
    check(exchanges)


def test_what_goes_wrong_is_described_too(sandbox: RunningSandbox, exchanges: list[Exchange]):
    hook = WebhookChat(WebhookSection(webhook_url=sandbox.slack_webhook_url, timeout=TIMEOUT))
    hook.post("#search-quality", "m", MessageDocument.read("hello"))
    draft, page = TicketDraft("x", "y"), PageDraft("Run 4", "<p>x</p>")
    cloud, data_center = confluence_wiki(sandbox, "cloud").wiki, confluence_wiki(sandbox, "datacenter").wiki
    pages = {Service.CONFLUENCE_CLOUD: (cloud, cloud.create(page).page_id)}
    pages[Service.CONFLUENCE_DATACENTER] = (data_center, data_center.create(page).page_id)
    for deployment in ("cloud", "datacenter"):
        refused(lambda at=deployment: jira_tracker(sandbox, at, token="wrong").tracker.create("m", draft))
    for service, (wiki, page_id) in pages.items():
        sandbox.change(service, spurious_conflicts=1)
        refused(lambda at=wiki, of=page_id: at.replace_section(of, "<p>new</p>"))
        refused(lambda at=wiki: at.label("999999", ["x"]))
    board = trello_tracker(sandbox).tracker
    acts: list[Callable[[], Any]] = [
        lambda: jira_tracker(sandbox, "cloud").tracker.create("m", draft),
        lambda: jira_tracker(sandbox, "datacenter").tracker.create("m", draft),
        lambda: cloud.create(PageDraft("Run 5", "<p/>")),
        lambda: data_center.create(PageDraft("Run 5", "<p/>")),
        lambda: slack_chat(sandbox).chat.post("#search-quality", "m", MessageDocument.read("hello")),
        lambda: board.create("m", draft),
    ]
    for act in acts:
        sandbox.strike(Fault(FaultKind.RATE_LIMITED, method="POST", retry_after="7"))
        refused(act)
    assert {each.service for each in exchanges if each.got.status_code == 429} == set(FILES)
    check(exchanges)


def test_what_the_doctor_says_and_hears_is_described(sandbox: RunningSandbox, exchanges: list[Exchange]):
    now, account = datetime.now(UTC), {"email": sandbox.email, "token": sandbox.api_token}
    own = {"deployment": "datacenter", "token": sandbox.bearer_token}
    wants = TicketWants(("regression",), ("High",), ("ranking",), (sandbox.seed.people[0].account_id,))
    for deployment, url, more in (
        ("cloud", sandbox.jira_cloud_url, account),
        ("datacenter", sandbox.jira_datacenter_url, own),
    ):
        jira_tracker(sandbox, deployment).tracker.create("herald-1", TicketDraft("x", "y"))
        section = JiraSection(url=url, project=sandbox.project_key, **more)
        list(check_jira(section, replace(wants, assignees=("ada",)) if more is own else wants, now))
    for url, more in ((sandbox.confluence_cloud_url, account), (sandbox.confluence_datacenter_url, own)):
        wiki = ConfluenceSection(url=url, space=sandbox.space_key, parent="New", **more)
        list(check_confluence(wiki, now, fix=True))
    slack = SlackSection(url=sandbox.slack_url, token=sandbox.slack_token)
    list(check_slack(slack, ["#search-quality", "C0SEARCHQ"], now))
    board = TrelloSection(
        url=sandbox.trello_url,
        key=sandbox.trello_key,
        token=sandbox.trello_token,
        board=sandbox.board_id,
        lists={"done": "Shipped"},
    )
    list(check_trello(board, TicketWants(("fresh",)), now, fix=True))
    check(exchanges)


def refused(act: Callable[[], Any]) -> None:
    with pytest.raises(IntegrationError):
        act()


def test_a_call_that_nothing_describes_is_noticed(sandbox: RunningSandbox, exchanges: list[Exchange]):
    jira_tracker(sandbox, "cloud").tracker.find("m")
    requests.get(f"{sandbox.jira_cloud_url}/rest/api/2/dashboard", timeout=5)
    *described, other = map(problem_of, exchanges)
    assert (set(described), other) == ({""}, "nothing describes it")


def test_a_request_against_its_description_is_noticed(sandbox: RunningSandbox, exchanges: list[Exchange]):
    account = (sandbox.email, sandbox.api_token)
    address = f"{sandbox.jira_cloud_url}/rest/api/2/search/jql"
    requests.post(address, json={"jql": "project = SR", "expand": None}, auth=account, timeout=5)
    [exchange] = exchanges
    assert "expand" in problem_of(exchange)
