"""The one SQLite file behind the stand-in, and the lock that makes every request one transaction."""

from __future__ import annotations

import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from sqlalchemy import (
    JSON,
    Boolean,
    Column,
    Connection,
    Float,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
    create_engine,
    event,
    select,
)
from sqlalchemy.dialects.sqlite import insert
from sqlalchemy.pool import StaticPool

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

metadata = MetaData()

counter = Table("counter", metadata, Column("name", String, primary_key=True), Column("value", Integer, nullable=False))

# What search sees: each write adds a dated copy, so that a lagging search answers from an older one.
indexed = Table(
    "indexed",
    metadata,
    Column("n", Integer, primary_key=True),
    Column("service", String, nullable=False),
    Column("object", String, nullable=False),
    Column("at", Float, nullable=False),  # seconds since the epoch
    Column("document", JSON),  # null: deleted
    Index("indexed_object", "service", "object", "at"),
)

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

issue = Table(
    "issue",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("service", String, nullable=False),
    Column("project", String, nullable=False),
    Column("key", String, nullable=False),
    Column("fields", JSON, nullable=False),
    Column("created", Float, nullable=False),
    Column("updated", Float, nullable=False),
    UniqueConstraint("service", "key"),
)

issue_comment = Table(
    "issue_comment",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("issue", Integer, nullable=False, index=True),
    Column("author", String, nullable=False),
    Column("editor", String, nullable=False),
    Column("body", Text, nullable=False),
    Column("properties", JSON, nullable=False),  # key -> value
    Column("visibility", JSON),
    Column("created", Float, nullable=False),
    Column("updated", Float, nullable=False),
)

issue_property = Table(
    "issue_property",
    metadata,
    Column("issue", Integer, primary_key=True),
    Column("key", String, primary_key=True),
    Column("value", JSON, nullable=False),
)

version = Table(
    "version",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("service", String, nullable=False),
    Column("project", String, nullable=False),
    Column("name", String, nullable=False),
    Column("description", Text, nullable=False),
    Column("archived", Boolean, nullable=False, default=False),
    Column("released", Boolean, nullable=False, default=False),
    Column("release_date", String),
    UniqueConstraint("service", "project", "name"),
)

remote_link = Table(
    "remote_link",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("issue", Integer, nullable=False, index=True),
    Column("global_id", String),
    Column("document", JSON, nullable=False),
)

issue_link = Table(
    "issue_link",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("type", String, nullable=False),
    Column("inward", Integer, nullable=False, index=True),
    Column("outward", Integer, nullable=False, index=True),
)

watcher = Table(
    "watcher",
    metadata,
    Column("issue", Integer, primary_key=True),
    Column("account", String, primary_key=True),
)

activity = Table(
    "activity",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("issue", Integer, nullable=False, index=True),
    Column("author", String, nullable=False),
    Column("at", Float, nullable=False),
    Column("items", JSON, nullable=False),  # [{field, from, to}]
)

page = Table(
    "page",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("service", String, nullable=False),
    Column("space", String, nullable=False),  # space id
    Column("parent", Integer),
    Column("title", String, nullable=False),
    Column("status", String, nullable=False),
    Column("body", Text, nullable=False),  # normalised storage format
    Column("version", Integer, nullable=False),
    Column("message", Text, nullable=False, default=""),
    Column("author", String, nullable=False),
    Column("editor", String, nullable=False),
    Column("created", Float, nullable=False),
    Column("updated", Float, nullable=False),
    Index("page_title", "service", "space", "title"),
)

page_version = Table(
    "page_version",
    metadata,
    Column("page", Integer, primary_key=True),
    Column("number", Integer, primary_key=True),
    Column("title", String, nullable=False),
    Column("body", Text, nullable=False),
    Column("message", Text, nullable=False),
    Column("editor", String, nullable=False),
    Column("at", Float, nullable=False),
)

page_label = Table(
    "page_label",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("page", Integer, nullable=False),
    Column("prefix", String, nullable=False),
    Column("name", String, nullable=False),
    UniqueConstraint("page", "prefix", "name"),
)

page_property = Table(
    "page_property",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("page", Integer, nullable=False),
    Column("key", String, nullable=False),
    Column("value", JSON, nullable=False),
    Column("version", Integer, nullable=False),
    Column("at", Float, nullable=False),
    UniqueConstraint("page", "key"),
)

page_comment = Table(
    "page_comment",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("page", Integer, nullable=False, index=True),
    Column("body", Text, nullable=False),
    Column("author", String, nullable=False),
    Column("created", Float, nullable=False),
)

page_comment_version = Table(
    "page_comment_version",
    metadata,
    Column("comment", Integer, primary_key=True),
    Column("number", Integer, nullable=False),  # of a comment that was never changed, none is kept: it is 1
)

membership = Table(
    "membership",
    metadata,
    Column("channel", String, primary_key=True),
    Column("joined", Boolean, nullable=False),
)

