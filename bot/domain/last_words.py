"""What people were last told of an incident, and what is new since: a repeat says no more than that."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field

from bot.domain.judge.findings import Finding


@dataclass(frozen=True, slots=True)
class Worst:
    """The worst value that any bad run has shown."""

    key: str  # of findings
    value: float


@dataclass(frozen=True, slots=True)
class LastWord:
    """What the last word on an incident knew of it."""

    bad_runs: int = 0  # so many; 0: nothing is known of what was said
    fallen: tuple[str, ...] = ()  # keys of the findings of which it spoke
    worst: tuple[Worst, ...] = ()


NOTHING_SAID = LastWord()


@dataclass(frozen=True, slots=True)
class News:
    """What has come since the last word."""

    bad_runs: int  # so many more; 0: not known
    joined: frozenset[str]  # keys of what fell since
    worse: Mapping[str, float] = field(default_factory=dict)  # what is worse than ever, by key: the worst before
    shown: frozenset[str] | None = None  # what the run of this word shows; None: whatever fell

    def concerns(self, keys: Collection[str]) -> bool:
        """Say whether there is something to tell whoever has these."""
        return self.shown is None or not self.shown.isdisjoint(keys)

    def opens(self, keys: Collection[str]) -> bool:
        """Say whether whoever has these has not heard of any of them yet."""
        return bool(keys) and self.joined.issuperset(keys)


def worsened(worst: Iterable[Worst], findings: Iterable[Finding], fallen: Collection[str]) -> tuple[Worst, ...]:
    """Return the worst values of what has *fallen*, with those of one more bad run.

    Which way is worse a fall shows by itself: it is the way that the value went from its baseline.
    """
    known = {each.key: each.value for each in worst}
    for finding in findings:
        value, change = finding.value, finding.change
        if finding.key in fallen and value is not None and change:
            before = known.get(finding.key)
            known[finding.key] = value if before is None or (value - before) * change > 0 else before
    return tuple(Worst(key, known[key]) for key in sorted(known))


def news_since(
    last: LastWord, bad_runs: int, fallen: Collection[str], worst: Iterable[Worst], shown: Iterable[str] | None = None
) -> News:
    """Compare what is known now with the last word; of one that is not known nothing is news but what stands."""
    seen = None if shown is None else frozenset(shown)
    if not last.bad_runs:
        return News(0, frozenset(), shown=seen)
    before = {each.key: each.value for each in last.worst}
    worse = {each.key: before[each.key] for each in worst if before.get(each.key, each.value) != each.value}
    return News(max(bad_runs - last.bad_runs, 0), frozenset(fallen) - set(last.fallen), worse, seen)
