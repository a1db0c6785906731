"""The examples that lost most where a metric fell, for people to look at."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from bot.domain.headlines import most_telling
from bot.domain.judge.alignment import Alignment
from bot.domain.judge.findings import Assessment, Finding, Outcome, SeriesState
from bot.domain.policy import Policies
from bot.domain.runs import Baseline, ExampleTable, ExplainedExample, RunResult, Slice

MOST_FINDINGS = 3  # of one run, whose examples are looked for


@dataclass(frozen=True, slots=True)
class WorstExample:
    """One example beside what it came to in earlier runs; values are in the metric's unit."""

    example_id: str
    before: float  # mean over the baseline runs
    now: float
    texts: tuple[str, ...] = ()  # one a column that config names; empty where it has none

    @property
    def change(self) -> float:
        return self.now - self.before


@dataclass(frozen=True, slots=True)
class WorstExamples:
    """The examples that lost most where one finding says that a metric fell, the worst first."""

    metric: str
    parts: tuple[Slice, ...]  # that they lie in; none: everywhere
    rows: tuple[WorstExample, ...]
    lost: int  # how many lost anything
    of: int  # examples that were compared
    columns: tuple[str, ...] = ()  # of their texts
    explained: tuple[ExplainedExample, ...] = ()  # of the run's worst examples, why they were answered so

    def with_texts(self, columns: Sequence[str], texts: Mapping[str, Sequence[str]]) -> WorstExamples:
        """Give each example its texts, by its id."""
        rows = (replace(row, texts=tuple(texts.get(row.example_id, [""] * len(columns)))) for row in self.rows)
        return replace(self, columns=tuple(columns), rows=tuple(rows))


def look_closer(findings: Iterable[Finding], before: SeriesState, metrics: Collection[str]) -> list[Finding]:
    """Return the falls whose examples are worth looking at: the most telling ones that nobody has been told of yet."""
    told = [
        finding
        for finding in findings
        if finding.metric in metrics
        and (finding.outcome is Outcome.REGRESSED or (finding.outcome is Outcome.SUSPICIOUS and finding.part is None))
        and finding.n_examples
        and not ((streak := before.streaks.get(finding.key)) is not None and streak.confirmed)
    ]
    return most_telling(told)[:MOST_FINDINGS]


def find_worst(
    run: RunResult, baseline: Baseline, said: Assessment, findings: Sequence[Finding], policies: Policies, most: int
) -> dict[str, WorstExamples]:
    """Return the examples that lost most for each of some findings, at most so many of each, by the finding's key."""
    if run.examples is None or not findings:
        return {}
    alignment = Alignment(run.examples)
    signs = {policy.name: policy.direction.sign for policy in policies.metrics}
    found: dict[str, WorstExamples] = {}
    for finding in findings:
        unfit = said.state.unfit.get(finding.key, ())
        held = baseline.of(finding.metric).newest.recent
        tables = {r.run_id: r.examples for r in held if r.examples is not None and r.run_id not in unfit}
        parts = (finding.part,) if finding.part is not None else finding.where.parts if finding.where else ()
        worst = _worst_in(alignment, tables, finding.metric, parts, signs[finding.metric], most)
        if worst is not None:
            found[finding.key] = worst
    return found


def _worst_in(
    alignment: Alignment,
    tables: Mapping[str, ExampleTable],
    metric: str,
    parts: tuple[Slice, ...],
    sign: int,
    most: int,
) -> WorstExamples | None:
    """Look through some parts, each example once however many of them it lies in."""
    ids, now, before = [], [], []
    for part in parts or (None,):
        columns = () if part is None else tuple(column for column, _ in part.conditions)
        cut = alignment.cut(metric, tables, columns)
        if cut is None or part not in cut.parts:
            continue
        place = cut.parts.index(part)
        chosen = slice(cut.starts[place], cut.starts[place + 1])
        ids.append(cut.examples[chosen])
        now.append(cut.now[chosen])
        before.append(cut.before[:, chosen].mean(axis=0))
    if not ids:
        return None
    examples, first = np.unique(np.concatenate(ids), return_index=True)
    is_now, was = np.concatenate(now)[first], np.concatenate(before)[first]
    change = sign * (is_now - was)
    order = np.argsort(change, kind="stable")[:most]
    rows = tuple(
        WorstExample(str(alignment.names[examples[i]]), float(was[i]), float(is_now[i]))
        for i in order.tolist()
        if change[i] < 0
    )
    return WorstExamples(metric, parts, rows, int((change < 0).sum()), len(examples)) if rows else None
