"""What every reading of people's answers in threads promises, and what is Slack's own."""

from __future__ import annotations

from datetime import timedelta

import pytest

from bot.domain.message import MessageDocument
from bot.ports import Posted, Speakers
from bot.sandbox import RunningSandbox, Service
from tests.contract.answer_benches import SlackPerson, ThreadBench, now, slack_thread

FELL = MessageDocument.read("*Ranking quality fell*")
NOBODY = Speakers()


def posted(bench: ThreadBench) -> Posted:
    return bench.chat.post(bench.channel, "mark-1", FELL)


def test_what_people_answer_in_a_thread_is_read_oldest_first(thread_bench: ThreadBench):
    message, other = posted(thread_bench), posted(thread_bench)
    said = [thread_bench.say(message, who, f"/herald why {who}") for who in ("ada", "wei")]
    thread_bench.say(other, "ada", "/herald help")
    for since in (None, now() - timedelta(minutes=1)):
        replies = thread_bench.answers.replies(message, since)
        assert [each.comment_id for each in replies] == said
        assert [each.author for each in replies] == [thread_bench.person("ada"), thread_bench.person("wei")]
        assert [each.body for each in replies] == ["/herald why ada", "/herald why wei"]
        assert not any(each.is_edited or each.mark for each in replies)


def test_a_message_that_is_gone_has_no_replies(thread_bench: ThreadBench):
    message = posted(thread_bench)
    assert thread_bench.answers.replies(message, None) == []
    assert not thread_bench.answers.replies(Posted(message.channel, "1.000001"), None)


def test_who_may_speak_is_who_belongs_here_or_whom_config_lists(thread_bench: ThreadBench):
    ada, wei = thread_bench.person("ada"), thread_bench.person("wei")
    thread_bench.expel("wei")
    assert [thread_bench.answers.may_speak(who, NOBODY) for who in (ada, wei)] == [True, False]
    listed = Speakers(accounts=frozenset({wei.account}))
    assert [thread_bench.answers.may_speak(who, listed) for who in (ada, wei)] == [False, True]
    assert not thread_bench.answers.may_speak(type(ada)("U0NOBODY1"), NOBODY)
    assert not thread_bench.answers.may_speak(thread_bench.answers.me(), NOBODY)


def test_our_own_replies_carry_their_mark_and_nobody_elses_does(sandbox: RunningSandbox):
    bench = slack_thread(sandbox)
    message = posted(bench)
    bench.chat.reply(message, "mark-2", FELL)
    body = {"channel": message.channel, "thread_ts": message.message_id, "text": "/herald why"}
    forged = {"event_type": "herald", "event_payload": {"mark": "mark-3"}}
    SlackPerson(sandbox).call("ada", "chat.postMessage", **body, metadata=forged)
    ours, theirs = bench.answers.replies(message, None)
    assert (ours.author, ours.mark) == (bench.answers.me(), "mark-2")
    assert (theirs.author, theirs.mark) == (bench.person("ada"), None)
    assert theirs.url.endswith(f"/p{theirs.comment_id.replace('.', '')}?thread_ts={message.message_id}&cid=C0SEARCHQ")


def test_an_edited_reply_says_so(sandbox: RunningSandbox):
    bench = slack_thread(sandbox)
    message = posted(bench)
    said = bench.say(message, "ada", "looks bad")
    SlackPerson(sandbox).call("ada", "chat.update", channel=message.channel, ts=said, text="/herald mute 99d")
    [reply] = bench.answers.replies(message, None)
    assert (reply.body, reply.is_edited) == ("/herald mute 99d", True)


def test_without_the_scope_nobody_is_known_and_only_those_listed_may_speak(sandbox: RunningSandbox):
    sandbox.change(Service.SLACK, missing_scopes=["users:read"])
    bench = slack_thread(sandbox)
    message = posted(bench)
    bench.say(message, "ada", "/herald why")
    [reply] = bench.answers.replies(message, None)
    assert str(reply.author) == bench.person("ada").account
    assert not bench.answers.may_speak(reply.author, NOBODY)
    assert bench.answers.may_speak(reply.author, Speakers(accounts=frozenset({reply.author.account})))


@pytest.mark.parametrize("scope", ["channels:history"])
def test_a_thread_that_may_not_be_read_says_which_scope_is_missing(sandbox: RunningSandbox, scope: str):
    bench = slack_thread(sandbox)
    message = posted(bench)
    sandbox.change(Service.SLACK, missing_scopes=[scope])
    with pytest.raises(Exception, match=scope):
        bench.answers.replies(message, None)
