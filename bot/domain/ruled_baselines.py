"""Which earlier runs a run is held against under the rules that people's answers made, beside those without them."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from bot.domain.baselines import BASELINE_RUNS, BaselineChoice, choose_baseline
from bot.domain.incidents import Kind
from bot.domain.judge.findings import Finding, serving
from bot.domain.judged_run import JudgedRun
from bot.domain.ruled_assessment import Grounds, RuledGrounds
from bot.domain.rules import Rule, RuleKind
from bot.domain.runs import Baseline, RunResult

Place = tuple[datetime, str]


@dataclass(frozen=True, slots=True)
class RuledChoice:
    """Earlier runs of a series, and which of them the next one is held against."""

    earlier: Sequence[JudgedRun]
    rules: tuple[Rule, ...]  # that change what is found
    plain: BaselineChoice
    told: BaselineChoice

    @property
    def runs(self) -> list[JudgedRun]:
        """All that are chosen, in their order."""
        wanted = {judged.run.run_id for judged in (*self.plain.runs, *self.told.runs)}
        return [judged for judged in self.earlier if judged.run.run_id in wanted]

    def grounds(
        self,
        run: RunResult,
        found: Iterable[RunResult],
        pinned: RunResult | None,
        slices: Sequence[Finding] = (),
    ) -> Grounds:
        """Return what a run is judged from without rules; *found* are the chosen runs as they could be loaded."""
        return Grounds(run, _baseline(self.plain, found, pinned), slices)

    def ruled_grounds(
        self,
        run: RunResult,
        found: Iterable[RunResult],
        pinned: RunResult | None,
        slices: Sequence[Finding] = (),
    ) -> RuledGrounds:
        """Return what it is judged from under them."""
        baseline = _baseline(self.told, found, self._released(pinned))
        return RuledGrounds(run, baseline, slices, self.rules, _runs_before(self.earlier, self.rules))

    def _released(self, pinned: RunResult | None) -> RunResult | None:
        """Return a release for the metrics that are still held against it: whose level of now is not expected."""
        if pinned is None:
            return None
        places = {judged.run.run_id: judged.run.place for judged in self.earlier}
        expected = [rule for rule in self.rules if rule.kind is RuleKind.EXPECTED]
        later = [rule for rule in expected if pinned.run.place < places.get(rule.from_run, pinned.run.place)]
        gone = {key for rule in later for key in rule.scope.keys}
        metrics = {name: value for name, value in pinned.run.metrics.items() if name not in gone}
        return replace(pinned, run=replace(pinned.run, metrics=metrics))


def choose_both(
    earlier: Sequence[JudgedRun], metrics: Collection[str], onsets: Collection[str], rules: tuple[Rule, ...]
) -> RuledChoice:
    """Choose what a run is held against without *rules* and under them: those about its series that change findings."""
    plain = choose_baseline([judged.without_rules for judged in earlier], metrics, onsets)
    told = choose_told(earlier, metrics, rules) if rules else BaselineChoice((), {})
    return RuledChoice(earlier, rules, plain, told)


def choose_told(earlier: Sequence[JudgedRun], metrics: Collection[str], rules: Sequence[Rule]) -> BaselineChoice:
    """Choose of a series' earlier runs those that the next one is held against under *rules* about the series.

    Of a metric whose level is expected these are the runs since that level began; of one whose fall was called noise
    the runs that had fallen too. All others serve for what nothing was said to be wrong with.
    """
    places = {judged.run.run_id: judged.run.place for judged in earlier}
    spans = [(rule, places.get(rule.from_run), places.get(rule.to_run)) for rule in rules]
    newest = {judged.run.run_id for judged in earlier[-BASELINE_RUNS:]}
    chosen: list[JudgedRun] = []
    partly: dict[str, frozenset[str]] = {}
    for judged in earlier:
        has = frozenset(judged.run.metrics.keys() & set(metrics))
        is_good = judged.accepted if judged.plain is None else judged.assessment.accepted
        serves = has if is_good else serving(judged.findings) & has
        for rule, first, last in spans:
            serves = _as_ruled(serves, has, judged, rule, first, last)
        if serves and (is_good or judged.run.run_id in newest):
            chosen.append(judged)
            if serves != has or not is_good:
                partly[judged.run.run_id] = serves
    return BaselineChoice(tuple(chosen), partly)


def _runs_before(earlier: Iterable[JudgedRun], rules: Iterable[Rule]) -> dict[int, frozenset[str]]:
    """Return by their rules' numbers the runs of before expected levels."""
    known = list(earlier)
    places = {judged.run.run_id: judged.run.place for judged in known}
    return {
        rule.number: frozenset(run_id for run_id, place in places.items() if place < places[rule.from_run])
        for rule in rules
        if rule.kind is RuleKind.EXPECTED and rule.from_run in places
    }


def _as_ruled(
    serves: frozenset[str], has: frozenset[str], judged: JudgedRun, rule: Rule, first: Place | None, last: Place | None
) -> frozenset[str]:
    """Return what a run serves for by a rule; *first* and *last* are the places of the runs that it was about."""
    about = has if rule.scope.problem is Kind.INVALID else has.intersection(rule.scope.keys)
    place = judged.run.place
    if rule.kind is RuleKind.EXPECTED and first is not None and place < first:
        return serves - about
    is_meant = first is not None and last is not None and first <= place <= last
    return serves | about if is_meant else serves


def _baseline(choice: BaselineChoice, found: Iterable[RunResult], pinned: RunResult | None) -> Baseline:
    chosen = {judged.run.run_id for judged in choice.runs}
    there = tuple(result for result in found if result.run_id in chosen)
    return Baseline(there, pinned, choice.partly, most=BASELINE_RUNS)
