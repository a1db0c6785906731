"""Slack's tables: messages, reactions, files, and which channels the bot is in."""

from __future__ import annotations

from sqlalchemy import (
    JSON,
    Boolean,
    Column,
    Float,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
)

metadata = MetaData()

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

file = Table(
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
