"""What is said to Slack and to incoming webhooks, request by request."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from urllib.parse import parse_qs

import pytest

from bot.domain.message import MessageDocument
from bot.errors import AccountError, MissingError, PermanentError, Reach
from bot.ports import Posted
from bot.services.slack.chat import SlackChat
from bot.services.slack.config import SlackSection
from bot.services.webhook.chat import WebhookChat
from bot.services.webhook.config import WebhookSection
from tests.contract.breakable import Breakable, Reply, Request, answer, breakable

SINCE = datetime(2026, 11, 24, 9, 30, tzinfo=UTC)
DOCUMENT = "tone: bad\nRanking fell\n\nTicket: <https://jira/S-1|S-1>"


@pytest.fixture
def server() -> Iterator[Breakable]:
    with breakable() as running:
        yield running


def slack(server: Breakable) -> SlackChat:
    return SlackChat(SlackSection(url=f"{server.url}/api", token="xoxb-1", timeout=timedelta(seconds=2)))


def workspace(request: Request) -> Reply:
    """Answer as a workspace with the channel #ml, C0000ML, and one message of ours in it."""
    asked = parse_qs(request.query) | parse_qs(request.body.decode())
    match request.path.removeprefix("/api/"):
        case "chat.update":
            return answer(200, {"ok": True, "channel": request.json()["channel"], "ts": request.json()["ts"]})
        case "chat.postMessage":
            return answer(200, {"ok": True, "channel": "C0000000ML", "ts": "1764000000.000100"})
        case "chat.getPermalink":
            ts = asked["message_ts"][0].replace(".", "")
            return answer(200, {"ok": True, "permalink": f"https://team.slack.com/archives/C0000000ML/p{ts}"})
        case "conversations.list":
            later = "cursor" in asked
            channels = [{"id": "C0000000ML", "name": "ml"}] if later else [{"id": "C1111111", "name": "general"}]
            return answer(
                200, {"ok": True, "channels": channels, "response_metadata": {"next_cursor": "" if later else "p=2"}}
            )
        case "conversations.history":
            later = "cursor" in asked
            mine = {"event_type": "herald", "event_payload": {"mark": "m-2"}}
            theirs = {"event_type": "else", "event_payload": {"mark": "m-9"}}
            messages = (
                [{"ts": "5.2", "metadata": mine}] if later else [{"ts": "9.1", "metadata": theirs}, {"ts": "8.1"}]
            )
            return answer(
                200, {"ok": True, "messages": messages, "response_metadata": {"next_cursor": "" if later else "p=2"}}
            )
        case method:
            return answer(200, {"ok": False, "error": "unknown_method", "method": method})


def calls(server: Breakable) -> list[str]:
    return [each.path.removeprefix("/api/") for each in server.requests]


def test_trap_30_34_a_message_is_posted_with_text_blocks_and_mark_and_mentions_nobody_by_name(server: Breakable):
    server.reply = workspace
    posted = slack(server).post("#ml", "m-1", MessageDocument.read(DOCUMENT))
    assert posted == Posted(
        "C0000000ML", "1764000000.000100", "https://team.slack.com/archives/C0000000ML/p1764000000000100"
    )
    [request] = [each for each in server.requests if each.path == "/api/chat.postMessage"]
    assert request.headers["authorization"] == "Bearer xoxb-1"
    said = request.json()
    assert said["channel"] == "#ml"
    assert said["text"] == "Ranking fell"
    assert said["metadata"] == {"event_type": "herald", "event_payload": {"mark": "m-1"}}
    assert said["attachments"][0]["color"] == "#d63a3a"
    assert "link_names" not in said
    assert "parse" not in said


def test_the_address_of_a_message_is_asked_once(server: Breakable):
    server.reply = workspace
    chat = slack(server)
    chat.post("#ml", "m-1", MessageDocument.read(DOCUMENT))
    assert chat.post("#ml", "m-2", MessageDocument.read(DOCUMENT)).url.startswith("https://team.slack.com/")
    assert calls(server) == ["chat.postMessage", "chat.getPermalink", "chat.postMessage"]


