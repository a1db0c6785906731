"""Slack: uploading files, in the form that replaced files.upload."""

from __future__ import annotations

from typing import Any

from werkzeug.wrappers import Response

from bot.sandbox.slack import tables
from bot.sandbox.slack.file_rows import file_json, files_of, media_type_of
from bot.sandbox.slack.message_rows import Content, insert_message
from bot.sandbox.slack.messages import thread_of
from bot.sandbox.slack.method_calls import Arguments, api_error, find_channel, is_member, read_arguments
from bot.sandbox.web.call import Call, json_answer
from bot.sandbox.web.database import next_number
from bot.sandbox.web.site import Routes
from bot.sandbox.web.uploads import send_file

routes = Routes()


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
    call.db.execute(tables.file.insert().values(**values))
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
    call.db.execute(tables.file.update().where(tables.file.c.id == identity).values(content=content))
    return Response(f"OK - {len(content)}")


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
        call.db.execute(tables.file.update().where(tables.file.c.id == row.id).values(**values))
    wanted = arguments.text("channel_id") or (arguments.text("channels") or "").split(",")[0]
    if wanted:
        _share(call, arguments, wanted, list(titles))
    return json_answer({"ok": True, "files": [file_json(call, row) for row in files_of(call, list(titles))]})


def _share(call: Call, arguments: Arguments, wanted: str, files: list[str]) -> None:
    channel = find_channel(call, wanted)
    if not is_member(call, channel):
        raise api_error("not_in_channel")
    thread_ts = thread_of(call, channel, arguments)
    content = Content(arguments.text("initial_comment") or "", [], [], None)
    author, username = call.seed.slack_bot_user, call.seed.bot.display_name
    insert_message(call, channel, content, author=author, username=username, thread_ts=thread_ts, files=files)


@routes.on("GET", "/files/<identity>", is_open=True)
def send_slack_file(call: Call, identity: str) -> Response:
    rows = files_of(call, [identity])
    if not rows or not rows[0].complete:
        return Response("not found", status=404)
    return send_file(media_type_of(rows[0].name), rows[0].name, rows[0].content)
