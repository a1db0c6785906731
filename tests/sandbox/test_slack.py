"""What Slack's stand-in grants and refuses, over HTTP."""

from __future__ import annotations

import json

import pytest

from bot.sandbox import Service
from tests.sandbox.conftest import CLIENT, Caller

ROOM = "C0SEARCHQ"


def section(text):
    return {"type": "section", "text": {"type": "mrkdwn", "text": text}}


def post(slack, **given):
    answer = slack.post("chat.postMessage", {"channel": ROOM} | given)
    assert answer.status_code == 200
    return answer.json()


def refusal(slack, **given):
    answer = post(slack, **given)
    assert answer["ok"] is False
    return answer["error"]


def test_tokens_are_looked_at(slack):
    assert slack.post("auth.test", headers={"Authorization": ""}).json()["error"] == "not_authed"
    assert slack.post("auth.test", headers={"Authorization": "Bearer x"}).json()["error"] == "invalid_auth"
    assert slack.post("auth.test").json()["bot_id"] == "B0HERALD0"


def test_a_message_can_be_posted_and_edited(slack):
    posted = post(slack, text="red", blocks=[section("red")])
    edited = slack.post("chat.update", {"channel": ROOM, "ts": posted["ts"], "text": "green"}).json()
    assert edited["ts"] == posted["ts"]
    (kept,) = slack.get(f"conversations.history?channel={ROOM}").json()["messages"]
    assert kept["text"] == "green"
    assert "edited" in kept
    assert "blocks" not in kept
    assert (
        slack.post("chat.update", {"channel": ROOM, "ts": "1.000000", "text": "x"}).json()["error"]
        == "message_not_found"
    )


@pytest.mark.parametrize(
    ("given", "error"),
    [
        ({"channel": "C0NOWHERE", "text": "x"}, "channel_not_found"),
        ({"channel": "C0LEADERS", "text": "x"}, "channel_not_found"),
        ({"channel": "C0GENERAL", "text": "x"}, "not_in_channel"),
        ({"channel": "C0ARCHIVE", "text": "x"}, "is_archived"),
        ({}, "no_text"),
        ({"text": "x" * 40_001}, "msg_too_long"),
        ({"text": "x", "blocks": [section("x")] * 51}, "invalid_blocks"),
        ({"text": "x", "blocks": [section("x" * 3001)]}, "invalid_blocks"),
        ({"text": "x", "blocks": [section("")]}, "invalid_blocks"),
        ({"text": "x", "blocks": [{"type": "nonsense"}]}, "invalid_blocks"),
        ({"text": "x", "blocks": [{"type": "header", "text": {"type": "mrkdwn", "text": "x"}}]}, "invalid_blocks"),
        (
            {"text": "x", "blocks": [{"type": "header", "text": {"type": "plain_text", "text": "x" * 151}}]},
            "invalid_blocks",
        ),
        ({"text": "x", "blocks": [section("x" * 2900)] * 5}, "msg_blocks_too_long"),
        ({"text": "x", "blocks": "[not json"}, "invalid_blocks_format"),
        ({"text": "x", "thread_ts": "1.000000"}, "thread_not_found"),
        ({"text": "x", "metadata": {"event_type": "x"}}, "invalid_metadata_schema"),
    ],
)
def test_what_slack_refuses_is_refused(slack, given, error):
    assert refusal(slack, **given) == error


def test_the_longest_allowed_blocks_are_taken(slack):
    header = {"type": "header", "text": {"type": "plain_text", "text": "x" * 150}}
    fields = {"type": "section", "fields": [{"type": "mrkdwn", "text": "x" * 700}] * 10}
    assert post(slack, text="x", blocks=[header, section("x" * 3000), fields])["ok"]
    assert post(slack, text="x", blocks=[section("x")] * 50)["ok"]


def test_metadata_comes_back_to_who_asks(slack):
    metadata = {"event_type": "herald", "event_payload": {"marker": "m-1"}}
    post(slack, text="x", metadata=metadata)
    assert "metadata" not in slack.get(f"conversations.history?channel={ROOM}").json()["messages"][0]
    shown = slack.get(f"conversations.history?channel={ROOM}&include_all_metadata=true").json()["messages"][0]
    assert shown["metadata"] == metadata


def test_replies_stay_in_their_thread(slack):
    root = post(slack, text="root")["ts"]
    reply = post(slack, text="reply", thread_ts=root)["ts"]
    assert [one["ts"] for one in slack.get(f"conversations.history?channel={ROOM}").json()["messages"]] == [root]
    thread = slack.get(f"conversations.replies?channel={ROOM}&ts={root}").json()["messages"]
    assert [one["ts"] for one in thread] == [root, reply]
    assert thread[0]["reply_count"] == 1


def test_history_comes_newest_first_in_pages(slack):
    stamps = [post(slack, text=str(number))["ts"] for number in range(5)]
    first = slack.get(f"conversations.history?channel={ROOM}&limit=3").json()
    cursor = first["response_metadata"]["next_cursor"]
    rest = slack.get(f"conversations.history?channel={ROOM}&limit=3&cursor={cursor}").json()
    assert [one["ts"] for one in (*first["messages"], *rest["messages"])] == stamps[::-1]
    since = slack.get(f"conversations.history?channel={ROOM}&oldest={stamps[2]}").json()["messages"]
    assert [one["ts"] for one in since] == [stamps[4], stamps[3]]


