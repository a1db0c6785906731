"""What Slack's answers show: messages and where they stand, and that a write was carried out."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from bot.services.evidence import id_in, object_in, prove, rows_in, text_in
from bot.services.refusals import Answer

EVENT = "herald"  # type of the metadata that a message of ours carries
_OK = 200
_TIMESTAMP = re.compile(r"[0-9]+\.[0-9]+")


def who_in(answer: Any) -> Mapping[str, Any]:
    """Read who we are."""
    text_in(answer, "user_id")
    return answer  # type: ignore[no-any-return]


def posted_in(channel_id: str | None, mark: str, answer: Any) -> tuple[str, str]:
    """Read where and when a message was posted: in the channel of that id, where one was named, and as ours."""
    channel, ts = text_in(answer, "channel"), text_in(answer, "ts")
    prove(channel_id in (None, channel), f"shows a message in {channel}")
    prove(_TIMESTAMP.fullmatch(ts) is not None, "has no timestamp")
    prove(mark_of(answer.get("message") or {}) in (None, mark), "shows another message")
    return channel, ts


def check_reply(channel_id: str, thread_ts: str, mark: str, answer: Any) -> None:
    """Let the answer show a message in that thread; one beside it is not the reply that was asked for."""
    posted_in(channel_id, mark, answer)
    prove(text_in(object_in(answer, "message"), "thread_ts") == thread_ts, "shows a message in another thread")


def check_edited(channel_id: str, ts: str, answer: Any) -> None:
    prove(text_in(answer, "channel") == channel_id, "shows a message in another channel")
    prove(text_in(answer, "ts") == ts, "shows another message")


def check_upload(answer: Answer) -> None:
    """Let the answer be what Slack says to a file: `OK - ` and its size."""
    prove(answer.status_code == _OK and answer.content.strip().upper().startswith(b"OK"), "does not say OK")


def check_shared(file_id: str, answer: Any) -> None:
    prove(file_id in [id_in(each) for each in rows_in(answer, "files")], "does not show the file")


def messages_in(answer: Any) -> list[Mapping[str, Any]]:
    messages = rows_in(answer, "messages")
    is_timed = all(_TIMESTAMP.fullmatch(text_in(each, "ts")) for each in messages)
    prove(is_timed, "shows messages without their time")
    return messages


def mark_of(message: Mapping[str, Any]) -> str | None:
    metadata = message.get("metadata") or {}
    if metadata.get("event_type") != EVENT:
        return None
    mark = (metadata.get("event_payload") or {}).get("mark")
    return mark if isinstance(mark, str) else None


def next_page(answer: Mapping[str, Any]) -> str | None:
    cursor = (answer.get("response_metadata") or {}).get("next_cursor") or None
    prove(cursor is not None or not answer.get("has_more"), "has more, and does not say where")
    return cursor
