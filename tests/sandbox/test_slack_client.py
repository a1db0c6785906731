"""What an app does in Slack, through slack_sdk, with the scopes it was installed with."""

from __future__ import annotations

from dataclasses import replace

import pytest
from slack_sdk import WebClient
from slack_sdk.errors import SlackApiError

from bot.sandbox import Service, serve
from bot.sandbox.seed import Channel, SandboxSeed

PRIVATE = "C0PRIVATE"
BASIC = ("chat:write", "files:write", "channels:read", "channels:join", "channels:history")


@pytest.fixture
def sandbox(clock):
    seed = SandboxSeed()
    channels = (*seed.channels, Channel(PRIVATE, "incidents", private=True))
    with serve(None, seed=replace(seed, channels=channels), clock=clock) as running:
        yield running


@pytest.fixture
def client(sandbox):
    return WebClient(token=sandbox.slack_token, base_url=sandbox.slack_url, retry_handlers=[])


@pytest.fixture
def grant(sandbox):
    """Install the app anew, with more scopes than the setup asks for."""
    return lambda *more: sandbox.change(Service.SLACK, scopes=(*BASIC, *more))


def refused(call, *arguments, **given):
    with pytest.raises(SlackApiError) as caught:
        call(*arguments, **given)
    return caught.value.response["error"], caught.value.response.get("needed")


def test_anybody_may_try_the_wire(sandbox):
    stranger = WebClient(base_url=sandbox.slack_url, retry_handlers=[])
    assert stranger.api_test()["ok"]
    assert stranger.api_test(foo="bar")["args"] == {"foo": "bar"}
    assert refused(stranger.api_test, error="my_error") == ("my_error", None)
    assert refused(stranger.auth_test) == ("not_authed", None)


def test_a_message_is_posted_edited_answered_and_deleted(client, sandbox):
    posted = client.chat_postMessage(channel="#search-quality", text="nDCG fell")
    channel, ts = posted["channel"], posted["ts"]
    client.chat_update(channel=channel, ts=ts, text="nDCG recovered")
    reply = client.chat_postMessage(channel=channel, text="since Monday", thread_ts=ts)
    assert reply["message"]["thread_ts"] == ts
    assert [one["text"] for one in client.conversations_history(channel=channel)["messages"]] == ["nDCG recovered"]
    thread = client.conversations_replies(channel=channel, ts=ts)["messages"]
    assert [one["text"] for one in thread] == ["nDCG recovered", "since Monday"]
    assert "/archives/" in client.chat_getPermalink(channel=channel, message_ts=ts)["permalink"]
    client.chat_delete(channel=channel, ts=ts)
    assert refused(client.chat_delete, channel=channel, ts=ts) == ("message_not_found", None)


def test_what_others_posted_is_not_ours_to_delete(client, sandbox):
    from slack_sdk.webhook import WebhookClient

    assert WebhookClient(sandbox.slack_webhook_url).send(text="from elsewhere").status_code == 200
    (message,) = client.conversations_history(channel=sandbox.channel_id)["messages"]
    answer = refused(client.chat_delete, channel=sandbox.channel_id, ts=message["ts"])
    assert answer == ("cant_delete_message", None)


def test_an_emoji_is_left_once_and_taken_back(client, grant, sandbox):
    ts = client.chat_postMessage(channel=sandbox.channel_id, text="nDCG fell")["ts"]
    on = {"channel": sandbox.channel_id, "timestamp": ts}
    assert refused(client.reactions_add, name="eyes", **on) == ("missing_scope", "reactions:write")
    grant("reactions:write", "reactions:read")
    client.reactions_add(name="eyes", **on)
    assert refused(client.reactions_add, name="eyes", **on) == ("already_reacted", None)
    shown = client.reactions_get(**on)["message"]["reactions"]
    assert [(one["name"], one["count"]) for one in shown] == [("eyes", 1)]
    assert len(client.reactions_list()["items"]) == 1
    client.reactions_remove(name="eyes", **on)
    assert refused(client.reactions_remove, name="eyes", **on) == ("no_reaction", None)
    assert refused(client.reactions_add, name="not an emoji", **on) == ("invalid_name", None)
    assert "reactions" not in client.conversations_history(channel=sandbox.channel_id)["messages"][0]


def test_people_are_shown_to_who_may_see_them_and_their_addresses_to_fewer(client, grant, sandbox):
    grant()
    assert refused(client.users_list) == ("missing_scope", "users:read")
    grant("users:read")
    members = client.users_list()["members"]
    assert [one["name"] for one in members] == ["herald", "ada", "wei", "jonas", "priya"]
    ada = client.users_info(user=members[1]["id"])["user"]
    assert "email" not in ada["profile"]
    assert refused(client.users_lookupByEmail, email="ada@example.invalid") == ("missing_scope", "users:read.email")
    grant("users:read", "users:read.email")
    assert client.users_lookupByEmail(email="ada@example.invalid")["user"]["profile"]["email"] == "ada@example.invalid"
    assert refused(client.users_lookupByEmail, email="nobody@example.invalid") == ("users_not_found", None)
    assert refused(client.users_info, user="U0NOBODY") == ("user_not_found", None)
    assert client.users_info(user=client.auth_test()["user_id"])["user"]["is_bot"]
    assert ada["id"] in client.conversations_members(channel=sandbox.channel_id)["members"]