def test_a_channel_can_be_joined(slack):
    assert slack.post("conversations.join", {"channel": "C0GENERAL"}).json()["ok"]
    assert slack.post("chat.postMessage", {"channel": "#general", "text": "x"}).json()["channel"] == "C0GENERAL"
    names = {one["name"]: one["is_member"] for one in slack.get("conversations.list").json()["channels"]}
    assert (names["search-quality"], names["general"]) == (True, True)
    assert "leads" not in names


def test_a_file_goes_up_in_three_steps(slack):
    assert slack.post("files.upload", {}).json()["error"] == "method_deprecated"
    given = slack.get("files.getUploadURLExternal?filename=a.txt&length=3").json()
    assert CLIENT.post(given["upload_url"], content=b"too long").status_code == 400
    assert CLIENT.post(given["upload_url"], content=b"abc").status_code == 200
    done = {"files": [{"id": given["file_id"], "title": "A"}], "channel_id": ROOM, "initial_comment": "see"}
    assert slack.post("files.completeUploadExternal", done).json()["files"][0]["title"] == "A"
    assert slack.post("files.completeUploadExternal", done).json()["error"] == "file_not_found"
    (shared,) = slack.get(f"conversations.history?channel={ROOM}").json()["messages"]
    assert CLIENT.get(shared["files"][0]["url_private"]).content == b"abc"


def test_one_message_a_second_where_the_rules_ask_for_it(slack, sandbox, clock):
    sandbox.change(Service.SLACK, one_message_a_second=True)
    assert post(slack, text="one")["ok"]
    answer = slack.post("chat.postMessage", {"channel": ROOM, "text": "two"})
    assert (answer.status_code, answer.headers["Retry-After"], answer.json()["error"]) == (429, "1", "ratelimited")
    clock.pass_by(1.1)
    assert post(slack, text="two")["ok"]


def test_a_missing_scope_is_named(slack, sandbox):
    sandbox.change(Service.SLACK, missing_scopes=("chat:write",))
    answer = post(slack, text="x")
    assert (answer["error"], answer["needed"]) == ("missing_scope", "chat:write")


def test_a_webhook_takes_a_message_and_gives_nothing_back(slack, sandbox):
    answer = CLIENT.post(
        sandbox.slack_webhook_url, json={"text": "hello", "attachments": [{"color": "#f00", "text": "a"}]}
    )
    assert (answer.status_code, answer.text) == (200, "ok")
    form = CLIENT.post(sandbox.slack_webhook_url, data={"payload": json.dumps({"text": "form"})})
    assert form.text == "ok"
    newest, oldest = slack.get(f"conversations.history?channel={ROOM}").json()["messages"]
    assert (newest["text"], oldest["text"]) == ("form", "hello")
    update = slack.post("chat.update", {"channel": ROOM, "ts": oldest["ts"], "text": "x"}).json()
    assert update["error"] == "cant_update_message"


@pytest.mark.parametrize(
    ("content", "status", "said"),
    [
        (b"not json", 400, "invalid_payload"),
        (b"[]", 400, "invalid_payload"),
        (b"{}", 400, "no_text"),
        (b'{"text": "x", "blocks": [{"type": "nonsense"}]}', 400, "invalid_blocks"),
    ],
)
def test_a_webhook_refuses_in_a_word(sandbox, content, status, said):
    answer = CLIENT.post(sandbox.slack_webhook_url, content=content, headers={"Content-Type": "application/json"})
    assert (answer.status_code, answer.text) == (status, said)


def test_a_webhook_that_is_gone_says_so(sandbox):
    wrong = sandbox.slack_webhook_url + "x"
    assert (CLIENT.post(wrong, json={"text": "x"}).status_code, CLIENT.post(wrong, json={"text": "x"}).text) == (
        404,
        "no_service",
    )
    archived = sandbox.slack_webhook_url.replace(ROOM, "C0ARCHIVE")
    assert CLIENT.post(archived, json={"text": "x"}).status_code == 410
    sandbox.change(Service.SLACK, webhook_revoked=True)
    assert CLIENT.post(sandbox.slack_webhook_url, json={"text": "x"}).status_code == 404


def test_people_write_by_tokens_of_their_own(slack, sandbox):
    ada = sandbox.seed.people[0]
    as_ada = Caller(sandbox.slack_url, headers={"Authorization": f"Bearer {ada.slack_token}"})
    assert as_ada.post("auth.test", {}).json()["user_id"] == ada.slack_user
    ours = slack.post("chat.postMessage", {"channel": sandbox.channel_id, "text": "nDCG fell"}).json()["ts"]
    body = {"channel": sandbox.channel_id, "thread_ts": ours, "text": "/herald why"}
    said = as_ada.post("chat.postMessage", body).json()
    assert (said["message"]["user"], said["message"].get("bot_id")) == (ada.slack_user, None)
    change = {"channel": sandbox.channel_id, "text": "x"}
    assert slack.post("chat.update", change | {"ts": said["ts"]}).json()["error"] == "cant_update_message"
    assert as_ada.post("chat.update", change | {"ts": ours}).json()["error"] == "cant_update_message"
    assert as_ada.post("chat.update", change | {"ts": said["ts"]}).json()["ok"]
