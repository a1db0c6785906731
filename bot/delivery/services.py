"""The services that config names, by the names that it gives them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from bot.domain.rate_limits import Allowance
from bot.ports import Chat, Right, Tracker, Wiki


@dataclass(frozen=True, slots=True)
class Services:
    """The services that config names."""

    trackers: Mapping[str, Tracker]
    wikis: Mapping[str, Wiki]
    chats: Mapping[str, Chat]

    def allowance(self, name: str) -> Allowance | None:
        """Return what the service of that name says it will still take."""
        service = self._named(name)
        return None if service is None else service.allowance

    def confirm_access(self, name: str, right: Right) -> None:
        """Ask the service of that name, where config still has it, whether our account may do that."""
        service = self._named(name)
        if service is not None:
            service.confirm_access(right)

    def _named(self, name: str) -> Tracker | Wiki | Chat | None:
        return self.trackers.get(name) or self.wikis.get(name) or self.chats.get(name)
