"""The addresses of what Cloud and Data Center both have."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bot.sandbox.web.site import Handler, Routes

if TYPE_CHECKING:
    from collections.abc import Callable


class DeploymentRoutes:
    """Two tables of addresses: Cloud's, whose paths begin with /wiki, and Data Center's."""

    def __init__(self) -> None:
        self.cloud = Routes()
        self.datacenter = Routes()

    def both(self, method: str, path: str) -> Callable[[Handler], Handler]:
        """Register a handler at Cloud's address and at Data Center's."""

        def register(handler: Handler) -> Handler:
            self.cloud.on(method, f"/wiki{path}")(handler)
            self.datacenter.on(method, path)(handler)
            return handler

        return register