def test_each_kind_of_channel_has_scopes_of_its_own(client, grant):
    public = [one["name"] for one in client.conversations_list()["channels"]]
    assert "search-quality" in public
    assert "incidents" not in public
    both = {"types": "public_channel,private_channel"}
    assert refused(client.conversations_list, **both) == ("missing_scope", "groups:read")
    assert refused(client.conversations_list, types="im") == ("missing_scope", "im:read")
    assert refused(client.conversations_list, types="mpim") == ("missing_scope", "mpim:read")
    assert refused(client.conversations_list, types="rooms") == ("invalid_types", None)
    assert refused(client.conversations_info, channel=PRIVATE) == ("missing_scope", "groups:read")
    grant("groups:read", "im:read", "mpim:read")
    assert "incidents" in [one["name"] for one in client.conversations_list(**both)["channels"]]
    assert {one["is_im"] for one in client.conversations_list(types="im,mpim")["channels"]} == {True}
    assert client.conversations_info(channel=PRIVATE)["channel"]["is_private"]
    mine = client.users_conversations(**both)["channels"]
    assert {one["name"] for one in mine} == {"search-quality", "old-search", "incidents"}


def test_a_private_channel_may_be_written_to_but_not_read_without_its_scope(client, grant, sandbox):
    ts = client.chat_postMessage(channel=PRIVATE, text="quietly")["ts"]
    assert refused(client.conversations_history, channel=PRIVATE) == ("missing_scope", "groups:history")
    assert refused(client.conversations_replies, channel=PRIVATE, ts=ts) == ("missing_scope", "groups:history")
    grant("groups:history")
    assert client.conversations_history(channel=PRIVATE)["messages"][0]["text"] == "quietly"
    assert client.conversations_replies(channel=PRIVATE, ts=ts)["messages"][0]["ts"] == ts


def test_one_person_is_written_to_and_read_with_the_scopes_of_direct_messages(client, grant, sandbox):
    ada = sandbox.seed.people[0].slack_user
    posted = client.chat_postMessage(channel=ada, text="look at this")
    direct = posted["channel"]
    assert refused(client.conversations_history, channel=direct) == ("missing_scope", "im:history")
    assert refused(client.conversations_open, users=[ada]) == ("missing_scope", "im:write")
    assert refused(client.conversations_info, channel=direct) == ("missing_scope", "im:read")
    grant("im:history", "im:write", "im:read")
    assert client.conversations_history(channel=direct)["messages"][0]["text"] == "look at this"
    assert client.conversations_open(users=[ada])["channel"]["id"] == direct
    assert client.conversations_info(channel=direct)["channel"]["user"] == ada
    assert refused(client.conversations_open, users=["U0NOBODY"]) == ("user_not_found", None)
    assert refused(client.chat_postMessage, channel="#ada", text="x") == ("channel_not_found", None)


def test_who_may_read_no_kind_of_channel_is_told_of_all_that_would_do(client, sandbox):
    sandbox.change(Service.SLACK, scopes=("chat:write",))
    needed = "channels:history,groups:history,mpim:history,im:history"
    assert refused(client.conversations_history, channel="C0NOWHERE") == ("missing_scope", needed)
    answer = refused(client.conversations_list)
    assert answer == ("missing_scope", "channels:read")
    with pytest.raises(SlackApiError) as caught:
        client.conversations_list()
    assert caught.value.response["provided"] == "chat:write"
    assert client.auth_test().headers["X-OAuth-Scopes"] == "chat:write"


def test_channels_are_joined_and_left(client, grant):
    assert refused(client.chat_postMessage, channel="C0GENERAL", text="hello") == ("not_in_channel", None)
    client.conversations_join(channel="C0GENERAL")
    assert client.chat_postMessage(channel="C0GENERAL", text="hello")["ok"]
    grant("channels:manage")
    client.conversations_leave(channel="C0GENERAL")
    assert refused(client.chat_postMessage, channel="C0GENERAL", text="hello") == ("not_in_channel", None)
    assert refused(client.conversations_join, channel=PRIVATE) == ("method_not_supported_for_channel_type", None)
    assert refused(client.conversations_join, channel="C0LEADERS") == ("channel_not_found", None)


def test_a_file_is_uploaded_into_a_thread(client, sandbox):
    ts = client.chat_postMessage(channel=sandbox.channel_id, text="nDCG fell")["ts"]
    done = client.files_upload_v2(channel=sandbox.channel_id, thread_ts=ts, filename="a.txt", content="step 1")
    assert done["file"]["name"] == "a.txt"
    thread = client.conversations_replies(channel=sandbox.channel_id, ts=ts)["messages"]
    assert [one["name"] for one in thread[1]["files"]] == ["a.txt"]


def test_pages_of_a_list_follow_one_another(client, sandbox):
    for number in range(5):
        client.chat_postMessage(channel=sandbox.channel_id, text=str(number))
    pages = client.conversations_history(channel=sandbox.channel_id, limit=2)
    assert [[one["text"] for one in page["messages"]] for page in pages] == [["4", "3"], ["2", "1"], ["0"]]
