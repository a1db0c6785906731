"""Jira: files attached to tickets."""

from __future__ import annotations

from typing import Any

from werkzeug.wrappers import Response

from bot.sandbox.jira.issue_json import attachment_json
from bot.sandbox.jira.issue_rows import note_activity
from bot.sandbox.jira.refusals import issue_or_refuse, permit
from bot.sandbox.web import uploads
from bot.sandbox.web.call import Call, json_answer, row_id
from bot.sandbox.web.site import Routes
from bot.sandbox.web.uploads import attachments_of, find_upload, read_upload, send_file, store_upload

routes = Routes()


@routes.on("POST", "/rest/api/2/issue/<key>/attachments")
def attach(call: Call, key: str) -> Response:
    if call.request.headers.get("X-Atlassian-Token", "").lower() not in ("no-check", "nocheck"):
        raise call.refuse(403, "XSRF check failed")
    if not call.service.is_cloud and call.request.headers["X-Atlassian-Token"].lower() == "nocheck":
        raise call.refuse(403, "XSRF check failed")
    issue = issue_or_refuse(call, key)
    rules = call.rulebook.jira(call.service)
    permit(call, "CREATE_ATTACHMENTS")
    if not rules.attachments_enabled:
        raise call.refuse(404 if call.service.is_cloud else 403, "Attachments are disabled.")
    parts = call.request.files.getlist("file")
    if not parts:
        raise call.refuse(400, "No file was uploaded: the part of a multipart body must be named 'file'.")
    uploads = [read_upload(one) for one in parts]
    if any(len(one.content) > rules.attachment_limit for one in uploads):
        raise call.refuse(413, f"A file is larger than the limit of {rules.attachment_limit} bytes.")
    numbers = {store_upload(call, str(issue.id), one) for one in uploads}
    for one in uploads:
        note_activity(call, issue, "Attachment", one.filename)
    rows = [row for row in attachments_of(call, str(issue.id)) if row.id in numbers]
    return json_answer([attachment_json(call, row) for row in rows])


@routes.on("GET", "/rest/api/2/attachment/meta")
def attachment_meta(call: Call) -> Response:
    rules = call.rulebook.jira(call.service)
    return json_answer({"enabled": rules.attachments_enabled, "uploadLimit": rules.attachment_limit})


def _attachment(call: Call, number: str) -> Any:
    row = find_upload(call, row_id(number))
    if row is None:
        raise call.refuse(404, f"The attachment with id '{number}' does not exist")
    issue_or_refuse(call, row.owner)
    return row


@routes.on("GET", "/rest/api/2/attachment/<number>")
def get_attachment(call: Call, number: str) -> Response:
    return json_answer(attachment_json(call, _attachment(call, number)))


@routes.on("DELETE", "/rest/api/2/attachment/<number>")
def delete_attachment(call: Call, number: str) -> Response:
    row = _attachment(call, number)
    uploads.delete_attachment(call, row.id)
    return Response(status=204)


@routes.on("GET", "/rest/api/2/attachment/content/<number>")
def attachment_content(call: Call, number: str) -> Response:
    row = _attachment(call, number)
    return send_file(row.media_type, row.filename, row.content)


@routes.on("GET", "/secure/attachment/<number>/<path:name>", is_open=True)
def attachment_for_a_reader(call: Call, number: str, name: str) -> Response:  # noqa: ARG001 - the name only reads well
    row = _attachment(call, number)
    return send_file(row.media_type, row.filename, row.content)
