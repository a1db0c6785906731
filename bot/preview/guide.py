"""The part of `templates/README.md` that says what each view holds, written from the views themselves.

`python -m bot.preview.guide templates/README.md` writes it anew.
"""

from __future__ import annotations

import ast
import inspect
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

from bot.domain import views

BEGIN, END = "<!-- views: written by make reference -->", "<!-- end of views -->"


def rewrite(guide: str) -> str:
    """Return the guide with its part about views as they are now; raises ValueError where it has no such part."""
    before, begin, rest = guide.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"the guide has no lines {BEGIN} and {END}")
    return f"{before}{BEGIN}\n\n{describe_views(views)}\n{END}{after}"


def describe_views(module: ModuleType) -> str:
    """Describe every class and choice of a module in Markdown, in the order of their names."""
    source = inspect.getsource(module)
    lines = source.splitlines()
    found = [node for node in ast.parse(source).body if isinstance(node, ast.ClassDef)]
    return "\n".join(_describe(node, lines) for node in sorted(found, key=lambda node: node.name))


def _describe(node: ast.ClassDef, lines: list[str]) -> str:
    said = " ".join((ast.get_docstring(node) or "").split())
    rows = list(_choices(node, lines) if _is_choice(node) else _fields(node, lines))
    head = "| value | what it says |" if _is_choice(node) else "| field | is | |"
    rule = "|---|---|" if _is_choice(node) else "|---|---|---|"
    return "\n".join([f"### {node.name}", "", *([said, ""] if said else []), head, rule, *rows, ""])


def _is_choice(node: ast.ClassDef) -> bool:
    return any(isinstance(base, ast.Name) and base.id == "StrEnum" for base in node.bases)


def _fields(node: ast.ClassDef, lines: list[str]) -> Iterator[str]:
    for each in node.body:
        if isinstance(each, ast.AnnAssign) and isinstance(each.target, ast.Name):
            kind = ast.unparse(each.annotation).replace("|", "or")
            yield f"| `{each.target.id}` | {kind} | {_note(each, lines)} |"


def _choices(node: ast.ClassDef, lines: list[str]) -> Iterator[str]:
    for each in node.body:
        if isinstance(each, ast.Assign) and isinstance(each.value, ast.Constant):
            yield f"| `{each.value.value!s}` | {_note(each, lines)} |"


def _note(node: ast.stmt, lines: list[str]) -> str:
    """Return what stands behind a field in its line."""
    line = lines[(node.end_lineno or node.lineno) - 1]
    said = re.search(r"#\s*(.+)$", line[node.end_col_offset or 0 :])
    return said[1].replace("|", "\\|") if said else ""


def main(file: Path) -> None:
    file.write_text(rewrite(file.read_text(encoding="utf-8")), encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
