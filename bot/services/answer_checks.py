"""What the doctor says of the names by which config maps answers."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from difflib import get_close_matches

from bot.domain.checks import Check
from bot.services.answers_section import AnswersSection
from bot.services.checks import listed


def check_names(config: AnswersSection, known: Collection[str], what: str, holder: str) -> Iterator[Check]:
    """Compare what config itself maps with the ids and names that are there; *holder* has them, each a *what*."""
    there = {each.casefold() for each in known}
    mapped = [(kind, name) for kind, name in config.names if kind.value in config.model_fields_set]
    strangers = [(kind, name) for kind, name in mapped if name.casefold() not in there]
    for kind, name in strangers:
        near = get_close_matches(name, known, n=1)
        hint = f"did you mean {near[0]!r}?" if near else f"it has {listed(sorted(known))}"
        remedy = f"Set answers.{kind} to what people close tickets with."
        yield Check(f"answers {kind}", ok=False, said=f"{holder} has no {what} {name!r}; {hint}", remedy=remedy)
    if mapped and not strangers:
        yield Check("answers", ok=True, said=listed([name for _, name in mapped]))
