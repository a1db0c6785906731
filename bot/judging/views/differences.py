"""What is different about a run: all that is on record of what it was made from, beside the accepted runs."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import replace

from bot.domain.diagnosis.differences import Difference, Differences, differences
from bot.domain.headlines import most_telling, own_findings
from bot.domain.incidents import Incident, Step
from bot.domain.job_protocol import COMMIT_TAG
from bot.domain.judge import Outcome
from bot.domain.judged_run import JudgedRun
from bot.domain.manifest import Component, ComponentKind, Ingredient, manifest_of
from bot.domain.runs import DataCard
from bot.domain.views import FactRow, Source
from bot.judging.views.occasion import Occasion
from bot.text import formats

_HASH = re.compile(r"\b[0-9a-f]{32,}\b")
_SHORT_HASH = 12
SOURCES = {
    ComponentKind.TEST_SET: Source.TEST_SET,
    ComponentKind.DATA: Source.DATA,
    ComponentKind.CODE: Source.COMMIT,
    ComponentKind.PARAM: Source.PARAMS,
    ComponentKind.ENVIRONMENT: Source.ENVIRONMENT,
    ComponentKind.MACHINE: Source.MACHINE,
}


def differences_of(on: Occasion, step: Step | None = None) -> Differences:
    """Compare the run that a fall began with, or this one, with the accepted runs of before.

    Of what joined an incident later, or is back, that is not the run which the incident began with. Runs since may have
    been accepted: of those in which a slice fell, the whole may be well.
    """
    onset = None if step is None else _onset(on, step.incident)
    run, card = (on.result.run, on.result.card) if onset is None else (onset.run, onset.card)
    before = [manifest_of(each.run, each.card) for each in on.baseline.accepted if each.run.place < run.place]
    return differences(before, manifest_of(run, card))


def _onset(on: Occasion, incident: Incident) -> JudgedRun | None:
    """Return the run with which what fell most tellingly began, else the incident."""
    own = most_telling(f for f in own_findings(incident, on.assessment.findings) if f.outcome is Outcome.REGRESSED)
    known = {judged.run.run_id: judged for judged in on.history}
    return next((known[f.onset] for f in own if f.onset in known), on.names.get(incident.onset))


def different(on: Occasion, found: Differences) -> tuple[FactRow, ...]:
    """Return what differs, most suspected first, in values that a person can use."""
    rows = [row for each in found.found if _is_news(each, on) for row in _rows_of(on, each)]
    if not any(each.component.kind is ComponentKind.DATA for each in found.found):
        rows += _card_changes(on)
    return tuple(rows)


def unknown(found: Differences) -> tuple[Source, ...]:
    """Return what one side has nothing on record of; whoever sets no seed has none to show."""
    return tuple(SOURCES[kind] for kind in found.unknown if kind in SOURCES)


def compared(on: Occasion, found: Differences) -> tuple[Source, ...]:
    """Return of what both this run and the accepted ones have something on record."""
    if not on.baseline.accepted:
        return ()
    lacking = {*unknown(found)}
    there = [source for source in Source if source not in lacking and source is not Source.CARD]
    has_cards = bool(on.result.card and on.baseline.accepted[-1].card)
    return tuple(Source.CARD if source is Source.DATA and has_cards else source for source in there)


def facts(on: Occasion) -> tuple[FactRow, ...]:
    """Return the data card, beside that of the latest accepted run."""
    return tuple(_card_rows(on.result.card, on.baseline.accepted[-1].card if on.baseline.accepted else None))


def params(on: Occasion) -> tuple[FactRow, ...]:
    """Return the parameters, beside those of the latest accepted run; one that only one of both has is a change."""
    now = on.result.run.params
    before: Mapping[str, str] = on.baseline.accepted[-1].run.params if on.baseline.accepted else {}
    are_compared = bool(now and before)
    return tuple(
        FactRow(
            name,
            shortened(now.get(name, "")),
            shortened(before.get(name, "")),
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
    changed = bool(before) and before != commit
    return (FactRow("", shortened(commit), shortened(before), changed, Source.COMMIT, _between(on, before, commit)),)


def source_of(component: Component) -> Source | None:
    return SOURCES.get(component.kind)


def _is_news(found: Difference, on: Occasion) -> bool:
    """Say whether a difference is worth a look: seeds differ on purpose, unless they never did."""
    is_fixed = not found.changes and len(on.baseline.accepted) > 1
    return found.component.kind is not ComponentKind.SEED or is_fixed


def _rows_of(on: Occasion, found: Difference) -> Iterator[FactRow]:
    before, now = _shown(found.before), _shown(found.now)
    row = FactRow(
        found.component.name,
        now,
        before,
        changed=True,
        source=source_of(found.component),
        changes=str(found.changes) if found.changes else "",
        had=str(found.had) if found.had else "",
    )
    match found.component.kind:
        case ComponentKind.CODE:
            url = "" if found.before is None or found.now is None else _between(on, found.before.shown, found.now.shown)
            yield replace(row, url=url)
        case ComponentKind.ENVIRONMENT:
            parts = [each for each in parts_that_differ(before, now) if any(each)]
            yield from (replace(row, before=then, value=here) for then, here in parts)
            if not parts:  # packages that nobody would read through
                yield replace(row, before=_identity(found.before), value=_identity(found.now))
        case ComponentKind.DATA:
            if before or now:
                yield row
            yield from _card_changes(on)
        case ComponentKind.SEED:
            yield replace(row, name="seed")
        case _:
            yield row


def parts_that_differ(before: str, now: str) -> Iterator[tuple[str, str]]:
    """Yield what differs of two lists such as `python 3.11.9, torch 2.9.0`, side by side."""
    then, here = (dict(_named(text)) for text in (before, now))
    for name in dict.fromkeys((*then, *here)):
        if then.get(name) != here.get(name):
            yield then.get(name, ""), here.get(name, "")


def _named(text: str) -> Iterator[tuple[str, str]]:
    for part in text.split(", "):
        yield part.partition(" ")[0], part


def _card_changes(on: Occasion) -> list[FactRow]:
    """Return the facts of the data card that changed, but for the hashes of what has a row of its own."""
    own = {"hash", "test_hash"}
    return [replace(row, source=Source.CARD) for row in facts(on) if row.changed and row.name not in own]


def _card_rows(card: DataCard, before: DataCard | None) -> Iterator[FactRow]:
    for name, value in card.numbers.items():
        old = before.numbers.get(name) if before else None
        shown = "" if old is None else formats.fact(old)
        yield FactRow(name, formats.fact(value), shown, changed=old is not None and old != value)
    for name, text in card.texts.items():
        earlier = before.texts.get(name) if before else None
        changed = earlier is not None and earlier != text
        yield FactRow(name, shortened(text), shortened(earlier or ""), changed=changed)


def _between(on: Occasion, before: str, now: str) -> str:
    """Give the address where people read what lies between two commits, if config says where the code is."""
    repository = on.config.repository.rstrip("/")
    return f"{repository}/compare/{before}...{now}" if repository and before and now and before != now else ""


def _shown(part: Ingredient | None) -> str:
    return "" if part is None else shortened(part.shown)


def _identity(part: Ingredient | None) -> str:
    return "" if part is None else shortened(part.identity)


def shortened(text: str) -> str:
    """Leave of a hash what a person compares."""
    return _HASH.sub(lambda found: found[0][:_SHORT_HASH], text)
