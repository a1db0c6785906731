"""The robots' table: what each was sent, and what it would not take for being too much."""

from __future__ import annotations

from sqlalchemy import JSON, Boolean, Column, Float, Integer, MetaData, String, Table, UniqueConstraint

metadata = MetaData()

post = Table(
    "robot_post",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("service", String, nullable=False),
    Column("place", String, nullable=False),  # the robot of a webhook; the group of an app
    Column("key", String),  # by which a service knows a repetition
    Column("said", JSON, nullable=False),  # the card or text, as it was sent
    Column("at", Float, nullable=False),
    Column("edited", Float),
    Column("taken", Boolean, nullable=False, default=True),
    UniqueConstraint("service", "key"),
)
