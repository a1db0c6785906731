"""The stand-in for Slack: the Web API, incoming webhooks, file uploads."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sqlalchemy import func, select
from werkzeug.wrappers import Response

from bot.sandbox import blockkit, tables
from bot.sandbox.jira_refusals import same
from bot.sandbox.slack_calls import Arguments, api_error, find_channel, is_member, read_arguments
from bot.sandbox.tables import next_number
from bot.sandbox.uploads import send_file
from bot.sandbox.web import Call, Dialect, Refusal, Routes, json_answer

if TYPE_CHECKING:
    from werkzeug.wrappers import Request

    from bot.sandbox.seed import Account, Channel, SandboxSeed

routes = Routes()


def _error(status: int, text: str, _path: str) -> Response:
    """Answer as Slack does: 200 and a word, for all that has to do with arguments."""
    words = {404: "unknown_method", 405: "invalid_post_type", 413: "request_too_large", 400: "invalid_json"}
    answer = json_answer({"ok": False, "error": words.get(status, "fatal_error"), "detail": text})
    answer.status_code = 200 if status in (400, 404) else status
    return answer


def authenticate(_request: Request, seed: SandboxSeed) -> Account | None:
    """Let everybody in: each method reads its own token, because a refusal is an answer with status 200."""
    return seed.bot


def dialect() -> Dialect:
    return Dialect(authenticate, _error, lambda: json_answer({"ok": False, "error": "not_authed"}))


# ---- messages


def message_json(call: Call, row: Any, *, with_metadata: bool = False) -> dict[str, Any]:
    answer: dict[str, Any] = {"type": "message", "ts": row.ts, "text": row.text}
    if row.author == call.seed.slack_bot_user:
        answer |= {"user": row.author, "bot_id": call.seed.slack_bot_id, "team": call.seed.slack_team}
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
        answer["files"] = [_file_json(call, one) for one in files_of(call, row.files)]
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


def _content(call: Call, arguments: Arguments, *, has_files: bool = False) -> Content:
    text = arguments.text("text") or ""
    blocks = arguments.structure("blocks", "invalid_blocks_format") or []
    attachments = arguments.structure("attachments", "invalid_attachments") or []
    if not text and not blocks and not attachments and not has_files:
        raise api_error("no_text")
    if len(text) > blockkit.MESSAGE_TEXT:
        raise api_error("msg_too_long")
    try:
        blocks = blockkit.check_blocks(blocks)
    except blockkit.BlockError as error:
        messages = [f"[ERROR] {error}"]
        raise api_error("invalid_blocks", errors=[str(error)], response_metadata={"messages": messages}) from error
    if not isinstance(attachments, list) or not all(isinstance(one, dict) for one in attachments):
        raise api_error("invalid_attachments")
    if len(attachments) > blockkit.ATTACHMENTS:
        raise api_error("too_many_attachments")
    for one in attachments:
        _check_attachment_blocks(one)
    everything = [*blocks, *(block for one in attachments for block in one.get("blocks") or [])]
    if blockkit.size_of(everything) > call.rulebook.slack.message_budget:
        raise api_error("msg_blocks_too_long")
    return Content(text, blocks, attachments, _metadata(arguments))


def _check_attachment_blocks(attachment: dict[str, Any]) -> None:
    try:
        blockkit.check_blocks(attachment.get("blocks") or [])
    except blockkit.BlockError as error:
        raise api_error("invalid_attachments", errors=[str(error)]) from error


def _metadata(arguments: Arguments) -> dict[str, Any] | None:
    given = arguments.structure("metadata", "invalid_metadata_format")
    if given is None:
        return None
    if not isinstance(given, dict) or not isinstance(given.get("event_type"), str):
        raise api_error("invalid_metadata_format")
    if not isinstance(given.get("event_payload"), dict):
        raise api_error("invalid_metadata_schema")
    return {"event_type": given["event_type"], "event_payload": given["event_payload"]}


def _next_ts(call: Call, channel: str) -> str:
    """Return the time as Slack's message id: later than every message of the channel."""
    where = tables.message.c.channel == channel
    last = call.db.execute(select(func.max(tables.message.c.ts)).where(where)).scalar_one_or_none()
    micros = int(call.now * 1_000_000)
    if last:
        seconds, _, fraction = last.partition(".")
        micros = max(micros, int(seconds) * 1_000_000 + int(fraction) + 1)
    return f"{micros // 1_000_000}.{micros % 1_000_000:06d}"


