"""What is said to Trello, request by request."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qs

import pytest

from bot.domain.capabilities import TicketState
from bot.errors import MissingError, RetryableError
from bot.ports import Attachment, RemoteLink, TicketDraft
from bot.services.trello.config import TrelloSection
from bot.services.trello.tracker import TrelloTracker
from tests.contract.breakable import Breakable, Reply, Request, answer, breakable

KEY, TOKEN = "k3y-of-the-app", "ATTA-53cr3t"
NOW = datetime(2026, 11, 24, 9, tzinfo=UTC)
CARD_1, CARD_9 = f"{1:024x}", f"{9:024x}"
NAMES = ("To do", "In progress", "Done", "Review")
DRAFT = TicketDraft("Ranking quality fell", "It fell.", labels=("ranking",), priority="High", components=("data",))


@pytest.fixture
def server() -> Iterator[Breakable]:
    with breakable() as running:
        running.reply = board()
        yield running


def tracker(server: Breakable, **more: Any) -> TrelloTracker:
    values = {"url": f"{server.url}/1", "key": KEY, "token": TOKEN, "board": "b0", "timeout": timedelta(seconds=2)}
    return TrelloTracker(TrelloSection(**{**values, **more}), clock=lambda: NOW)


def card(number: int, text: str = "", home: str = "To do", *, closed: bool = False) -> dict[str, Any]:
    return {
        "id": f"{number:024x}",
        "idShort": number,
        "shortUrl": f"https://trello.invalid/c/card{number:04}",
        "idList": home,
        "closed": closed,
        "desc": text,
    }


def board(
    cards: tuple[dict[str, Any], ...] = (),
    labels: tuple[str, ...] = (),
    comments: tuple[str, ...] = (),
    files: tuple[dict[str, Any], ...] = (),
) -> Callable[[Request], Reply]:
    """Answer as a board whose lists and labels are their own ids."""
    listed: dict[str, Any] = {
        "lists": [{"id": name, "name": name, "idBoard": "b0"} for name in NAMES],
        "labels": [{"id": f"l-{name}", "name": name} for name in labels],
        "cards": list(cards),
        "actions": [{"data": {"text": text, "card": {"id": CARD_1}}} for text in comments],
        "attachments": list(files),
    }

    def respond(request: Request) -> Reply:
        if request.method != "GET":
            return answer(200, made(request, listed))
        end = request.path.rsplit("/", 1)[1]
        return answer(200, listed.get(end) if end in listed else cards[0])

    return respond


def made(request: Request, listed: dict[str, Any]) -> Any:
    """Answer a write with what it made, as Trello does."""
    asked = arguments(request) | (request.json() if "json" in request.headers.get("content-type", "") else {})
    match request.method, request.path.split("/")[2:]:
        case "DELETE", [*_, number]:
            listed["attachments"] = [each for each in listed["attachments"] if each["id"] != number]
            return {"limits": {}}
        case _, ["labels"]:
            return {"id": "l-made", "name": asked["name"]}
        case _, ["cards"]:
            return card(9, asked["desc"], asked["idList"])
        case _, ["cards", key, "actions", "comments"]:
            return {"id": "a9", "type": "commentCard", "data": {"text": asked["text"], "card": {"id": key}}}
        case _, ["cards", _, "attachments"]:
            url = asked.get("url", "https://trello.invalid/download")
            listed["attachments"].append(
                {"id": f"made-{len(listed['attachments'])}", "name": asked["name"], "url": url}
            )
            return listed["attachments"][-1]
        case _, ["cards", key]:
            return card(int(key, 16), home=asked["idList"], closed=asked["closed"] == "true")
    raise AssertionError(request.path)


def arguments(request: Request) -> dict[str, str]:
    return {name: values[0] for name, values in parse_qs(request.query).items()}


def test_building_a_tracker_asks_nothing(server: Breakable):
    tracker(server)
    assert server.requests == []


def test_key_and_token_travel_in_a_header_and_stand_in_no_address_and_no_log(
    server: Breakable, caplog: pytest.LogCaptureFixture
):
    with caplog.at_level(logging.DEBUG):
        tracker(server).create("m", DRAFT)
    for request in server.requests:
        assert request.headers["authorization"] == f'OAuth oauth_consumer_key="{KEY}", oauth_token="{TOKEN}"'
        assert KEY not in request.path + request.query
        assert TOKEN not in request.path + request.query
    assert KEY not in caplog.text
    assert TOKEN not in caplog.text


def test_a_card_is_made_on_top_of_its_list_with_its_marker_and_its_labels(server: Breakable):
    server.reply = board(labels=("ranking", "data", "High"))
    ticket = tracker(server).create("herald-a-1-0-1", DRAFT)
    assert (ticket.key, ticket.name, ticket.state) == (CARD_9, "#9", TicketState.TODO)
    [request] = server.writes
    assert request.path == "/1/cards"
    assert arguments(request) == {
        "idList": "To do",
        "name": "Ranking quality fell",
        "desc": "It fell.\n\n`herald-a-1-0-1`",
        "pos": "top",
        "idLabels": "l-ranking,l-data,l-High",
    }


def test_a_marker_that_the_template_has_put_into_the_text_is_not_repeated(server: Breakable):
    tracker(server).create("herald-a-1-0-1", TicketDraft("t", "Found by `herald-a-1-0-1`: leave it."))
    assert arguments(server.writes[0])["desc"] == "Found by `herald-a-1-0-1`: leave it."


def test_a_label_that_the_board_lacks_is_made_once(server: Breakable):
    built = tracker(server)
    for marker in ("m1", "m2"):
        built.create(marker, TicketDraft("t", "b", labels=("new",)))
    assert [each.path for each in server.writes] == ["/1/labels", "/1/cards", "/1/cards"]
    assert arguments(server.writes[0]) == {"name": "new", "color": "sky", "idBoard": "b0"}


def test_a_card_is_due_and_assigned_as_config_says(server: Breakable):
    built = tracker(server, due=timedelta(days=7))
    built.create("m", TicketDraft("t", "b", assignee="5f2c"))
    sent = arguments(server.writes[0])
    assert (sent["due"], sent["idMembers"]) == ("2026-12-01", "5f2c")


def test_trap_38_the_longest_text_leaves_room_for_its_marker_and_goes_into_the_body_of_the_request(server: Breakable):
    built = tracker(server)
    longest = "wörd 🙂 " * (built.text_form.limit // 8)
    built.create("m1", TicketDraft("one\ntwo", longest))
    built.comment(CARD_9, "mark", longest)
    created, commented = server.writes
    assert arguments(created)["name"] == "one two"
    assert arguments(created)["idList"] == "To do"
    for text, mark in ((created.json()["desc"], "m1"), (commented.json()["text"], "mark")):
        assert len(text.encode("utf-16-le")) // 2 <= 16_384
        assert text == f"{longest}\n\n`{mark}`"


def test_trap_38_a_board_that_asks_for_patience_gets_it(server: Breakable):
    server.reply = lambda _: answer(429, "Rate limit exceeded", Retry_After="10")
    with pytest.raises(RetryableError, match="Rate limit exceeded") as caught:
        tracker(server).comment(CARD_9, "m", "b")
    assert (caught.value.doubtful, caught.value.retry_after) == (False, 10)


def test_trap_12_cards_are_listed_and_not_searched_for_and_only_a_whole_marker_counts(server: Breakable):
    cards = (
        card(7, "`herald-a-1-0-12`"),
        card(5, "later `herald-a-1-0-1`"),
        card(3, "x `herald-a-1-0-1` y", "Done", closed=True),
        card(2, "xherald-a-1-0-1"),
    )
    server.reply = board(cards)
    found = tracker(server).find("herald-a-1-0-1")
    assert found is not None
    assert (found.name, found.state) == ("#5", TicketState.TODO), "the oldest that is open"
    assert [each.path for each in server.requests] == ["/1/boards/b0/lists", "/1/boards/b0/cards"]
    assert arguments(server.requests[1])["filter"] == "all"


def test_a_board_of_many_cards_is_looked_through_page_by_page(server: Breakable):
    pages = [[card(number) for number in range(3000, 2000, -1)], [card(1, "`m`")]]

    def respond(request: Request) -> Reply:
        if request.path.endswith("/lists"):
            return board()(request)
        return answer(200, pages["before" in arguments(request)])

    server.reply = respond
    found = tracker(server).find("m")
    assert found is not None
    assert found.name == "#1"
    assert arguments(server.requests[-1])["before"] == card(2001)["id"]


@pytest.mark.parametrize(
    ("home", "closed", "state"),
    [
        ("To do", False, TicketState.TODO),
        ("In progress", False, TicketState.DOING),
        ("Done", False, TicketState.DONE),
        ("Review", False, TicketState.DOING),
        ("To do", True, TicketState.DONE),
    ],
)
def test_the_list_is_the_state(home: str, closed: bool, state: TicketState, server: Breakable):
    server.reply = board((card(1, home=home, closed=closed),))
    found = tracker(server).read(CARD_1)
    assert found is not None
    assert found.state is state


def test_a_card_that_is_done_leaves_the_board_where_config_says_so(server: Breakable):
    server.reply = board((card(1, home="Done"),))
    tracker(server).move(CARD_1, TicketState.DONE)
    assert server.writes == []
    tracker(server, archive=True).move(CARD_1, TicketState.DONE)
    assert arguments(server.writes[0]) == {"idList": "Done", "closed": "true"}


def test_an_archived_card_comes_back_when_it_is_taken_up_again(server: Breakable):
    server.reply = board((card(1, home="Done", closed=True),))
    tracker(server).move(CARD_1, TicketState.TODO)
    assert arguments(server.writes[0]) == {"idList": "To do", "closed": "false"}


def test_a_comment_ends_with_its_mark_and_quoting_it_does_not_count(server: Breakable):
    server.reply = board(comments=("> `run-2`\n\nwhat is that?", "Still so.\n\n`run-2`"))
    assert tracker(server).has_comment(CARD_1, "run-2")
    server.reply = board(comments=("`run-2`\n\nwhat is that?",))
    assert not tracker(server).has_comment(CARD_1, "run-2")


def test_a_link_is_an_attachment_that_carries_its_identity(server: Breakable):
    built, link = tracker(server), RemoteLink("herald=Run 4", "https://wiki.invalid/7", "Report")
    built.link(CARD_1, link)
    sent = arguments(server.writes[0])
    assert sent["name"] == "Report"
    assert sent["url"].startswith("https://wiki.invalid/7#herald-")
    tracker(server).link(CARD_1, link)
    built.link(CARD_1, link)
    assert len(server.writes) == 1
    built.link(CARD_1, RemoteLink("herald=Run 4", "https://wiki.invalid/8", "Report"))
    assert [(each.method, each.path.rsplit("/", 1)[1]) for each in server.writes[1:]] == [
        ("POST", "attachments"),
        ("DELETE", "made-0"),
    ]


def test_an_address_with_a_fragment_of_its_own_stays_as_it_is(server: Breakable):
    tracker(server).link(CARD_1, RemoteLink("run", "https://mlflow.invalid/#/runs/4", "Run"))
    assert arguments(server.writes[0])["url"] == "https://mlflow.invalid/#/runs/4"


def test_a_file_is_sent_with_its_name_and_type(server: Breakable):
    tracker(server).attach(CARD_1, Attachment("history-1f.png", b"\x89PNG\r\n", "image/png"))
    [request] = server.writes
    assert arguments(request) == {"name": "history-1f.png", "mimeType": "image/png", "setCover": "false"}
    assert request.headers["content-type"].startswith("multipart/form-data; boundary=")
    assert b"Content-Type: image/png\r\n\r\n\x89PNG\r\n\r\n" in request.body


def test_a_card_just_made_is_not_asked_for_its_files(server: Breakable):
    built, report = tracker(server), RemoteLink("herald=Run 4", "https://wiki.invalid/7", "Report")
    key = built.create("m", TicketDraft("t", "b")).key
    asked = len(server.requests)
    built.attach(key, Attachment("a.png", b"x", "image/png"))
    built.attach(key, Attachment("a.png", b"x", "image/png"))
    built.link(key, report)
    assert [each.method for each in server.requests[asked:]] == ["POST", "POST"]
    built.link(key, RemoteLink(report.identity, "https://wiki.invalid/8", "Report"))
    assert [each.method for each in server.requests[asked + 2 :]] == ["POST", "DELETE", "GET"]


def test_a_list_that_the_board_lacks_is_named(server: Breakable):
    with pytest.raises(MissingError, match=r"no open list for done = 'Shipped'; it has 'To do', 'In progress', 'Done'"):
        tracker(server, lists={"done": "Shipped"}).create("m", DRAFT)


def test_a_key_cannot_leave_its_place_in_the_address(server: Breakable):
    def respond(request: Request) -> Reply:
        if "/cards/" in request.path:
            return answer(404, "not found")
        return board()(request) if request.path.endswith("/lists") else answer(200, {"id": "m1", "name": "Board"})

    server.reply = respond
    assert tracker(server).read("../members/me?x=") is None
    assert "/1/cards/..%2Fmembers%2Fme%3Fx%3D" in [each.path for each in server.requests]
