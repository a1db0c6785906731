"""How the code is built, counted from its syntax trees: rooms and arrows, modules, functions, docstrings, comments.

    python bench/structure.py [a checkout]

A room is what stands directly in `bot` or `trainer`; an arrow, that one room imports another.
"""

from __future__ import annotations

import ast
import sys
import tokenize
from collections.abc import Iterator
from pathlib import Path
from statistics import median

PACKAGES = ("bot", "trainer")
Function = ast.FunctionDef | ast.AsyncFunctionDef


def modules_of(root: Path) -> dict[str, Path]:
    found = {}
    for package in PACKAGES:
        for path in sorted((root / package).rglob("*.py")):
            if "migrations" not in path.parts:
                parts = path.relative_to(root).with_suffix("").parts
                found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


def imports_of(tree: ast.Module, modules: dict[str, Path]) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            names = (f"{node.module}.{alias.name}" for alias in node.names)
            yield from (name if name in modules else node.module for name in names)


def room_of(module: str) -> str:
    return ".".join(module.split(".")[:2])


def comments_in(path: Path) -> int:
    with path.open("rb") as source:
        return sum(token.type == tokenize.COMMENT for token in tokenize.tokenize(source.readline))


def main(root: Path) -> None:
    modules = modules_of(root)
    trees = {name: ast.parse(path.read_text(encoding="utf-8")) for name, path in modules.items()}
    reach = {name: set(imports_of(tree, modules)) & modules.keys() for name, tree in trees.items()}
    arrows = {(room_of(a), room_of(b)) for a, names in reach.items() for b in names} - {(r, r) for r in modules}
    arrows = {(a, b) for a, b in arrows if a != b and b not in PACKAGES}
    print(f"{len({room_of(name) for name in modules} - {*PACKAGES})} rooms, {len(arrows)} arrows between them")
    circles = sorted(f"{a} <-> {b}" for a, b in arrows if a < b and (b, a) in arrows)
    print(f"{len(circles)} pairs of rooms import one another: {', '.join(circles) or 'none'}")
    for package in PACKAGES:
        own = [name for name in modules if name.split(".")[0] == package]
        lines = [len(modules[name].read_text(encoding="utf-8").splitlines()) for name in own]
        functions = [node for name in own for node in ast.walk(trees[name]) if isinstance(node, Function)]
        spans = [(node.end_lineno or node.lineno) - node.lineno + 1 for node in functions]
        public = [
            node
            for name in own
            for node in ast.walk(trees[name])
            if isinstance(node, Function | ast.ClassDef) and not node.name.startswith("_")
        ]
        documented = sum(ast.get_docstring(node) is not None for node in public)
        comments = sum(comments_in(modules[name]) for name in own)
        print(
            f"{package}: {len(own)} modules of {median(lines):.0f} lines (longest {max(lines)}; "
            f"{sum(count > 300 for count in lines)} above 300), {sum(lines):,} lines; "
            f"{len(functions):,} functions of {median(spans):.0f} lines (longest {max(spans)}); "
            f"{documented / len(public):.0%} of public classes and functions with a docstring; "
            f"{100 * comments / sum(lines):.1f} comments a hundred lines"
        )


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else Path(__file__).parents[1]))
