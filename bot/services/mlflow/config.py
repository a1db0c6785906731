"""The section of MLflow in the configuration."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from bot.runtime.shown_addresses import as_base
from bot.sections import Section, Size


class TablesSection(Section):
    """Bounds within which per-example tables are read."""

    largest: Annotated[Size, Field(ge=1000, le=2_000_000_000)] = 256_000_000  # bytes of one file
    kept: Annotated[Size, Field(ge=0)] = 512_000_000  # bytes of memory that those may take which are not read again


class MlflowSection(Section):
    tracking_uri: str = "http://127.0.0.1:5000"
    ui_url: str | None = None  # where people open MLflow; defaults to tracking_uri where that is http(s)

    tables: TablesSection = TablesSection()

    @property
    def page_base(self) -> str | None:
        base = self.ui_url or self.tracking_uri
        return as_base(base) if base.startswith(("http://", "https://")) else None
