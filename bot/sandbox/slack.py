"""The stand-in for Slack: the Web API, incoming webhooks, file uploads."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sqlalchemy import func, select
from sqlalchemy.dialects.sqlite import insert
from werkzeug.wrappers import Response

from bot.sandbox import blockkit, tables
from bot.sandbox.jira_refusals import same
from bot.sandbox.tables import next_number
from bot.sandbox.uploads import send_file
from bot.sandbox.web import Call, Dialect, Refusal, Routes, is_storable, json_answer

if TYPE_CHECKING:
    from werkzeug.wrappers import Request

    from bot.sandbox.seed import Account, Channel, SandboxSeed

routes = Routes()

PAGE = 100
LARGEST_PAGE = 999


def _api_error(code: str, **more: Any) -> Refusal:
    return Refusal(json_answer({"ok": False, "error": code, **more}))


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


# ---- arguments and permissions


@dataclass(frozen=True, slots=True)
class Arguments:
    """What a method was given, by JSON, form or query."""

    values: dict[str, Any]

    def text(self, name: str) -> str | None:
        value = self.values.get(name)
        if value is None or isinstance(value, str):
            return value
        if isinstance(value, (int, float)) and not isinstance(value, bool):
            return str(value)
        raise _api_error("invalid_arguments", response_metadata={"messages": [f"[ERROR] {name} must be a string"]})

    def flag(self, name: str, *, default: bool = False) -> bool:
        value = self.values.get(name, default)
        return value if isinstance(value, bool) else str(value).lower() in ("true", "1")

    def whole(self, name: str, default: int, high: int) -> int:
        value = self.text(name) or ""
        return max(1, min(high, int(value))) if value.isascii() and value.isdigit() and len(value) < 10 else default  # noqa: PLR2004

    def structure(self, name: str, wrong: str) -> Any:
        """Read an argument that may be JSON, or JSON inside a string."""
        value = self.values.get(name)
        if not isinstance(value, str):
            return value
        if not value:
            return None
        try:
            parsed = json.loads(value)
        except (ValueError, RecursionError) as error:
            raise _api_error(wrong) from error
        if not is_storable(parsed):
            raise _api_error(wrong)
        return parsed


def _arguments(call: Call, scope: str | None) -> Arguments:
    """Read the arguments; refuse who has no token or whose token lacks the scope."""
    request = call.request
    if request.method == "POST" and request.mimetype == "application/json":
        body = call.json_body() if request.get_data() else {}
        if not isinstance(body, dict):
            raise _api_error("json_not_object")
        values = {**request.args.to_dict(), **body}
    else:
        values = {**request.args.to_dict(), **request.form.to_dict()}
        if not is_storable(values):
            raise _api_error("invalid_charset")
    given = request.authorization
    token = given.token if given is not None and given.type == "bearer" else values.get("token")
    if not token:
        raise _api_error("not_authed")
    if not isinstance(token, str) or not same(token, call.seed.slack_token):
        raise _api_error("invalid_auth")
    if scope and scope in call.rulebook.slack.missing_scopes:
        raise _api_error("missing_scope", needed=scope, provided="identify")
    return Arguments({name: value for name, value in values.items() if name != "token"})


def is_member(call: Call, channel: Channel) -> bool:
    where = tables.membership.c.channel == channel.id
    joined = call.db.execute(select(tables.membership.c.joined).where(where)).scalar_one_or_none()
    return channel.member if joined is None else bool(joined)


def find_channel(call: Call, wanted: str | None, *, by_name: bool = False) -> Channel:
    """Find a channel by id (or name); a private one is hidden from who is not in it."""
    name = (wanted or "").removeprefix("#")
    for one in call.seed.channels:
        if (one.id == wanted or (by_name and one.name == name)) and not (one.private and not is_member(call, one)):
            return one
    raise _api_error("channel_not_found")


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
    if row.edited:
        answer["edited"] = {"user": row.author, "ts": f"{row.edited:.6f}"}
    if row.files:
        answer["files"] = [_file_json(call, one) for one in files_of(call, row.files)]
    if with_metadata and row.metadata:
        answer["metadata"] = row.metadata
    return answer


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
        raise _api_error("no_text")
    if len(text) > blockkit.MESSAGE_TEXT:
        raise _api_error("msg_too_long")
    try:
        blocks = blockkit.check_blocks(blocks)
    except blockkit.BlockError as error:
        messages = [f"[ERROR] {error}"]
        raise _api_error("invalid_blocks", errors=[str(error)], response_metadata={"messages": messages}) from error
    if not isinstance(attachments, list) or not all(isinstance(one, dict) for one in attachments):
        raise _api_error("invalid_attachments")
    if len(attachments) > blockkit.ATTACHMENTS:
        raise _api_error("too_many_attachments")
    for one in attachments:
        _check_attachment_blocks(one)
    everything = [*blocks, *(block for one in attachments for block in one.get("blocks") or [])]
    if blockkit.size_of(everything) > call.rulebook.slack.message_budget:
        raise _api_error("msg_blocks_too_long")
    return Content(text, blocks, attachments, _metadata(arguments))


def _check_attachment_blocks(attachment: dict[str, Any]) -> None:
    try:
        blockkit.check_blocks(attachment.get("blocks") or [])
    except blockkit.BlockError as error:
        raise _api_error("invalid_attachments", errors=[str(error)]) from error


def _metadata(arguments: Arguments) -> dict[str, Any] | None:
    given = arguments.structure("metadata", "invalid_metadata_format")
    if given is None:
        return None
    if not isinstance(given, dict) or not isinstance(given.get("event_type"), str):
        raise _api_error("invalid_metadata_format")
    if not isinstance(given.get("event_payload"), dict):
        raise _api_error("invalid_metadata_schema")
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
    arguments = _arguments(call, "chat:write")
    channel = find_channel(call, arguments.text("channel"), by_name=True)
    if channel.archived:
        raise _api_error("is_archived")
    if not is_member(call, channel):
        raise _api_error("not_in_channel")
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
        raise _api_error("thread_not_found")
    return str(parent.thread_ts or parent.ts)


@routes.on("POST", "/api/chat.update")
def update_message(call: Call) -> Response:
    arguments = _arguments(call, "chat:write")
    channel = find_channel(call, arguments.text("channel"))
    row = find_message(call, channel, arguments.text("ts"))
    if row is None:
        raise _api_error("message_not_found")
    if row.author != call.seed.slack_bot_user:
        raise _api_error("cant_update_message")
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
    arguments = _arguments(call, "chat:write")
    channel = find_channel(call, arguments.text("channel"))
    row = find_message(call, channel, arguments.text("ts"))
    if row is None:
        raise _api_error("message_not_found")
    call.db.execute(tables.message.delete().where(tables.message.c.id == row.id))
    return json_answer({"ok": True, "channel": channel.id, "ts": row.ts})


@routes.on("POST", "/api/chat.getPermalink")
@routes.on("GET", "/api/chat.getPermalink")
def get_permalink(call: Call) -> Response:
    arguments = _arguments(call, None)
    channel = find_channel(call, arguments.text("channel"))
    row = find_message(call, channel, arguments.text("message_ts"))
    if row is None:
        raise _api_error("message_not_found")
    return json_answer({"ok": True, "channel": channel.id, "permalink": call.base + permalink(row)})


def permalink(row: Any) -> str:
    path = f"/archives/{row.channel}/p{row.ts.replace('.', '')}"
    return f"{path}?thread_ts={row.thread_ts}&cid={row.channel}" if row.thread_ts else path


@routes.on("POST", "/api/auth.test")
@routes.on("GET", "/api/auth.test")
def auth_test(call: Call) -> Response:
    _arguments(call, None)
    seed = call.seed
    answer = {"ok": True, "url": f"{call.base}/", "team": seed.slack_team_name, "user": seed.bot.name}
    answer |= {"team_id": seed.slack_team, "user_id": seed.slack_bot_user, "bot_id": seed.slack_bot_id}
    return json_answer(answer | {"is_enterprise_install": False}, headers={"X-OAuth-Scopes": _scopes(call)})


def _scopes(call: Call) -> str:
    every = ("chat:write", "files:write", "channels:read", "channels:join", "channels:history")
    return ",".join(one for one in every if one not in call.rulebook.slack.missing_scopes)


# ---- channels


def _channel_json(call: Call, channel: Channel) -> dict[str, Any]:
    created = 1_760_000_000
    owner = call.seed.slack_bot_user
    return {
        "id": channel.id,
        "name": channel.name,
        "name_normalized": channel.name,
        "is_channel": True,
        "is_group": False,
        "is_im": False,
        "is_mpim": False,
        "is_private": channel.private,
        "is_archived": channel.archived,
        "is_general": channel.name == "general",
        "is_member": is_member(call, channel),
        "is_shared": False,
        "is_org_shared": False,
        "created": created,
        "creator": owner,
        "unlinked": 0,
        "num_members": len(call.seed.people) + 1,
        "topic": {"value": channel.topic, "creator": owner, "last_set": created},
        "purpose": {"value": channel.topic, "creator": owner, "last_set": created},
    }


@routes.on("POST", "/api/conversations.list")
@routes.on("GET", "/api/conversations.list")
def list_conversations(call: Call) -> Response:
    arguments = _arguments(call, "channels:read")
    types = (arguments.text("types") or "public_channel").split(",")
    found = [
        one
        for one in call.seed.channels
        if ("private_channel" in types and one.private and is_member(call, one))
        or ("public_channel" in types and not one.private)
    ]
    if arguments.flag("exclude_archived"):
        found = [one for one in found if not one.archived]
    page, cursor = _paged(arguments, found)
    shown = [_channel_json(call, one) for one in page]
    return json_answer({"ok": True, "channels": shown, "response_metadata": {"next_cursor": cursor}})


def _paged(arguments: Arguments, items: list[Any]) -> tuple[list[Any], str]:
    """Return one page and the cursor to the next, empty at the end."""
    size = arguments.whole("limit", PAGE, LARGEST_PAGE)
    text = arguments.text("cursor") or "at:0"
    word, _, number = text.partition(":")
    if word != "at" or not number.isascii() or not number.isdigit():
        raise _api_error("invalid_cursor")
    start = int(number[:9])
    return items[start : start + size], f"at:{start + size}" if start + size < len(items) else ""


@routes.on("POST", "/api/conversations.info")
@routes.on("GET", "/api/conversations.info")
def conversation_info(call: Call) -> Response:
    arguments = _arguments(call, "channels:read")
    return json_answer({"ok": True, "channel": _channel_json(call, find_channel(call, arguments.text("channel")))})


@routes.on("POST", "/api/conversations.join")
def join(call: Call) -> Response:
    arguments = _arguments(call, "channels:join")
    channel = find_channel(call, arguments.text("channel"))
    if channel.archived:
        raise _api_error("is_archived")
    was_in = is_member(call, channel)
    statement = insert(tables.membership).values(channel=channel.id, joined=True)
    call.db.execute(statement.on_conflict_do_update(index_elements=["channel"], set_={"joined": True}))
    answer: dict[str, Any] = {"ok": True, "channel": _channel_json(call, channel)}
    return json_answer(answer | ({"warning": "already_in_channel"} if was_in else {}))


def messages_of(call: Call, channel: Channel) -> list[Any]:
    where = tables.message.c.channel == channel.id
    return list(call.db.execute(select(tables.message).where(where).order_by(tables.message.c.ts)))


def _between(arguments: Arguments, rows: list[Any]) -> list[Any]:
    """Keep the messages between oldest and latest; the limits themselves only where `inclusive`."""
    inclusive = arguments.flag("inclusive")
    for name, keeps_later in (("oldest", True), ("latest", False)):
        text = arguments.text(name)
        if not text or text == "0":
            continue
        try:
            limit = float(text)
        except ValueError as error:
            raise _api_error(f"invalid_ts_{name}") from error
        rows = [
            row
            for row in rows
            if (inclusive and float(row.ts) == limit)
            or (float(row.ts) > limit if keeps_later else float(row.ts) < limit)
        ]
    return rows


@routes.on("POST", "/api/conversations.history")
@routes.on("GET", "/api/conversations.history")
def history(call: Call) -> Response:
    arguments = _arguments(call, "channels:history")
    channel = _readable(call, arguments)
    rows = messages_of(call, channel)
    replies = _reply_counts(rows)
    shown = [row for row in rows if row.thread_ts is None or row.broadcast][::-1]
    page, cursor = _paged(arguments, _between(arguments, shown))
    with_metadata = arguments.flag("include_all_metadata")
    messages = [message_json(call, row, with_metadata=with_metadata) | replies.get(row.ts, {}) for row in page]
    answer = {"ok": True, "messages": messages, "has_more": bool(cursor), "pin_count": 0}
    answer |= {"channel_actions_ts": None, "channel_actions_count": 0}
    return json_answer(answer | ({"response_metadata": {"next_cursor": cursor}} if cursor else {}))


def _readable(call: Call, arguments: Arguments) -> Channel:
    channel = find_channel(call, arguments.text("channel"))
    if not is_member(call, channel):
        raise _api_error("not_in_channel")
    return channel


def _reply_counts(rows: list[Any]) -> dict[str, dict[str, Any]]:
    counts: dict[str, dict[str, Any]] = {}
    for row in rows:
        if row.thread_ts:
            before = counts.get(row.thread_ts, {"reply_count": 0})["reply_count"]
            counts[row.thread_ts] = {
                "thread_ts": row.thread_ts,
                "reply_count": before + 1,
                "latest_reply": row.ts,
                "subscribed": False,
            }
    return counts


@routes.on("POST", "/api/conversations.replies")
@routes.on("GET", "/api/conversations.replies")
def replies(call: Call) -> Response:
    arguments = _arguments(call, "channels:history")
    channel = _readable(call, arguments)
    root = find_message(call, channel, arguments.text("ts"))
    if root is None:
        raise _api_error("thread_not_found")
    root_ts = root.thread_ts or root.ts
    rows = messages_of(call, channel)
    thread = [row for row in rows if root_ts in (row.ts, row.thread_ts)]
    page, cursor = _paged(arguments, _between(arguments, thread))
    with_metadata = arguments.flag("include_all_metadata")
    counts = _reply_counts(rows)
    messages = [message_json(call, row, with_metadata=with_metadata) | counts.get(row.ts, {}) for row in page]
    for message in messages:
        if message["ts"] != root_ts:
            message["parent_user_id"] = root.author
    answer: dict[str, Any] = {"ok": True, "messages": messages, "has_more": bool(cursor)}
    return json_answer(answer | ({"response_metadata": {"next_cursor": cursor}} if cursor else {}))


# ---- files, in the form that replaced files.upload


@routes.on("POST", "/api/files.upload")
def upload_retired(call: Call) -> Response:
    _arguments(call, None)
    raise _api_error("method_deprecated")


@routes.on("POST", "/api/files.getUploadURLExternal")
@routes.on("GET", "/api/files.getUploadURLExternal")
def get_upload_url(call: Call) -> Response:
    arguments = _arguments(call, "files:write")
    name, length = arguments.text("filename"), arguments.text("length") or ""
    if not name or not length.isascii() or not length.isdigit() or not 0 < int(length[:12]) < 10**9:
        messages = ["[ERROR] filename and a positive length are required"]
        raise _api_error("invalid_arguments", response_metadata={"messages": messages})
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
    arguments = _arguments(call, "files:write")
    given = arguments.structure("files", "invalid_arguments")
    if not isinstance(given, list) or not given or not all(isinstance(one, dict) for one in given):
        raise _api_error("invalid_arguments")
    titles = {str(one.get("id")): one.get("title") for one in given}
    rows = files_of(call, list(titles))
    if len(rows) != len(titles) or any(row.content is None or row.complete for row in rows):
        raise _api_error("file_not_found")
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
        raise _api_error("not_in_channel")
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
        raise _api_error("invalid_payload")
    return Arguments(value)


def _plain(text: str, status: int) -> Response:
    return Response(text, status=status, content_type="text/html")
