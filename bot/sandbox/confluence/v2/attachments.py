"""Version 2 of Confluence Cloud's interface: attached files."""

from __future__ import annotations

from typing import Any

from werkzeug.wrappers import Response

from bot.sandbox.confluence.page_rows import Page, find_page
from bot.sandbox.confluence.page_writes import permit
from bot.sandbox.confluence.v2.content import attachment_json, page_or_refuse
from bot.sandbox.confluence.v2.paging import API, paged_answer
from bot.sandbox.web import uploads
from bot.sandbox.web.call import Call, json_answer, row_id
from bot.sandbox.web.site import Routes
from bot.sandbox.web.uploads import attachments_of, find_upload

routes = Routes()


def find_file(call: Call, number: str) -> Any | None:
    """Load an attached file by its id, att10200; None where it is not there, or its page may not be seen."""
    row = find_upload(call, row_id(number.removeprefix("att"))) if number.startswith("att") else None
    return row if row is not None and _page_of(call, row) is not None else None


def _page_of(call: Call, row: Any) -> Page | None:
    return find_page(call, row_id(row.owner))


def remove_file(call: Call, row: Any) -> None:
    uploads.delete_attachment(call, row.id)


def _file(call: Call, number: str) -> Any:
    row = find_file(call, number)
    if row is None:
        raise call.refuse(404, f"Attachment {number[:40]} does not exist, or you may not see it.")
    return row


@routes.on("GET", f"{API}/attachments/<number>")
def get_attachment(call: Call, number: str) -> Response:
    row = _file(call, number)
    page = _page_of(call, row)
    assert page is not None  # find_file has looked
    return json_answer(attachment_json(call, page, row))


@routes.on("DELETE", f"{API}/attachments/<number>")
def delete_attachment(call: Call, number: str) -> Response:
    row = _file(call, number)
    permit(call, "delete")
    remove_file(call, row)
    return Response(status=204)


@routes.on("GET", f"{API}/pages/<number>/attachments")
def get_attachments(call: Call, number: str) -> Response:
    page = page_or_refuse(call, number)
    wanted = call.request.args.get("filename")
    rows = [row for row in attachments_of(call, str(page.id)) if wanted in (None, row.filename)]
    return paged_answer(call, [attachment_json(call, page, row) for row in rows])
