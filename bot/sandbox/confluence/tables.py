"""Confluence's tables: pages, their versions and what hangs on them."""

from __future__ import annotations

from sqlalchemy import JSON, Column, Float, Index, Integer, MetaData, String, Table, Text, UniqueConstraint

metadata = MetaData()

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
