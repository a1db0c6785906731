"""The mail server's table: the letters that it took."""

from __future__ import annotations

from sqlalchemy import JSON, Column, Float, Integer, LargeBinary, MetaData, Table

metadata = MetaData()

letter = Table(
    "letter",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("receivers", JSON, nullable=False),
    Column("content", LargeBinary, nullable=False),  # as it was sent
    Column("at", Float, nullable=False),
)
