"""The table of effects in decision 6, drawn from their traits; `python -m bot.delivery.effect_table` renews it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from types import NoneType

from bot.domain.effects import EFFECTS, Effect

PAGE = Path("docs/decisions/006-doubtful-ends.md")
_BEGIN, _END = "<!-- effects: begin -->\n", "<!-- effects: end -->\n"
_COLUMNS = ("effect", "shows", "lane", "creates", "names others", "kept true", "after a doubtful end looked for by")


def draw() -> str:
    """Return the table in Markdown, a row an effect."""
    rows = (_COLUMNS, ["---"] * len(_COLUMNS), *(tuple(_row(each)) for each in EFFECTS))
    return "".join(f"| {' | '.join(cells)} |\n" for cells in rows)


def _row(effect: type[Effect]) -> Iterator[str]:
    traits = effect.traits
    yield f"`{effect.kind}`"
    yield "nothing" if traits.view is NoneType else f"`{traits.view.__name__}`"
    yield "its own" if traits.is_aside else "its object's"
    yield "yes" if traits.creates else "no"
    yield "yes" if traits.names_others else "no"
    yield "yes" if traits.is_kept_true else "no"
    yield traits.doubt.value


def renewed(page: str) -> str:
    """Return the page with the table as it is now between its two marks."""
    before, rest = page.split(_BEGIN)
    _, after = rest.split(_END)
    return f"{before}{_BEGIN}{draw()}{_END}{after}"


if __name__ == "__main__":
    PAGE.write_text(renewed(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
