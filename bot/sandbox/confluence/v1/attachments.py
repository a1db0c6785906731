"""Confluence's older interface: attached files."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from bot.sandbox.confluence.deployments import DeploymentRoutes
from bot.sandbox.confluence.page_writes import permit
from bot.sandbox.confluence.v1.content import LARGEST_PAGE, attachment_json, listed, page_or_refuse
from bot.sandbox.web.call import Call, json_answer
from bot.sandbox.web.uploads import (
    Upload,
    attachments_of,
    change_attachment,
    find_newest,
    read_upload,
    send_file,
    store_upload,
)

if TYPE_CHECKING:
    from werkzeug.wrappers import Response

    from bot.sandbox.confluence.page_rows import Page

routes = DeploymentRoutes()


def _checked_parts(call: Call) -> tuple[list[Upload], str]:
    token = call.request.headers.get("X-Atlassian-Token", "").lower()
    if token not in (("no-check", "nocheck") if call.service.is_cloud else ("no-check",)):
        raise call.refuse(403, "XSRF check failed")
    permit(call, "attach")
    parts = [read_upload(one) for one in call.request.files.getlist("file")]
    if not parts:
        raise call.refuse(400, "No file was uploaded: the part of a multipart body must be named 'file'.")
    return parts, call.request.form.get("comment", "")


@routes.both("POST", "/rest/api/content/<number>/child/attachment")
def create_attachment(call: Call, number: str) -> Response:
    uploads, comment = _checked_parts(call)
    page = page_or_refuse(call, number)
    known = {row.filename for row in attachments_of(call, str(page.id))}
    doubled = next((one.filename for one in uploads if one.filename in known), None)
    may_double = not call.service.is_cloud and call.flag("allowDuplicated")
    if doubled and not may_double:
        text = f"Cannot add a new attachment with same file name as an existing attachment: {doubled}"
        raise call.refuse(400, text)
    numbers = {store_upload(call, str(page.id), one, comment) for one in uploads}
    return _attachments_answer(call, page, numbers)


@routes.cloud.on("PUT", "/wiki/rest/api/content/<number>/child/attachment")
def create_or_update_attachment(call: Call, number: str) -> Response:
    uploads, comment = _checked_parts(call)
    page = page_or_refuse(call, number)
    known = {row.filename: row for row in attachments_of(call, str(page.id))}
    numbers = set()
    for one in uploads:
        if one.filename in known:
            _new_version(call, known[one.filename], one, comment)
            numbers.add(known[one.filename].id)
        else:
            numbers.add(store_upload(call, str(page.id), one, comment))
    return _attachments_answer(call, page, numbers)


@routes.both("POST", "/rest/api/content/<number>/child/attachment/<attachment>/data")
def update_attachment(call: Call, number: str, attachment: str) -> Response:
    uploads, comment = _checked_parts(call)
    page = page_or_refuse(call, number)
    wanted = attachment.removeprefix("att")
    row = next((one for one in attachments_of(call, str(page.id)) if str(one.id) == wanted), None)
    if row is None:
        raise call.refuse(404, f"The page {number} has no attachment {attachment[:40]}.")
    _new_version(call, row, uploads[0], comment)
    row = next(one for one in attachments_of(call, str(page.id)) if one.id == row.id)
    return json_answer(attachment_json(call, page, row))


def _new_version(call: Call, row: Any, upload: Upload, comment: str) -> None:
    values = {"content": upload.content, "size": len(upload.content), "media_type": upload.media_type}
    values |= {"version": row.version + 1, "comment": comment, "author": call.caller.account_id, "created": call.now}
    change_attachment(call, row.id, **values)


def _attachments_answer(call: Call, page: Page, numbers: set[int]) -> Response:
    rows = [row for row in attachments_of(call, str(page.id)) if row.id in numbers]
    return json_answer(listed(call, [attachment_json(call, page, row) for row in rows], limit=50))


@routes.datacenter.on("GET", "/rest/api/content/<number>/child/attachment")
def list_attachments(call: Call, number: str) -> Response:
    page = page_or_refuse(call, number)
    wanted = call.request.args.get("filename")
    rows = [row for row in attachments_of(call, str(page.id)) if wanted in (None, row.filename)]
    start, limit = call.number("start", 0), call.number("limit", 50, low=1, high=LARGEST_PAGE)
    shown = [attachment_json(call, page, row) for row in rows[start : start + limit]]
    return json_answer(listed(call, shown, start=start, limit=limit, total=len(rows)))


def send_attachment(call: Call, number: str, filename: str) -> Response:
    page = page_or_refuse(call, number)
    row = find_newest(call, str(page.id), filename)
    if row is None:
        raise call.refuse(404, f"The page {number} has no attachment '{filename[:60]}'.")
    return send_file(row.media_type, row.filename, row.content)


routes.cloud.on("GET", "/wiki/download/attachments/<number>/<path:filename>", is_open=True)(send_attachment)
routes.datacenter.on("GET", "/download/attachments/<number>/<path:filename>", is_open=True)(send_attachment)
