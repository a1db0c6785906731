"""Says that there is no experiment of a name, and which one has a name like it."""

from __future__ import annotations

from difflib import get_close_matches

from bot.ports import RunStore

_NAMES_SHOWN = 5


def say_nothing_there(wanted: str, store: RunStore) -> str:
    """Say that there is no experiment for a pipeline to look at, and which one has a name like it."""
    there = sorted(each.name for each in store.experiments(("*",)))
    near = get_close_matches(wanted, there, n=1)
    more = f" and {len(there) - _NAMES_SHOWN} more" if len(there) > _NAMES_SHOWN else ""
    has = f"; it has {', '.join(there[:_NAMES_SHOWN])}{more}" if there else "; it has none that Herald may see"
    return f"MLflow has no experiment named {wanted}{f'; did you mean {near[0]}?' if near else has + '.'}"
