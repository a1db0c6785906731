"""How often and how long, as people plan with it."""

from __future__ import annotations

from datetime import timedelta

_ABOUT_ONE = 0.95  # is told as one
_WHOLE_FROM = 10  # on, tenths say nothing


def how_often(a_day: float) -> str:
    """Say how many runs there are: where less than one comes a day by the week, or by four weeks."""
    spans = (("a day", 1), ("a week", 7), ("in four weeks", 28))
    span, count = next(
        ((span, a_day * days) for span, days in spans if a_day * days >= _ABOUT_ONE), (spans[-1][0], 1.0)
    )
    number = f"{count:,.0f}" if count >= _WHOLE_FROM else f"{count:.1f}".removesuffix(".0")
    return f"{number} run{'' if number == '1' else 's'} {span}"


def in_round(gap: timedelta) -> str:
    """Write a length of time."""
    for unit, days in (("years", 365.25), ("months", 30.44), ("weeks", 7.0)):
        if gap.days >= 2 * days:
            return f"{gap.days / days:.0f} {unit}"
    for unit, length in (("days", timedelta(days=1)), ("hours", timedelta(hours=1))):
        if gap >= 2 * length:
            return f"{gap / length:.0f} {unit}"
    return f"{max(gap / timedelta(minutes=1), 2):.0f} minutes"
