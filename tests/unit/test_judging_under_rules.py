"""What answers change of what is judged next, and that a rule which is taken back leaves nothing behind."""

from __future__ import annotations

import random
import shutil
from dataclasses import replace
from datetime import timedelta

import numpy as np
import pytest

from bot.domain.answers import Answered, AnswerPolicy, Asked, answer
from bot.domain.incidents import IncidentState, SeriesKey
from bot.domain.judge import Outcome, SeriesState
from bot.domain.policy import MinEffect
from bot.domain.ruled_assessment import Grounds, RuledGrounds, assess_under
from bot.domain.rules import Bar, Medium, Person, Rule, RuleKind, SaidAt, Scope
from bot.domain.runs import Baseline, DataCard, RunResult
from bot.store import incidents, rules, runs
from tests.unit.cycle_bench import EAGER, Bench
from tests.unit.judge.judged_runs import POLICIES, make_run, make_table, with_metric
from tests.unit.state_samples import NOON

SERIES = SeriesKey("search")
DAY, HOUR = timedelta(days=1), timedelta(hours=1)
WEI = Person("acc-1", "Wei")
BAD = {Outcome.SUSPICIOUS, Outcome.REGRESSED}
TWO = {"metrics": {"ndcg": {}, "recall": {}}}


@pytest.fixture
def make_bench(migrated_sqlite, tmp_path):
    made = []

    def make_bench(**pipeline) -> Bench:
        folder = tmp_path / f"bench{len(made)}"
        folder.mkdir()
        shutil.copyfile(migrated_sqlite, folder / "state.db")
        made.append(
            Bench(
                folder,
                f"sqlite:///{folder / 'state.db'}",
                {**EAGER, "publish": "incidents", "watch": {"overlap": "7d"}, **pipeline},
            )
        )
        made[-1].run()
        return made[-1]

    yield make_bench
    for bench in made:
        bench.database.close()


class Noisy:
    """Values around a level, the same ones each time."""

    def __init__(self, seed: int = 7) -> None:
        self.random = random.Random(seed)

    def around(self, level: float, runs: int) -> list[float]:
        return [level + self.random.gauss(0, 0.004) for _ in range(runs)]


def judge(bench: Bench, values: list[float], card: DataCard | None = None, **changes) -> list[Outcome]:
    told = []
    for value in values:
        run = bench.log(value, **changes)
        if card is not None:
            bench.store.add("search", RunResult(run, card))
        (judged,) = bench.run(deliver=False).judged
        told.append(judged.outcome)
    return told


def say(bench: Bench, kind: RuleKind, **more) -> Rule:
    """Answer the incident that stands."""
    with bench.database.begin() as tx:
        (incident,) = incidents.standing(tx, SERIES)
        newest = runs.find(tx, "search", incident.bad_runs[-1])
        asked = Asked(kind, WEI, SaidAt(Medium.HAND), "new catalogue", **more)
        told = answer(incident, asked, AnswerPolicy(), bench.now, (), newest.findings)
        assert isinstance(told, Answered)
        incidents.save(tx, told.incident)
        return rules.add(tx, told.rule)


def undo(bench: Bench, rule: Rule) -> None:
    with bench.database.begin() as tx:
        rules.undo(tx, rule.number, WEI, bench.now)


def open_now(bench: Bench) -> list[str]:
    return [each.incident_id for each in bench.incidents(IncidentState.OPEN)]


def track_of(bench: Bench):
    with bench.database.begin() as tx:
        return runs.load_state(tx, SERIES)


# ---- expected


def test_an_expected_level_is_the_new_baseline_and_a_fall_from_it_is_told(make_bench):
    bench, values = make_bench(), Noisy()
    judge(bench, values.around(0.80, 12))
    judge(bench, values.around(0.70, 3))
    assert len(open_now(bench)) == 1
    say(bench, RuleKind.EXPECTED)
    assert not BAD.intersection(judge(bench, values.around(0.70, 12)))
    assert open_now(bench) == []
    assert judge(bench, values.around(0.60, 3))[-1] is Outcome.REGRESSED
    assert len(open_now(bench)) == 1