def test_a_message_stands_even_where_its_address_is_refused(server: Breakable):
    def respond(request: Request) -> Reply:
        return answer(500) if "getPermalink" in request.path else workspace(request)

    server.reply = respond
    assert slack(server).post("#ml", "m-1", MessageDocument.read(DOCUMENT)).url == ""


def test_an_edit_repeats_the_mark_and_takes_away_what_the_new_text_lacks(server: Breakable):
    server.reply = workspace
    slack(server).edit(Posted("C0000000ML", "5.2"), "m-2", MessageDocument.read("All is well"))
    [request] = server.requests
    said = request.json()
    assert (request.path, said["channel"], said["ts"]) == ("/api/chat.update", "C0000000ML", "5.2")
    assert said["attachments"] == []
    assert said["metadata"]["event_payload"] == {"mark": "m-2"}


def test_a_message_is_found_by_its_mark_in_the_channels_history_page_by_page(server: Breakable):
    server.reply = workspace
    found = slack(server).find("ml", "m-2", SINCE)
    assert found is not None
    assert (found.channel, found.message_id) == ("C0000000ML", "5.2")
    assert calls(server) == ["conversations.list"] * 2 + ["conversations.history"] * 2 + ["chat.getPermalink"]
    asked = parse_qs(server.requests[2].query) | parse_qs(server.requests[2].body.decode())
    assert asked["include_all_metadata"] == ["1"]
    assert float(asked["oldest"][0]) == (SINCE - timedelta(minutes=5)).timestamp()


def test_a_mark_of_another_app_is_not_ours(server: Breakable):
    server.reply = workspace
    assert slack(server).find("C0000000ML", "m-9", SINCE) is None


def test_a_channel_is_looked_up_once_and_one_that_was_posted_to_never(server: Breakable):
    server.reply = workspace
    chat = slack(server)
    chat.find("#ml", "m-9", SINCE)
    chat.find("#ml", "m-9", SINCE)
    assert calls(server).count("conversations.list") == 2
    other = slack(server)
    other.post("#ml", "m-1", MessageDocument.read(DOCUMENT))
    other.find("#ml", "m-9", SINCE)
    assert calls(server).count("conversations.list") == 2


def scoped(*scopes: str) -> Callable[[Request], Reply]:
    """Answer as the workspace does to an app that may list channels only as these scopes allow."""

    def respond(request: Request) -> Reply:
        asked = parse_qs(request.query) | parse_qs(request.body.decode())
        needed = {"public_channel": "channels:read", "private_channel": "groups:read"}
        kinds = asked["types"][0].split(",") if "types" in asked else []
        lacking = [needed[kind] for kind in kinds if needed[kind] not in scopes]
        if request.path.endswith("conversations.list") and lacking:
            return answer(200, {"ok": False, "error": "missing_scope", "needed": lacking[0], "provided": "chat:write"})
        return workspace(request)

    return respond


@pytest.mark.parametrize("scopes", [("channels:read", "groups:read"), ("channels:read",), ("groups:read",)])
def test_a_channel_is_looked_up_as_far_as_the_scopes_allow(scopes: tuple[str, ...], server: Breakable):
    server.reply = scoped(*scopes)
    found = slack(server).find("#ml", "m-2", SINCE)
    assert found is not None
    assert found.channel == "C0000000ML"


@pytest.mark.parametrize(
    ("scopes", "reach", "words"),
    [
        (("channels:read", "groups:read"), Reach.CHANNEL, "no channel named 'nowhere'"),
        (("channels:read",), Reach.EFFECT, "groups:read for private ones; or name the channel by its id"),
        (("groups:read",), Reach.EFFECT, "channels:read for public ones; or name the channel by its id"),
        ((), Reach.EFFECT, "missing_scope .*name the channel 'nowhere' by its id"),
    ],
)
def test_a_channel_that_is_not_found_is_not_called_absent_where_the_list_is_not_whole(
    scopes: tuple[str, ...], reach: Reach, words: str, server: Breakable
):
    server.reply = scoped(*scopes)
    with pytest.raises(AccountError, match=words) as caught:
        slack(server).find("#nowhere", "m-1", SINCE)
    assert caught.value.reach is reach


def test_posting_and_finding_what_was_posted_takes_no_list(server: Breakable):
    server.reply = scoped()
    chat = slack(server)
    chat.post("#ml", "m-2", MessageDocument.read(DOCUMENT))
    assert chat.find("#ml", "m-2", SINCE) is not None
    assert "conversations.list" not in calls(server)


