"""Where Herald's own templates are, and what is wrong with those that a team puts in their place."""

from __future__ import annotations

from functools import cache
from importlib.resources import files
from pathlib import Path

from bot.errors import TemplateError
from bot.render.lookup import replaceable


@cache
def our_templates() -> Path:
    """Find our templates: inside the package once it is installed, beside it in a checkout."""
    installed = Path(str(files("bot"))) / "templates"
    return installed if installed.is_dir() else installed.parent.parent / "templates"


def check_overrides(overrides: Path) -> tuple[TemplateError, ...]:
    """Find what is wrong with a team's templates before one is needed: names that replace nothing, and syntax."""
    from difflib import get_close_matches

    from bot.render.environment import check_syntax

    ours = replaceable(path.relative_to(our_templates()).as_posix() for path in our_templates().rglob("*.j2"))
    found: list[TemplateError] = []
    for path in sorted(overrides.rglob("*.j2")):
        name = path.relative_to(overrides).as_posix()
        if name not in ours:
            near = get_close_matches(name, sorted(ours), n=1, cutoff=0)[0]
            found.append(TemplateError(f"{path}: replaces nothing; the nearest template is {near}"))
        elif error := check_syntax(path):
            found.append(error)
    return tuple(found)
