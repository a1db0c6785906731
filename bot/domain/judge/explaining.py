"""Which slices explain a fall, and which only fall with another."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from bot.domain.judge.findings import Finding, Outcome, Reason
from bot.domain.judge.paired import Rows, paired_p
from bot.domain.judge.slice_views import Family, SliceView, Table
from bot.domain.judge.smallest_set import NOTHING, SetSums, find_smallest, sums_of
from bot.domain.runs import Floats, Slice, Where

DRAGGED = 0.001  # p of what is left of a fallen slice without a smaller one, below which it fell by itself too


@dataclass(frozen=True, slots=True)
class Explaining:
    """Looks for the smallest set among some slices of a metric."""

    table: Table
    views: Sequence[SliceView]
    weights: Sequence[float]
    noise: Sequence[float]  # standard deviations of their means from run to run
    whole: Rows

    def smallest(self, among: Sequence[int]) -> tuple[int, ...]:
        """Return the places of the slices that explain the fall, of those *among* which it is certain."""
        sign = self.table.policy.direction.sign
        prior = float(self.whole.differences.var(ddof=1))

        def outside(chosen: Sequence[int]) -> tuple[SetSums, Sequence[SetSums]]:
            rest = self.whole if not chosen else self.table.whole([self.views[i].part for i in chosen])
            left = self.left_of(among, chosen)
            sums = [sums_of(sign * left[i], self.noise[i]) if i in left else NOTHING for i in range(len(self.views))]
            return NOTHING if rest is None else sums_of(sign * rest.differences), sums

        return find_smallest(among, self.weights, prior, outside)

    def left_of(self, places: Sequence[int], chosen: Sequence[int]) -> dict[int, Floats]:
        """Return the differences of the examples of some slices that lie in none of those *chosen*."""
        if not chosen:
            return {i: self.views[i].rows.differences for i in places}
        outside = [self.views[i].part for i in chosen]
        left: dict[int, Floats] = {}
        for columns in dict.fromkeys(columns_of(self.views[i].part) for i in places):
            cut = self.table.cut(columns, outside)
            found = {} if cut is None else {part: place for place, part in enumerate(cut.parts)}
            for i in places:
                place = found.get(self.views[i].part)
                if cut is not None and place is not None:
                    fit = dict(zip(self.views[i].ids, self.views[i].runs.fit, strict=True))
                    rows = cut.rows(place, [bool(fit.get(run_id, True)) for run_id in cut.run_ids])
                    left |= {} if rows is None else {i: rows.differences}
        return left

    def where(self, among: Sequence[int], families: Sequence[Family]) -> Where:
        """Say where the fall is, and what there would be without it."""
        chosen = self.smallest(among) if among else ()
        parts = tuple(self.views[i].part for i in chosen)
        rest = self.table.whole(parts) if parts else None
        without = self.whole.lost - (rest.lost if rest is not None else 0.0)
        return Where(
            parts=parts,
            share=without / self.whole.lost if parts and self.whole.lost else 0.0,
            change_without=None if rest is None else float(rest.differences.mean()),
            baseline_without=None if rest is None else float(rest.candidate - rest.differences.mean()),
            looked_at=len(self.views),
            too_small=sum(family.too_small for family in families if family.is_pair),
            beyond=sum(family.beyond for family in families),
        )


def leave_out_dragged(findings: Sequence[Finding], explained: Explaining) -> list[Finding]:
    """Let slices that fell only as far as another drags them along be suspicious, and no problem of their own."""
    fallen = [i for i, finding in enumerate(findings) if finding.outcome is Outcome.REGRESSED]
    new = {i for i in fallen if findings[i].reason is Reason.LEVEL_FELL}
    chosen = explained.smallest(fallen) if new and len(fallen) > 1 else ()
    left = explained.left_of(fallen, chosen) if chosen else {}
    sign, kept = explained.table.policy.direction.sign, list(findings)
    for i in new - set(chosen) if chosen else ():
        if i not in left or paired_p(sign * left[i]) >= DRAGGED:
            kept[i] = replace(findings[i], outcome=Outcome.SUSPICIOUS, onset=None)
    return kept


def columns_of(part: Slice) -> tuple[str, ...]:
    return tuple(column for column, _ in part.conditions)