def test_an_expected_level_of_one_metric_is_none_of_another(make_bench):
    bench, values = make_bench(**TWO), Noisy()

    def both(first: float, second: float, number: int) -> list[Outcome]:
        pairs = zip(values.around(first, number), values.around(second, number), strict=True)
        return [judge(bench, [one], metrics={"ndcg": one, "recall": two})[0] for one, two in pairs]

    both(0.80, 0.50, 12)
    both(0.70, 0.50, 3)
    say(bench, RuleKind.EXPECTED)
    assert not BAD.intersection(both(0.70, 0.50, 4))
    assert both(0.70, 0.40, 3)[-1] is Outcome.REGRESSED
    (incident,) = bench.incidents(IncidentState.OPEN)
    assert incident.metrics == ("recall",)


def test_data_that_changed_as_expected_can_be_compared_again(make_bench):
    bench, values = make_bench(), Noisy()
    small, large = DataCard({"catalogue_size": 5_000.0}), DataCard({"catalogue_size": 9_000.0})
    judge(bench, values.around(0.80, 8), large)
    assert set(judge(bench, values.around(0.60, 2), small)) == {Outcome.INVALID}
    say(bench, RuleKind.EXPECTED)
    assert not {*BAD, Outcome.INVALID}.intersection(judge(bench, values.around(0.60, 8), small))
    assert open_now(bench) == []
    assert judge(bench, values.around(0.50, 3), small)[-1] is Outcome.REGRESSED


# ---- noise


def test_what_was_called_noise_is_told_no_more_and_what_falls_further_is(make_bench):
    bench, values = make_bench(), Noisy()
    judge(bench, values.around(0.80, 12))
    judge(bench, values.around(0.765, 5))
    assert len(open_now(bench)) == 1
    say(bench, RuleKind.NOISE)
    assert not BAD.intersection(
        judge(bench, [*values.around(0.765, 4), *values.around(0.80, 4), *values.around(0.768, 4)])
    )
    assert judge(bench, values.around(0.60, 3))[-1] is Outcome.REGRESSED


def test_noise_lapses_and_what_stands_by_then_is_told(make_bench):
    bench, values = make_bench(), Noisy()
    judge(bench, values.around(0.80, 12))
    judge(bench, values.around(0.765, 5))
    (before,) = open_now(bench)
    say(bench, RuleKind.NOISE, until=bench.now + DAY)
    assert not BAD.intersection(judge(bench, values.around(0.765, 3)))
    bench.now += DAY
    assert judge(bench, values.around(0.765, 1)) == [Outcome.REGRESSED]
    (after,) = open_now(bench)
    assert after != before


# ---- what a rule leaves behind


@pytest.mark.parametrize("kind", [RuleKind.EXPECTED, RuleKind.NOISE, RuleKind.MUTE])
def test_what_a_series_carries_on_is_what_it_would_be_without_rules(make_bench, kind):
    ruled, plain = make_bench(), make_bench()
    for bench in (ruled, plain):
        values = Noisy()
        judge(bench, [*values.around(0.80, 12), *values.around(0.70, 3)])
        rule = say(bench, kind) if bench is ruled else None
        told = judge(bench, values.around(0.70, 4))
        if bench is ruled:
            undo(bench, rule)
            under = told
        last = judge(bench, values.around(0.70, 2))
    assert (under == told) == (kind is RuleKind.MUTE)
    assert track_of(ruled) == track_of(plain)
    with ruled.database.begin() as tx, plain.database.begin() as other:
        mine = [(j.accepted, j.without_rules.findings) for j in runs.recent(tx, SERIES, 99)]
        assert mine == [(j.accepted, j.findings) for j in runs.recent(other, SERIES, 99)]
        newest = [runs.recent(each, SERIES, 2) for each in (tx, other)]
    assert [j.findings for j in newest[0]] == [j.findings for j in newest[1]]
    assert last[-1] is Outcome.REGRESSED


def test_of_two_expected_levels_the_second_is_taken_back_alone(make_bench):
    bench, values = make_bench(), Noisy()
    judge(bench, [*values.around(0.80, 12), *values.around(0.70, 3)])
    say(bench, RuleKind.EXPECTED)
    judge(bench, [*values.around(0.70, 10), *values.around(0.60, 3)])
    second = say(bench, RuleKind.EXPECTED)
    assert not BAD.intersection(judge(bench, values.around(0.60, 3)))
    undo(bench, second)
    assert judge(bench, values.around(0.60, 2))[-1] is Outcome.REGRESSED


