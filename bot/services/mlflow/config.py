"""The section of MLflow in the configuration."""

from __future__ import annotations

from bot.sections import Section


class MlflowSection(Section):
    tracking_uri: str = "http://127.0.0.1:5000"
    ui_url: str | None = None  # where people open MLflow; defaults to tracking_uri where that is http(s)

    @property
    def page_base(self) -> str | None:
        base = self.ui_url or self.tracking_uri
        return base.rstrip("/") if base.startswith(("http://", "https://")) else None
