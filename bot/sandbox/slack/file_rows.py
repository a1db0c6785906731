"""Uploaded files as rows, and the JSON of one."""

from __future__ import annotations

import mimetypes
from typing import TYPE_CHECKING, Any

from sqlalchemy import select

from bot.sandbox.slack import tables

if TYPE_CHECKING:
    from bot.sandbox.web.call import Call


def files_of(call: Call, ids: list[str]) -> list[Any]:
    rows = call.db.execute(select(tables.file).where(tables.file.c.id.in_(ids)))
    return sorted(rows, key=lambda row: ids.index(row.id))


def file_path(row: Any) -> str:
    return f"/files/{row.id}"


def file_json(call: Call, row: Any) -> dict[str, Any]:
    link = call.base + file_path(row)
    answer = {"id": row.id, "name": row.name, "title": row.title, "size": row.length, "created": int(row.created)}
    return answer | {
        "mimetype": media_type_of(row.name),
        "permalink": link,
        "url_private": link,
        "alt_txt": row.alt_text,
    }


def media_type_of(name: str) -> str:
    return mimetypes.guess_type(name)[0] or "application/octet-stream"
