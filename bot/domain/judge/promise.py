"""How often a healthy pipeline gets a ticket all the same, in words that a team can plan with."""

from __future__ import annotations

from datetime import timedelta

from bot.domain.policy import Preset

# Of 1,000 healthy runs of a metric, over kinds of noise, with no smallest effect: docs/judge.md.
FALSE_TICKETS = {Preset.QUIET: 2.1, Preset.SENSITIVE: 3.4}
LONGEST = timedelta(days=3650)


def between_false_tickets(preset: Preset, runs_a_day: float) -> timedelta:
    """Return the mean time between two false tickets, or ten years where it is longer."""
    if runs_a_day <= 0:
        return LONGEST
    return min(LONGEST, timedelta(days=1000 / FALSE_TICKETS[preset] / runs_a_day))
