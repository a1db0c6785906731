"""How a pipeline stands, in three words."""

from __future__ import annotations

from enum import StrEnum


class Health(StrEnum):
    """The worst first."""

    OFF_TRACK = "off_track"  # something stands that waits for somebody
    AT_RISK = "at_risk"  # something may come of it, or is quiet by somebody's word
    AS_PLANNED = "as_planned"

    @property
    def place(self) -> int:
        """Order them, the worst first."""
        return list(Health).index(self)