def _insert_message(
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
    values |= {"attachments": _numbered(content.attachments), "files": files or [], "edited": None}
    call.db.execute(tables.message.insert().values(**values))
    return find_message(call, channel, ts)


def _numbered(attachments: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [{"id": number, "fallback": "[no preview available]", **one} for number, one in enumerate(attachments, 1)]


def find_message(call: Call, channel: Channel, ts: str | None) -> Any | None:
    where = (tables.message.c.channel == channel.id) & (tables.message.c.ts == (ts or ""))
    return call.db.execute(select(tables.message).where(where)).first()


def _respect_the_pace(call: Call, channel: Channel) -> None:
    """Allow one message a second and channel, where the rules ask for it."""
    if not call.rulebook.slack.one_message_a_second:
        return
    where = tables.message.c.channel == channel.id
    last = call.db.execute(select(func.max(tables.message.c.ts)).where(where)).scalar_one_or_none()
    if last and call.now - float(last) < 1.0:
        raise Refusal(json_answer({"ok": False, "error": "ratelimited"}, 429, {"Retry-After": "1"}))


@routes.on("POST", "/api/chat.postMessage")
def post_message(call: Call) -> Response:
    arguments = read_arguments(call, "chat:write")
    channel = find_channel(call, arguments.text("channel"), by_name=True)
    if channel.archived:
        raise api_error("is_archived")
    if not is_member(call, channel):
        raise api_error("not_in_channel")
    content = _content(call, arguments)
    _respect_the_pace(call, channel)
    thread_ts = _thread(call, channel, arguments)
    row = _insert_message(
        call,
        channel,
        content,
        author=call.seed.slack_bot_user,
        username=arguments.text("username") or call.seed.bot.display_name,
        thread_ts=thread_ts,
        broadcast=arguments.flag("reply_broadcast"),
    )
    shown = message_json(call, row, with_metadata=True)
    return json_answer({"ok": True, "channel": channel.id, "ts": row.ts, "message": shown})


def _thread(call: Call, channel: Channel, arguments: Arguments) -> str | None:
    wanted = arguments.text("thread_ts")
    if not wanted:
        return None
    parent = find_message(call, channel, wanted)
    if parent is None:
        raise api_error("thread_not_found")
    return str(parent.thread_ts or parent.ts)


@routes.on("POST", "/api/chat.update")
def update_message(call: Call) -> Response:
    arguments = read_arguments(call, "chat:write")
    channel = find_channel(call, arguments.text("channel"))
    row = find_message(call, channel, arguments.text("ts"))
    if row is None:
        raise api_error("message_not_found")
    if row.author != call.seed.slack_bot_user:
        raise api_error("cant_update_message")
    content = _content(call, arguments)
    # Giving a text without blocks or attachments takes those away that were there.
    values: dict[str, Any] = {"text": content.text, "blocks": content.blocks, "edited": call.now}
    values["attachments"] = _numbered(content.attachments)
    if content.metadata is not None:
        values["metadata"] = content.metadata
    call.db.execute(tables.message.update().where(tables.message.c.id == row.id).values(**values))
    row = find_message(call, channel, row.ts)
    assert row is not None
    answer = {"ok": True, "channel": channel.id, "ts": row.ts, "text": row.text}
    return json_answer(answer | {"message": message_json(call, row, with_metadata=True)})


@routes.on("POST", "/api/chat.delete")
def delete_message(call: Call) -> Response:
    arguments = read_arguments(call, "chat:write")
    channel = find_channel(call, arguments.text("channel"))
    row = find_message(call, channel, arguments.text("ts"))
    if row is None:
        raise api_error("message_not_found")
    if row.author != call.seed.slack_bot_user:
        raise api_error("cant_delete_message")
    call.db.execute(tables.reaction.delete().where(tables.reaction.c.message == row.id))
    call.db.execute(tables.message.delete().where(tables.message.c.id == row.id))
    return json_answer({"ok": True, "channel": channel.id, "ts": row.ts})


@routes.on("POST", "/api/chat.getPermalink")
@routes.on("GET", "/api/chat.getPermalink")
def get_permalink(call: Call) -> Response:
    arguments = read_arguments(call)
    channel = find_channel(call, arguments.text("channel"))
    row = find_message(call, channel, arguments.text("message_ts"))
    if row is None:
        raise api_error("message_not_found")
    return json_answer({"ok": True, "channel": channel.id, "permalink": call.base + permalink(row)})


def permalink(row: Any) -> str:
    path = f"/archives/{row.channel}/p{row.ts.replace('.', '')}"
    return f"{path}?thread_ts={row.thread_ts}&cid={row.channel}" if row.thread_ts else path


def messages_of(call: Call, channel: Channel) -> list[Any]:
    where = tables.message.c.channel == channel.id
    return list(call.db.execute(select(tables.message).where(where).order_by(tables.message.c.ts)))


# ---- files, in the form that replaced files.upload


@routes.on("POST", "/api/files.upload")
def upload_retired(call: Call) -> Response:
    read_arguments(call)
    raise api_error("method_deprecated")


@routes.on("POST", "/api/files.getUploadURLExternal")
@routes.on("GET", "/api/files.getUploadURLExternal")
def get_upload_url(call: Call) -> Response:
    arguments = read_arguments(call, "files:write")
    name, length = arguments.text("filename"), arguments.text("length") or ""
    if not name or not length.isascii() or not length.isdigit() or not 0 < int(length[:12]) < 10**9:
        messages = ["[ERROR] filename and a positive length are required"]
        raise api_error("invalid_arguments", response_metadata={"messages": messages})
    number = next_number(call.db, "slack_file", 1)
    identity = f"F0SANDBOX{number:05d}"
    values: dict[str, Any] = {"id": identity, "name": name, "title": name, "alt_text": arguments.text("alt_txt") or ""}
    values |= {"length": int(length), "content": None, "created": call.now, "complete": False}
    call.db.execute(tables.slack_file.insert().values(**values))
    return json_answer({"ok": True, "upload_url": f"{call.base}/upload/v1/{identity}", "file_id": identity})


@routes.on("POST", "/upload/v1/<identity>")
def take_upload(call: Call, identity: str) -> Response:
    rows = files_of(call, [identity])
    if not rows or rows[0].complete:
        return Response("not found", status=404)
    content = call.request.get_data()
    if call.request.mimetype == "multipart/form-data":
        part = next(iter(call.request.files.values()), None)
        content = part.read() if part is not None else b""
    if len(content) != rows[0].length:
        return Response(f"expected {rows[0].length} bytes, got {len(content)}", status=400)
    call.db.execute(tables.slack_file.update().where(tables.slack_file.c.id == identity).values(content=content))
    return Response(f"OK - {len(content)}")


def files_of(call: Call, ids: list[str]) -> list[Any]:
    rows = call.db.execute(select(tables.slack_file).where(tables.slack_file.c.id.in_(ids)))
    return sorted(rows, key=lambda row: ids.index(row.id))


def file_path(row: Any) -> str:
    return f"/files/{row.id}"


def _file_json(call: Call, row: Any) -> dict[str, Any]:
    link = call.base + file_path(row)
    answer = {"id": row.id, "name": row.name, "title": row.title, "size": row.length, "created": int(row.created)}
    return answer | {
        "mimetype": media_type_of(row.name),
        "permalink": link,
        "url_private": link,
        "alt_txt": row.alt_text,
    }


def media_type_of(name: str) -> str:
    import mimetypes

    return mimetypes.guess_type(name)[0] or "application/octet-stream"


@routes.on("POST", "/api/files.completeUploadExternal")
def complete_upload(call: Call) -> Response:
    arguments = read_arguments(call, "files:write")
    given = arguments.structure("files", "invalid_arguments")
    if not isinstance(given, list) or not given or not all(isinstance(one, dict) for one in given):
        raise api_error("invalid_arguments")
    titles = {str(one.get("id")): one.get("title") for one in given}
    rows = files_of(call, list(titles))
    if len(rows) != len(titles) or any(row.content is None or row.complete for row in rows):
        raise api_error("file_not_found")
    for row in rows:
        title = titles[row.id]
        values = {"complete": True, "title": title if isinstance(title, str) and title else row.name}
        call.db.execute(tables.slack_file.update().where(tables.slack_file.c.id == row.id).values(**values))
    wanted = arguments.text("channel_id") or (arguments.text("channels") or "").split(",")[0]
    if wanted:
        _share(call, arguments, wanted, list(titles))
    return json_answer({"ok": True, "files": [_file_json(call, row) for row in files_of(call, list(titles))]})


def _share(call: Call, arguments: Arguments, wanted: str, files: list[str]) -> None:
    channel = find_channel(call, wanted)
    if not is_member(call, channel):
        raise api_error("not_in_channel")
    thread_ts = _thread(call, channel, arguments)
    content = Content(arguments.text("initial_comment") or "", [], [], None)
    author, username = call.seed.slack_bot_user, call.seed.bot.display_name
    _insert_message(call, channel, content, author=author, username=username, thread_ts=thread_ts, files=files)


@routes.on("GET", "/files/<identity>", is_open=True)
def send_slack_file(call: Call, identity: str) -> Response:
    rows = files_of(call, [identity])
    if not rows or not rows[0].complete:
        return Response("not found", status=404)
    return send_file(media_type_of(rows[0].name), rows[0].name, rows[0].content)


# ---- incoming webhooks: a message goes in, nothing comes back to edit it by


@routes.on("POST", "/services/<team>/<channel_id>/<secret>")
def webhook(call: Call, team: str, channel_id: str, secret: str) -> Response:
    channel = next((one for one in call.seed.channels if one.id == channel_id), None)
    is_known = team == call.seed.slack_team and channel is not None and same(secret, call.seed.slack_webhook_secret)
    if not is_known or channel is None or call.rulebook.slack.webhook_revoked:
        return _plain("no_service", 404)
    if channel.archived:
        return _plain("channel_is_archived", 410)
    try:
        content = _content(call, _webhook_payload(call))
    except Refusal as refusal:
        said = json.loads(refusal.response.get_data()).get("error", "invalid_payload")
        return _plain({"invalid_json": "invalid_payload"}.get(said, said), 400)
    if call.rulebook.slack.one_message_a_second:
        try:
            _respect_the_pace(call, channel)
        except Refusal:
            answer = _plain("rate_limited", 429)
            answer.headers["Retry-After"] = "1"
            return answer
    _insert_message(call, channel, content, author="B0WEBHOOK", username=call.seed.bot.display_name)
    return _plain("ok", 200)


def _webhook_payload(call: Call) -> Arguments:
    if call.request.mimetype == "application/x-www-form-urlencoded":
        text = call.request.form.get("payload", "")
        value = Arguments({"payload": text}).structure("payload", "invalid_payload")
    else:
        value = call.json_body()
    if not isinstance(value, dict):
        raise api_error("invalid_payload")
    return Arguments(value)


def _plain(text: str, status: int) -> Response:
    return Response(text, status=status, content_type="text/html")
