"""What the doctor says of one thing it looked at."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Check:
    """One line: what was looked at, how it is, and what to do where it is not right."""

    name: str
    ok: bool
    said: str
    remedy: str = ""


@dataclass(frozen=True, slots=True)
class TicketWants:
    """What the pipelines of a tracker set on its tickets."""

    labels: tuple[str, ...] = ()
    priorities: tuple[str, ...] = ()
    components: tuple[str, ...] = ()
    assignees: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Examined:
    """Everything that was looked at in one place, `tracker.jira`."""

    place: str
    checks: tuple[Check, ...] = field(default=())