message = Table(
    "message",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("channel", String, nullable=False),
    Column("ts", String, nullable=False),
    Column("thread_ts", String),
    Column("author", String, nullable=False),  # a Slack user id, or a bot id for an incoming webhook
    Column("username", String, nullable=False),
    Column("broadcast", Boolean, nullable=False, default=False),
    Column("text", Text, nullable=False),
    Column("blocks", JSON, nullable=False),
    Column("attachments", JSON, nullable=False),
    Column("metadata", JSON),
    Column("files", JSON, nullable=False),  # ids of uploaded files
    Column("edited", Float),
    UniqueConstraint("channel", "ts"),
)

reaction = Table(
    "reaction",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("message", Integer, nullable=False, index=True),
    Column("name", String, nullable=False),  # of the emoji
    Column("account", String, nullable=False),  # a Slack user id
    UniqueConstraint("message", "name", "account"),
)

slack_file = Table(
    "slack_file",
    metadata,
    Column("id", String, primary_key=True),
    Column("name", String, nullable=False),
    Column("title", String, nullable=False),
    Column("alt_text", Text, nullable=False),
    Column("length", Integer, nullable=False),
    Column("content", LargeBinary),  # null until the bytes arrive
    Column("created", Float, nullable=False),
    Column("complete", Boolean, nullable=False, default=False),
)

trello_list = Table(
    "trello_list",
    metadata,
    Column("id", String, primary_key=True),
    Column("name", String, nullable=False),
    Column("closed", Boolean, nullable=False, default=False),
    Column("position", Float, nullable=False),
)

trello_label = Table(
    "trello_label",
    metadata,
    Column("id", String, primary_key=True),
    Column("name", String, nullable=False),
    Column("color", String),
)

card = Table(
    "card",
    metadata,
    Column("id", String, primary_key=True),
    Column("number", Integer, nullable=False),
    Column("short_link", String, nullable=False, unique=True),
    Column("list", String, nullable=False),
    Column("name", Text, nullable=False),
    Column("description", Text, nullable=False),
    Column("position", Float, nullable=False),
    Column("due", String),
    Column("due_complete", Boolean, nullable=False, default=False),
    Column("closed", Boolean, nullable=False, default=False),
    Column("labels", JSON, nullable=False),
    Column("members", JSON, nullable=False),
    Column("cover", String),  # id of the attachment shown as the card's cover
    Column("created", Float, nullable=False),
    Column("updated", Float, nullable=False),
)

card_action = Table(
    "card_action",
    metadata,
    Column("id", String, primary_key=True),
    Column("card", String, nullable=False, index=True),
    Column("type", String, nullable=False),
    Column("author", String, nullable=False),
    Column("data", JSON, nullable=False),
    Column("at", Float, nullable=False),
    Column("edited", Float),
)

INDEX_COPIES_KEPT = 30  # per object; more than any test writes within one lag


class Store:
    """The database, one transaction at a time."""

    def __init__(self, path: Path | None) -> None:
        url = "sqlite://" if path is None else f"sqlite:///{path}"
        self._engine = create_engine(url, poolclass=StaticPool, connect_args={"check_same_thread": False})
        self._lock = threading.RLock()
        event.listen(self._engine, "connect", _durable_and_quick)
        metadata.create_all(self._engine)

    @contextmanager
    def transaction(self) -> Iterator[Connection]:
        with self._lock, self._engine.begin() as connection:
            yield connection

    def close(self) -> None:
        self._engine.dispose()


def _durable_and_quick(connection: Any, _record: object) -> None:
    cursor = connection.cursor()
    cursor.execute("PRAGMA journal_mode = WAL")
    cursor.execute("PRAGMA synchronous = NORMAL")
    cursor.close()


def next_number(db: Connection, name: str, first: int) -> int:
    """Give out *first*, then one more each time."""
    statement = insert(counter).values(name=name, value=first)
    statement = statement.on_conflict_do_update(index_elements=["name"], set_={"value": counter.c.value + 1})
    db.execute(statement)
    value = db.execute(select(counter.c.value).where(counter.c.name == name)).scalar_one()
    return int(value)


def index_document(db: Connection, service: str, key: str, at: float, document: dict[str, Any] | None) -> None:
    """Show *document* to searches once their lag has passed (None: it is gone)."""
    db.execute(indexed.insert().values(service=service, object=key, at=at, document=document))
    mine = (indexed.c.service == service) & (indexed.c.object == key)
    kept = select(indexed.c.n).where(mine).order_by(indexed.c.n.desc()).limit(INDEX_COPIES_KEPT)
    db.execute(indexed.delete().where(mine & indexed.c.n.not_in(kept)))


def visible_documents(db: Connection, service: str, until: float) -> dict[str, dict[str, Any]]:
    """Return each object's latest copy that is not younger than *until*."""
    rows = db.execute(
        select(indexed.c.object, indexed.c.document)
        .where((indexed.c.service == service) & (indexed.c.at <= until))
        .order_by(indexed.c.n)
    )
    latest = {row.object: row.document for row in rows}
    return {key: document for key, document in latest.items() if document is not None}
