"""What every chat promises."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from bot.domain.message import MessageDocument
from bot.errors import PermanentError, RetryableError
from bot.ports import Attachment, Posted
from tests.contract.benches import ChatBench

BEFORE = datetime.now(UTC) - timedelta(hours=1)
DOCUMENT = "tone: bad\nRanking fell\n\nTicket pending"
HOSTILE = "a &lt;!channel&gt; &lt;@U1&gt; `*_~` 🙂 \u202e %s {x}"


def test_a_message_is_posted_and_found_by_its_mark(chat_bench: ChatBench):
    posted = chat_bench.chat.post(chat_bench.channel, "m-1", MessageDocument.read(DOCUMENT))
    chat_bench.chat.post(chat_bench.channel, "m-2", MessageDocument.read("tone: good\nRanking is back"))
    found = chat_bench.chat.find(chat_bench.channel, "m-1", BEFORE)
    assert found is not None
    assert found.message_id == posted.message_id
    assert len(chat_bench.see()) == 2
    assert chat_bench.count_writes() in (2, None)


def test_what_was_not_posted_is_not_found(chat_bench: ChatBench):
    chat_bench.chat.post(chat_bench.channel, "m-1", MessageDocument.read(DOCUMENT))
    assert chat_bench.chat.find(chat_bench.channel, "m-2", BEFORE) is None


def test_an_edit_changes_the_message_in_place_and_keeps_its_mark(chat_bench: ChatBench):
    posted = chat_bench.chat.post(chat_bench.channel, "m-1", MessageDocument.read(DOCUMENT))
    chat_bench.chat.edit(posted, "m-1", MessageDocument.read("Ranking fell\n\nTicket: S-1"))
    chat_bench.chat.edit(posted, "m-1", MessageDocument.read("Ranking is back"))
    [message] = chat_bench.see()
    assert message.text == "Ranking is back"
    found = chat_bench.chat.find(chat_bench.channel, "m-1", BEFORE)
    assert found is not None
    assert found.message_id == posted.message_id


def test_a_reply_stands_in_the_thread_alone_and_is_known_by_its_mark(chat_bench: ChatBench):
    posted = chat_bench.chat.post(chat_bench.channel, "m-1", MessageDocument.read(DOCUMENT))
    chat_bench.chat.reply(posted, "r-1", MessageDocument.read("Still there: ranking fell"))
    assert chat_bench.chat.has_reply(posted, "r-1")
    assert not chat_bench.chat.has_reply(posted, "r-2")
    assert [each.message_id for each in chat_bench.see()] == [posted.message_id]
    assert chat_bench.chat.find(chat_bench.channel, "r-1", BEFORE) is None


@pytest.mark.parametrize("committed", [True, False])
def test_a_reply_that_breaks_off_is_doubtful_and_its_mark_tells(chat_bench: ChatBench, committed: bool):
    posted = chat_bench.chat.post(chat_bench.channel, "m-1", MessageDocument.read(DOCUMENT))
    chat_bench.fail_next("reply", committed=committed)
    with pytest.raises(RetryableError) as caught:
        chat_bench.chat.reply(posted, "r-1", MessageDocument.read("Still there"))
    assert caught.value.doubtful
    assert chat_bench.chat.has_reply(posted, "r-1") is committed


def test_a_file_is_shown_in_the_thread_once_however_often(chat_bench: ChatBench):
    posted = chat_bench.chat.post(chat_bench.channel, "m-1", MessageDocument.read(DOCUMENT))
    for _ in range(2):
        chat_bench.chat.share(
            posted, Attachment("history-1.png", b"\x89PNG...", "image/png", "a chart", "3 = <护肤品>")
        )
    assert chat_bench.files(posted) == ["history-1.png"]
    assert len(chat_bench.see()) == 1


def test_a_message_among_many_is_found(chat_bench: ChatBench):
    posted = chat_bench.chat.post(chat_bench.channel, "m-0", MessageDocument.read("first"))
    for index in range(1, 130):
        chat_bench.chat.post(chat_bench.channel, f"m-{index}", MessageDocument.read("more"))
    found = chat_bench.chat.find(chat_bench.channel, "m-0", BEFORE)
    assert found is not None
    assert found.message_id == posted.message_id


def test_hostile_text_passes_through(chat_bench: ChatBench):
    chat_bench.chat.post(chat_bench.channel, "m-1", MessageDocument.read(HOSTILE))
    assert [each.text for each in chat_bench.see()] == [HOSTILE]


@pytest.mark.parametrize("committed", [True, False])
def test_a_post_that_breaks_off_is_doubtful_and_its_mark_tells(chat_bench: ChatBench, committed: bool):
    chat_bench.fail_next("post", committed=committed)
    with pytest.raises(RetryableError) as caught:
        chat_bench.chat.post(chat_bench.channel, "m-1", MessageDocument.read(DOCUMENT))
    assert caught.value.doubtful
    assert (chat_bench.chat.find(chat_bench.channel, "m-1", BEFORE) is not None) is committed
    assert chat_bench.count_writes() in (1, None)


@pytest.mark.parametrize("committed", [True, False])
def test_an_edit_repeated_after_breaking_off_is_there_once(chat_bench: ChatBench, committed: bool):
    posted = chat_bench.chat.post(chat_bench.channel, "m-1", MessageDocument.read(DOCUMENT))
    chat_bench.fail_next("edit", committed=committed)
    with pytest.raises(RetryableError):
        chat_bench.chat.edit(posted, "m-1", MessageDocument.read("Ranking is back"))
    chat_bench.chat.edit(posted, "m-1", MessageDocument.read("Ranking is back"))
    assert [each.text for each in chat_bench.see()] == ["Ranking is back"]


def test_a_message_that_is_not_there_cannot_be_edited(chat_bench: ChatBench):
    posted = chat_bench.chat.post(chat_bench.channel, "m-1", MessageDocument.read(DOCUMENT))
    with pytest.raises(PermanentError):
        chat_bench.chat.edit(Posted(posted.channel, "1234567890.000001"), "m-1", MessageDocument.read("x"))