def test_a_channel_that_the_app_does_not_see_is_named(server: Breakable):
    server.reply = workspace
    with pytest.raises(MissingError, match=r"no channel named 'nowhere'.*invite the app"):
        slack(server).find("#nowhere", "m-1", SINCE)


def test_hostile_text_passes_through_unchanged(server: Breakable):
    server.reply = workspace
    text = "a &lt;!channel&gt; 🙂 \u202e العربية \x07"
    slack(server).post("#ml", "m-1", MessageDocument.read(text))
    assert server.requests[0].json()["text"] == text


def test_building_a_chat_asks_nothing(server: Breakable):
    slack(server)
    assert server.requests == []


def hook(server: Breakable) -> WebhookChat:
    return WebhookChat(WebhookSection(webhook_url=f"{server.url}/services/T/B/x1y2z3", timeout=timedelta(seconds=2)))


def test_a_webhook_gets_text_that_slack_mattermost_and_rocket_chat_all_show(server: Breakable):
    server.reply = lambda _: answer(200, "ok")
    hook(server).post("#ml", "m-1", MessageDocument.read(DOCUMENT))
    [request] = server.requests
    assert request.path == "/services/T/B/x1y2z3"
    assert request.json() == {
        "text": "Ranking fell",
        "attachments": [
            {
                "text": "Ticket: <https://jira/S-1|S-1>",
                "fallback": "Ranking fell",
                "mrkdwn_in": ["text"],
                "color": "#d63a3a",
            }
        ],
    }


def test_a_webhook_can_neither_edit_nor_find(server: Breakable):
    chat = hook(server)
    assert not chat.capabilities.edits
    assert chat.find("#ml", "m-1", SINCE) is None
    with pytest.raises(PermanentError):
        chat.edit(Posted("#ml", "m-1"), "m-1", MessageDocument.read("x"))
    assert server.requests == []


@pytest.mark.parametrize(
    ("status", "word", "error"),
    [
        (400, "invalid_payload", PermanentError),
        (403, "action_prohibited", AccountError),
        (404, "no_service", MissingError),
        (410, "channel_is_archived", MissingError),
    ],
)
def test_a_webhook_that_is_refused_says_why(status: int, word: str, error: type[Exception], server: Breakable):
    server.reply = lambda _: answer(status, word)
    with pytest.raises(error, match=word):
        hook(server).post("#ml", "m-1", MessageDocument.read(DOCUMENT))


def remade(request: Request) -> Reply:
    """Answer as the workspace does once #ml was archived and another channel has its name."""
    asked = parse_qs(request.query) | parse_qs(request.body.decode())
    if request.path.endswith("conversations.list"):
        return answer(200, {"ok": True, "channels": [{"id": "C0000000NEW", "name": "ml"}]})
    if request.path.endswith("conversations.history") and asked["channel"] == ["C0000000ML"]:
        return answer(200, {"ok": False, "error": "channel_not_found"})
    return workspace(request)


def test_a_channel_that_was_made_anew_is_found_by_its_name_again_once(server: Breakable):
    server.reply = workspace
    chat = slack(server)
    chat.post("#ml", "m-1", MessageDocument.read(DOCUMENT))
    server.reply = remade
    found = chat.find("#ml", "m-2", SINCE)
    assert found is not None
    assert found.channel == "C0000000NEW"
    assert calls(server).count("conversations.list") == 1
    assert chat.has_moved("#ml", Posted("C0000000ML", "5.2"))


def test_a_channel_that_is_gone_for_good_is_asked_for_twice_and_no_more(server: Breakable):
    server.reply = workspace
    chat = slack(server)
    chat.post("#ml", "m-1", MessageDocument.read(DOCUMENT))
    server.reply = lambda request: (
        answer(200, {"ok": False, "error": "channel_not_found"}) if "history" in request.path else workspace(request)
    )
    with pytest.raises(MissingError, match="channel_not_found"):
        chat.find("#ml", "m-2", SINCE)
    assert calls(server).count("conversations.history") == 1, "its name stands for the same one"
    assert not chat.has_moved("#ml", Posted("C0000000ML", "5.2"))
