"""Jira's tables: tickets and what hangs on them."""

from __future__ import annotations

from sqlalchemy import JSON, Boolean, Column, Float, Integer, MetaData, String, Table, Text, UniqueConstraint

metadata = MetaData()

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
