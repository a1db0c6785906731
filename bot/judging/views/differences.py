"""What is different about a run: its data card, its parameters and its commit against the latest accepted run."""

from __future__ import annotations

import re
from collections.abc import Mapping

from bot.domain.job_protocol import COMMIT_TAG
from bot.domain.views import FactRow, Source
from bot.judging.views.occasion import Occasion
from bot.text import formats

_HASH = re.compile(r"\b[0-9a-f]{32,}\b")
_SHORT_HASH = 12


def facts(on: Occasion) -> tuple[FactRow, ...]:
    """Return the data card, beside that of the latest accepted run."""
    before = on.baseline.accepted[-1].card if on.baseline.accepted else None
    rows: list[FactRow] = []
    for name, value in on.result.card.numbers.items():
        old = before.numbers.get(name) if before else None
        shown = "" if old is None else formats.fact(old)
        rows.append(FactRow(name, formats.fact(value), shown, changed=old is not None and old != value))
    for name, text in on.result.card.texts.items():
        earlier = before.texts.get(name) if before else None
        changed = earlier is not None and earlier != text
        rows.append(FactRow(name, _shortened(text), _shortened(earlier or ""), changed=changed))
    return tuple(rows)


def params(on: Occasion) -> tuple[FactRow, ...]:
    """Return the parameters, beside those of the latest accepted run; one that only one of both has is a change."""
    now = on.result.run.params
    before: Mapping[str, str] = on.baseline.accepted[-1].run.params if on.baseline.accepted else {}
    are_compared = bool(now and before)
    return tuple(
        FactRow(
            name,
            _shortened(now.get(name, "")),
            _shortened(before.get(name, "")),
            changed=are_compared and name != "seed" and now.get(name) != before.get(name),  # seeds differ on purpose
        )
        for name in sorted(now.keys() | before.keys() if are_compared else now.keys())
    )


def commit(on: Occasion) -> tuple[FactRow, ...]:
    """Return the commit that the run's code came from, beside that of the latest accepted run."""
    commit = on.result.run.tags.get(COMMIT_TAG, "")
    before = on.baseline.accepted[-1].run.tags.get(COMMIT_TAG, "") if on.baseline.accepted else ""
    if not commit:
        return ()
    return (FactRow("git commit", _shortened(commit), _shortened(before), changed=bool(before) and before != commit),)


def compared(on: Occasion) -> tuple[Source, ...]:
    """Return of what both this run and the latest accepted one have something on record."""
    if not on.baseline.accepted:
        return ()
    now, before = on.result, on.baseline.accepted[-1]
    there = {
        Source.PARAMS: now.run.params.keys() - {"seed"} and before.run.params.keys() - {"seed"},
        Source.CARD: now.card and before.card,
        Source.COMMIT: COMMIT_TAG in now.run.tags and COMMIT_TAG in before.run.tags,
    }
    return tuple(source for source, is_there in there.items() if is_there)


def _shortened(text: str) -> str:
    """Leave of a hash what a person compares."""
    return _HASH.sub(lambda found: found[0][:_SHORT_HASH], text)
