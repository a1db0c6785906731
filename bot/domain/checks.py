"""What the doctor says of one thing it looked at."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Check:
    """One line: what was looked at, how it is, and what to do where it is not right."""

    name: str
    ok: bool
    said: str
    remedy: str = ""

    @property
    def is_note(self) -> bool:
        """Say whether it works as it is, and yet there is something to do or to know: that is not all well."""
        return self.ok and bool(self.remedy)
