"""Trello's tables: the lists, labels and cards of the board, and what happened to a card."""

from __future__ import annotations

from sqlalchemy import JSON, Boolean, Column, Float, Integer, MetaData, String, Table, Text

metadata = MetaData()

board_list = Table(
    "trello_list",
    metadata,
    Column("id", String, primary_key=True),
    Column("name", String, nullable=False),
    Column("closed", Boolean, nullable=False, default=False),
    Column("position", Float, nullable=False),
)

label = Table(
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
