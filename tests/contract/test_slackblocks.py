"""A message document becomes blocks that Slack takes, whatever it holds."""

from __future__ import annotations

from hypothesis import assume, given, settings
from hypothesis import strategies as st

from bot.domain.message import MessageDocument
from bot.services.block_kit import Message, build_message

DOCUMENT = """tone: bad
*Ranking quality* of next-purchase fell: 0.1448, was 0.1700

Ticket: <https://jira/browse/S-1|S-1>
Report: pending
---

> seed 2, 41 s
> owner: search team
"""


def laid_out(text: str) -> Message:
    return build_message(MessageDocument.read(text))


def mrkdwn(text: str) -> dict:
    return {"type": "mrkdwn", "text": text, "verbatim": True}  # Slack adds no links or mentions of its own


def all_blocks(message: Message) -> list[dict]:
    return [*message.blocks, *(block for bar in message.attachments for block in bar["blocks"])]


def texts(message: Message) -> list[str]:
    found = []
    for block in all_blocks(message):
        elements = block.get("elements", [block["text"]] if "text" in block else [])
        found += [element["text"] for element in elements]
    return found


def test_a_document_becomes_headline_bar_sections_and_small_print():
    message = laid_out(DOCUMENT)
    headline = "*Ranking quality* of next-purchase fell: 0.1448, was 0.1700"
    assert message.text == headline
    assert list(message.blocks) == [{"type": "section", "text": mrkdwn(headline)}]
    [bar] = message.attachments
    assert bar["color"] == message.color == "#d63a3a"
    assert bar["blocks"] == [
        {
            "type": "section",
            "text": mrkdwn("Ticket: <https://jira/browse/S-1|S-1>\nReport: pending"),
        },
        {"type": "divider"},
        {"type": "context", "elements": [mrkdwn("seed 2, 41 s\nowner: search team")]},
    ]


def test_a_document_without_a_tone_has_no_bar():
    message = laid_out("Hello\n\nWorld")
    assert message.attachments == ()
    assert texts(message) == ["Hello", "World"]


def test_the_three_tones_differ():
    assert len({laid_out(f"tone: {tone}\nx\n\ny").color for tone in ("bad", "watch", "good")}) == 3


def test_trap_34_there_is_always_a_top_level_text():
    assert laid_out("tone: good\nBack to normal").text == "Back to normal"


def test_many_paragraphs_are_cut_to_fifty_blocks():
    message = laid_out("\n\n".join(f"p{i}" for i in range(80)))
    assert len(all_blocks(message)) == 50
    assert texts(message)[-1] == "…"


def test_a_long_message_is_cut_as_a_whole():
    message = laid_out("Head\n\n" + "\n\n".join("word " * 580 for _ in range(9)))
    assert sum(map(len, texts(message))) < 13_000
    assert texts(message)[-1] == "…"


@settings(deadline=None)  # a busy machine says nothing about the code
@given(st.text(st.sampled_from("a &<>|`\n-tone: {}\\*🙂\u202e\x00"), max_size=10_000))
def test_trap_29_no_document_breaks_a_limit(document: str):
    read = MessageDocument.read(document)
    assume(read.headline)
    assume(all(len(each.text) <= 2_900 for each in read.body) and len(read.headline) <= 2_900)  # as it is rendered
    message = build_message(read)
    assert 1 <= len(all_blocks(message)) <= 50
    assert message.text
    assert all(1 <= len(text) <= 3000 for text in texts(message))
    assert sum(map(len, texts(message))) <= 13_000
