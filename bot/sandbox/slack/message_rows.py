"""Messages as rows, and the JSON of one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sqlalchemy import func, select

from bot.sandbox.slack import tables
from bot.sandbox.slack.file_rows import file_json, files_of

if TYPE_CHECKING:
    from bot.sandbox.seed import Channel
    from bot.sandbox.web.call import Call


def message_json(call: Call, row: Any, *, with_metadata: bool = False) -> dict[str, Any]:
    answer: dict[str, Any] = {"type": "message", "ts": row.ts, "text": row.text}
    if row.author == call.seed.slack_bot_user:
        answer |= {"user": row.author, "bot_id": call.seed.slack_bot_id, "team": call.seed.slack_team}
    elif row.author in {one.slack_user for one in call.seed.people}:
        answer |= {"user": row.author, "team": call.seed.slack_team}
    else:
        answer |= {"subtype": "bot_message", "bot_id": row.author, "username": row.username}
    if row.blocks:
        answer["blocks"] = row.blocks
    if row.attachments:
        answer["attachments"] = row.attachments
    if row.thread_ts:
        answer["thread_ts"] = row.thread_ts
    if reactions := _reactions(call, row):
        answer["reactions"] = reactions
    if row.edited:
        answer["edited"] = {"user": row.author, "ts": f"{row.edited:.6f}"}
    if row.files:
        answer["files"] = [file_json(call, one) for one in files_of(call, row.files)]
    if with_metadata and row.metadata:
        answer["metadata"] = row.metadata
    return answer


def _reactions(call: Call, row: Any) -> list[dict[str, Any]]:
    where = tables.reaction.c.message == row.id
    users: dict[str, list[str]] = {}
    for one in call.db.execute(select(tables.reaction).where(where).order_by(tables.reaction.c.id)):
        users.setdefault(one.name, []).append(one.account)
    return [{"name": name, "users": every, "count": len(every)} for name, every in users.items()]


@dataclass(frozen=True, slots=True)
class Content:
    """What a message says: checked text, blocks, attachments and metadata."""

    text: str
    blocks: list[dict[str, Any]]
    attachments: list[dict[str, Any]]
    metadata: dict[str, Any] | None


def _next_ts(call: Call, channel: str) -> str:
    """Return the time as Slack's message id: later than every message of the channel."""
    where = tables.message.c.channel == channel
    last = call.db.execute(select(func.max(tables.message.c.ts)).where(where)).scalar_one_or_none()
    micros = int(call.now * 1_000_000)
    if last:
        seconds, _, fraction = last.partition(".")
        micros = max(micros, int(seconds) * 1_000_000 + int(fraction) + 1)
    return f"{micros // 1_000_000}.{micros % 1_000_000:06d}"


def insert_message(
    call: Call,
    channel: Channel,
    content: Content,
    *,
    author: str,
    username: str,
    thread_ts: str | None = None,
    broadcast: bool = False,
    files: list[str] | None = None,
) -> Any:
    ts = _next_ts(call, channel.id)
    values: dict[str, Any] = {
        "channel": channel.id,
        "ts": ts,
        "thread_ts": thread_ts,
        "author": author,
        "username": username,
    }
    values |= {"broadcast": broadcast, "text": content.text, "blocks": content.blocks, "metadata": content.metadata}
    values |= {"attachments": numbered(content.attachments), "files": files or [], "edited": None}
    call.db.execute(tables.message.insert().values(**values))
    return find_message(call, channel, ts)


def numbered(attachments: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [{"id": number, "fallback": "[no preview available]", **one} for number, one in enumerate(attachments, 1)]


def find_message(call: Call, channel: Channel, ts: str | None) -> Any | None:
    where = (tables.message.c.channel == channel.id) & (tables.message.c.ts == (ts or ""))
    return call.db.execute(select(tables.message).where(where)).first()


def permalink(row: Any) -> str:
    path = f"/archives/{row.channel}/p{row.ts.replace('.', '')}"
    return f"{path}?thread_ts={row.thread_ts}&cid={row.channel}" if row.thread_ts else path


def messages_of(call: Call, channel: Channel) -> list[Any]:
    where = tables.message.c.channel == channel.id
    return list(call.db.execute(select(tables.message).where(where).order_by(tables.message.c.ts)))
