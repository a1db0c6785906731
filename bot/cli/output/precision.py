"""What `herald precision` prints."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from rich.markup import escape

from bot.cli.output.terminal import print_json
from bot.text.tables import Stacking, WholeConsole

if TYPE_CHECKING:  # what is printed is made elsewhere, by what is slow to load
    from bot.domain.precision import Tally


def print_precision(found: Sequence[Tally], floors: Mapping[str, float | None], *, as_json: bool) -> None:
    """Print a row a metric of which people were told, the one that was right least often first."""
    if as_json:
        print_json({"metrics": [_as_json(each, floors) for each in found]})
        return
    console = WholeConsole()
    if not found:
        console.print("There was no ticket about a metric yet.")
        return
    table = Stacking("pipeline", "metric", "fixed", "noise", "expected", "not said", "right", "95 % interval")
    for each in found:
        counts = (each.fixed, each.noise, each.expected, each.others)
        mark = " [yellow](below its floor)[/]" if _is_low(each, floors) else ""
        right = "" if each.precision is None else f"{each.precision:.0%}{mark}"
        table.add_row(escape(each.pipeline), escape(each.metric), *map(str, counts), right, _shown(each.interval))
    table.print(console)


def _as_json(each: Tally, floors: Mapping[str, float | None]) -> dict[str, Any]:
    share = {"precision": each.precision, "interval": each.interval, "below_floor": _is_low(each, floors)}
    return asdict(each) | share


def _is_low(each: Tally, floors: Mapping[str, float | None]) -> bool:
    floor = floors.get(each.pipeline)
    return floor is not None and each.is_surely_below(floor)


def _shown(interval: tuple[float, float] | None) -> str:
    return "" if interval is None else f"{interval[0]:.0%} to {interval[1]:.0%}"
