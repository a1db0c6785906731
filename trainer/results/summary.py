"""The page and the tables that people read of a run: every scorer beside every other."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from trainer.measures.bootstrap import Intervals


def comparison(compared: Mapping[str, Mapping[str, float]]) -> list[tuple[str, ...]]:
    """Give the table of scorers and metrics as finished strings, its header first; a scorer may lack a metric."""
    shown = list(dict.fromkeys(metric for values in compared.values() for metric in values))
    rows: list[tuple[str, ...]] = [("scorer", *shown)]
    for name, values in compared.items():
        rows.append((name, *(f"{values[metric]:.4f}" if metric in values else "" for metric in shown)))
    return rows


def interval_row(name: str, compared: Mapping[str, Mapping[str, float]], intervals: "Intervals") -> tuple[str, ...]:
    """Give the row under the scored model: where each metric would lie with other users, or queries, of the kind."""
    shown, whole = comparison(compared)[0][1:], intervals.whole
    cells = (f"{whole[m].low:.4f}-{whole[m].high:.4f}" if m in whole else "" for m in shown)
    return (f"{name}, 95 % by {intervals.unit} ({intervals.clusters})", *cells)


def plural(unit: str) -> str:
    """Give the name of several: queries, users."""
    return f"{unit[:-1]}ies" if unit.endswith("y") else f"{unit}s"


def summary(
    title: str,
    facts: Mapping[str, str],
    compared: Mapping[str, Mapping[str, float]],
    name: str,
    intervals: "Intervals",
) -> str:
    """Give a page of markdown: what was done, and every scorer beside every other."""
    header, *rows = comparison(compared)
    rows.append(interval_row(name, compared, intervals))
    lines = [f"# {title}", "", *(f"- {about}: {value}" for about, value in facts.items() if value), ""]
    return "\n".join([*lines, markdown_table([header, *rows]), ""])


def markdown_table(rows: Sequence[tuple[str, ...]]) -> str:
    """Give rows of cells, the header first, as a table of markdown."""
    header, *others = map(_markdown_row, rows)
    return "\n".join((header, "|" + "---|" * len(rows[0]), *others))


def plain_table(compared: Mapping[str, Mapping[str, float]], name: str, intervals: "Intervals") -> str:
    """Give every scorer beside every other, for a terminal."""
    rows = [*comparison(compared), interval_row(name, compared, intervals)]
    return align(rows)


def align(rows: Sequence[tuple[str, ...]]) -> str:
    """Give rows of cells as lines, columns below one another."""
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines = ("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) for row in rows)
    return "\n".join(line.rstrip() for line in lines)


def _markdown_row(cells: tuple[str, ...]) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"
