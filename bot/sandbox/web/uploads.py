"""Files that clients attach: storing them, listing them, and handing them back without risk."""

from __future__ import annotations

import mimetypes
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sqlalchemy import Column, Float, Index, Integer, LargeBinary, MetaData, String, Table, Text, select
from werkzeug.wrappers import Response

from bot.sandbox.web.database import next_number

if TYPE_CHECKING:
    from werkzeug.datastructures import FileStorage

    from bot.sandbox.web.call import Call

metadata = MetaData()


attachment = Table(
    "attachment",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("service", String, nullable=False),
    Column("owner", String, nullable=False),
    Column("filename", String, nullable=False),
    Column("media_type", String, nullable=False),
    Column("size", Integer, nullable=False),
    Column("content", LargeBinary, nullable=False),
    Column("author", String, nullable=False),
    Column("created", Float, nullable=False),
    Column("version", Integer, nullable=False, default=1),
    Column("comment", Text, nullable=False, default=""),
    Column("url", Text, nullable=False, default=""),  # Trello: an attached link has no content
    Index("attachment_owner", "service", "owner"),
)

SHOWN_INLINE = frozenset({"image/png", "image/jpeg", "image/gif", "image/webp"})


@dataclass(frozen=True, slots=True)
class Upload:
    filename: str
    media_type: str
    content: bytes


def read_upload(part: FileStorage) -> Upload:
    """Take one part of a multipart body; the path that some clients put before the name is dropped."""
    name = (part.filename or "").replace("\\", "/").rsplit("/", 1)[-1].strip() or "file"
    media_type = part.mimetype
    if not media_type or media_type == "application/octet-stream":
        media_type = mimetypes.guess_type(name)[0] or "application/octet-stream"
    return Upload(name, media_type, part.read())


def store_upload(call: Call, owner: str, upload: Upload, comment: str = "", *, url: str = "") -> int:
    """Keep an upload, or a link to *url* that has no content; return its number."""
    number = next_number(call.db, "attachment", 10_200)
    call.db.execute(
        attachment.insert().values(
            id=number,
            service=call.service,
            owner=owner,
            filename=upload.filename,
            media_type=upload.media_type,
            size=len(upload.content),
            content=upload.content,
            author=call.caller.account_id,
            created=call.now,
            version=1,
            comment=comment,
            url=url,
        )
    )
    return number


def attachments_of(call: Call, owner: str) -> list[Any]:
    columns = [one for one in attachment.c if one.name != "content"]
    where = (attachment.c.service == call.service) & (attachment.c.owner == owner)
    return list(call.db.execute(select(*columns).where(where).order_by(attachment.c.id)))


def find_newest(call: Call, owner: str, filename: str) -> Any | None:
    """Load the file of that name, and with its content: of several the one attached last."""
    rows = [row for row in attachments_of(call, owner) if row.filename == filename]
    return find_upload(call, rows[-1].id) if rows else None


def find_upload(call: Call, number: int | None) -> Any | None:
    where = (attachment.c.service == call.service) & (attachment.c.id == (number or 0))
    return call.db.execute(select(attachment).where(where)).first()


def change_attachment(call: Call, number: int, **values: Any) -> None:
    call.db.execute(attachment.update().where(attachment.c.id == number).values(**values))


def delete_attachment(call: Call, number: int) -> None:
    call.db.execute(attachment.delete().where(attachment.c.id == number))


def delete_attachments_of(call: Call, owner: str) -> None:
    call.db.execute(attachment.delete().where((attachment.c.service == call.service) & (attachment.c.owner == owner)))


def send_file(media_type: str, filename: str, content: bytes) -> Response:
    """Hand back bytes that somebody uploaded: pictures are shown, everything else is downloaded."""
    shown = media_type in SHOWN_INLINE
    answer = Response(content, content_type=media_type if shown else "application/octet-stream")
    plain = filename.encode("ascii", "replace").decode().translate(str.maketrans('"\\\r\n', "____"))
    answer.headers["Content-Disposition"] = f'{"inline" if shown else "attachment"}; filename="{plain}"'
    answer.headers["X-Content-Type-Options"] = "nosniff"
    answer.headers["Content-Security-Policy"] = "default-src 'none'; sandbox"
    return answer
