"""The section of a Confluence space in the configuration."""

from __future__ import annotations

from typing import Literal

from bot.sections import Secret, ServiceSection


class ConfluenceSection(ServiceSection):
    kind: Literal["confluence"] = "confluence"
    deployment: Literal["cloud", "datacenter"] = "cloud"
    email: str | None = None
    token: Secret
    space: str
    parent: str | None = None  # title of the page under which ours are made

    @property
    def api(self) -> str:
        """A Cloud site has its wiki beside its tracker."""
        is_below = self.deployment == "cloud" and not self.base.endswith("/wiki")
        return f"{self.base}/wiki" if is_below else self.base
