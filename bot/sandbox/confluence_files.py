"""Confluence: one attached file by its own id."""

from __future__ import annotations

from typing import Any

from werkzeug.wrappers import Response

from bot.sandbox import tables
from bot.sandbox.confluence_store import Page, find_page
from bot.sandbox.confluence_v2 import API, attachment_json
from bot.sandbox.confluence_writing import permit
from bot.sandbox.uploads import find_upload
from bot.sandbox.web import Call, Routes, json_answer, row_id

cloud = Routes()


def find_file(call: Call, number: str) -> Any | None:
    """Load an attached file by its id, att10200; None where it is not there, or its page may not be seen."""
    row = find_upload(call, row_id(number.removeprefix("att"))) if number.startswith("att") else None
    return row if row is not None and _page_of(call, row) is not None else None


def _page_of(call: Call, row: Any) -> Page | None:
    return find_page(call, row_id(row.owner))


def remove_file(call: Call, row: Any) -> None:
    call.db.execute(tables.attachment.delete().where(tables.attachment.c.id == row.id))


def _file(call: Call, number: str) -> Any:
    row = find_file(call, number)
    if row is None:
        raise call.refuse(404, f"Attachment {number[:40]} does not exist, or you may not see it.")
    return row


@cloud.on("GET", f"{API}/attachments/<number>")
def get_attachment(call: Call, number: str) -> Response:
    row = _file(call, number)
    page = _page_of(call, row)
    assert page is not None  # find_file has looked
    return json_answer(attachment_json(call, page, row))


@cloud.on("DELETE", f"{API}/attachments/<number>")
def delete_attachment(call: Call, number: str) -> Response:
    row = _file(call, number)
    permit(call, "delete")
    remove_file(call, row)
    return Response(status=204)