def test_a_late_run_is_woven_in_under_the_rules_of_each_runs_time(make_bench):
    bench, values = make_bench(), Noisy()
    judge(bench, [*values.around(0.80, 12), *values.around(0.70, 3)])
    ended = bench.now - 2 * timedelta(minutes=1)
    bench.now += HOUR
    say(bench, RuleKind.EXPECTED)
    bench.now += HOUR
    judge(bench, values.around(0.70, 4))
    with bench.database.begin() as tx:
        before = {j.run.run_id: j.outcome for j in runs.recent(tx, SERIES, 99)}
    bench.log(0.7, "late", started=ended, ended=ended)
    bench.run(deliver=False)
    with bench.database.begin() as tx:
        after = {j.run.run_id: j.outcome for j in runs.recent(tx, SERIES, 99)}
    assert after.pop("late") not in BAD, "it is one of those that somebody called expected"
    assert {run_id: outcome in BAD for run_id, outcome in after.items()} == {r: o in BAD for r, o in before.items()}
    assert open_now(bench) == []
    assert not BAD.intersection(judge(bench, values.around(0.70, 3)))


def test_a_job_that_fails_does_not_make_a_rule_forget_what_it_saw(make_bench):
    bench, values = make_bench(), Noisy()
    judge(bench, [*values.around(0.80, 12), *values.around(0.70, 3)])
    say(bench, RuleKind.EXPECTED)
    judge(bench, values.around(0.70, 3))
    with bench.database.begin() as tx:
        held = runs.load_ruled(tx, SERIES)
    assert held is not None
    assert replace(held, numbers=(1,)) == held


# ---- slices

SLICED = with_metric(replace(POLICIES, slice_by=("department",)), min_effect=MinEffect(0.05))
DEPARTMENTS = np.repeat([f"d{number:02d}" for number in range(20)], 40)
FIRST = "hr [department=d00]"


def sliced_runs(shares: list[float]) -> list[RunResult]:
    """Return runs in which the first of twenty departments keeps these shares of its results."""
    drawn = np.random.default_rng(1)
    level = drawn.beta(4, 8, len(DEPARTMENTS))
    runs = []
    for number, share in enumerate(shares):
        kept = level * np.where(DEPARTMENTS == "d00", share, 1.0) * (1 + drawn.normal(0, 0.01))
        values = np.clip(kept + drawn.normal(0, 0.05, len(level)), 0, 1)
        runs.append(make_run(number, {"hr": float(values.mean())}, examples=make_table(values, DEPARTMENTS)))
    return runs


def outcomes_of_first(shares: list[float], rule: Rule | None) -> list[Outcome]:
    """Judge runs of which the first slice keeps these shares, the ninth and tenth fallen; a rule holds from then on."""
    state, ruled, runs_before, told = SeriesState(), None, [], []
    for number, run in enumerate(sliced_runs(shares)):
        baseline = Baseline(tuple(runs_before))
        rules = () if rule is None or number < 10 else (rule,)
        since = {1: frozenset(f"run{each}" for each in range(8))}
        under = RuledGrounds(run, baseline, (), rules, since)
        said = assess_under(ruled, state, Grounds(run, baseline), under, SLICED)
        state, ruled = said.plain.state, said.ruled
        runs_before.append(run)
        told.append(next((finding.outcome for finding in said.told.findings if finding.key == FIRST), Outcome.OK))
    return told


def about_first(kind: RuleKind, **more) -> Rule:
    scope = Scope(SERIES, (FIRST,), "inc")
    return Rule(1, kind, scope, WEI, SaidAt(Medium.HAND), NOON, from_run="run8", to_run="run9", **more)


def test_an_expected_level_of_a_slice_is_its_baseline_and_a_further_fall_is_told():
    shares = [*[1.0] * 8, *[0.5] * 10, *[0.2] * 3]
    assert outcomes_of_first(shares, None)[9:18] == 9 * [Outcome.REGRESSED]
    told = outcomes_of_first(shares, about_first(RuleKind.EXPECTED))
    assert not BAD.intersection(told[10:18])
    assert told[-1] is Outcome.REGRESSED


def test_noise_of_a_slice_raises_its_bar():
    shares = [*[1.0] * 8, *[0.6] * 8, *[0.1] * 3]
    told = outcomes_of_first(shares, about_first(RuleKind.NOISE, bars=(Bar(FIRST, 0.15, 0.33),)))
    assert not BAD.intersection(told[10:16])
    assert told[-1] in BAD
    assert SLICED.slice_min_effect == MinEffect(0.1)
