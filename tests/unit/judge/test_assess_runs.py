"""A run against accepted runs, its rows, its slices and the pinned release; runs in a row."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from bot.domain.judge import Against, Method, Outcome, Reason, SeriesState, assess
from bot.domain.policy import Direction, MinEffect, Preset
from bot.domain.runs import Baseline, ExampleTable, Slice
from tests.unit.judge.judged_runs import (
    HR,
    POLICIES,
    Recommender,
    judge_all,
    make_run,
    make_runs,
    make_table,
    with_metric,
)

SLICED = replace(POLICIES, slice_by=("department", "no_such_column"), confirm_reruns=1)


def tell_story(seed: int = 1, defect: float = -0.23):
    shop = Recommender(seed)
    healthy = [shop.train() for _ in range(5)]
    broken = [shop.train(grocery=defect) for _ in range(3)]
    return judge_all([*healthy, *broken, shop.train()], SLICED)


def test_a_drop_is_suspicious_then_confirmed_then_lasting_then_repaired():
    said = tell_story(defect=-0.7)
    assert [one.outcome for one in said[5:]] == [
        Outcome.SUSPICIOUS,
        Outcome.REGRESSED,
        Outcome.REGRESSED,
        Outcome.OK,
    ]
    assert [one.wants_confirmation for one in said[5:]] == [True, False, False, False]
    assert said[6].findings[0].onset == "run6"
    assert not said[8].state.streaks


def test_the_finding_carries_every_number_that_led_to_it():
    finding = tell_story(defect=-0.7)[6].findings[0]
    assert finding.reason is Reason.CONFIRMED
    assert finding.method is Method.PREDICTIVE_AND_PAIRED_T
    assert finding.change_low < finding.change < finding.change_high < 0
    assert finding.p_runs < 0.005
    assert finding.p_rows < 0.001
    assert finding.detectable < -finding.change
    assert (finding.n_baseline, finding.n_examples) == (5, 2000)


def test_the_slice_that_lost_is_named_with_its_share_of_the_loss():
    said = tell_story()[5]
    grocery = next(f for f in said.findings if f.part == Slice("department", "GROCERY"))
    others = [f for f in said.findings if f.part is not None and f is not grocery]
    assert grocery.outcome is Outcome.SUSPICIOUS
    assert grocery.share_of_loss > 0.8
    assert all(f.outcome is Outcome.OK for f in others)
    assert sum(f.share_of_loss for f in said.findings if f.part) == pytest.approx(1.0)


def test_slices_alone_never_decide():
    said = tell_story(defect=-0.23)[5]
    only_slices = replace(said, findings=tuple(f for f in said.findings if f.part is not None))
    assert only_slices.outcome is Outcome.NO_BASELINE


def test_small_slices_are_left_out():
    policies = replace(SLICED, min_slice_examples=1000)
    shop = Recommender(1)
    said = judge_all([shop.train() for _ in range(4)], policies)[3]
    assert [str(f.part) for f in said.findings if f.part] == ["department=GROCERY"]


def test_healthy_seeds_hardly_ever_look_suspicious():
    bad = runs = 0
    for seed in range(12):
        shop = Recommender(seed, users=400)
        said = judge_all([shop.train() for _ in range(12)], SLICED)
        bad += sum(not one.accepted for one in said)
        runs += len(said)
    assert bad <= runs * 0.01


def test_a_change_within_what_seeds_do_is_no_news_however_certain_the_rows_are():
    users = np.random.default_rng(0).beta(1, 3, 3000)
    runs = [
        make_run(i, {"hr": float((users * s).mean())}, examples=make_table(users * s, ["a"] * 3000))
        for i, s in enumerate((1.0, 1.03, 0.97, 0.96))
    ]
    finding = judge_all(runs)[3].findings[0]
    assert finding.p_rows < 1e-6
    assert (finding.outcome, finding.reason) == (Outcome.OK, Reason.WITHIN_SPREAD)


def test_a_drop_that_the_rows_do_not_show_is_no_news():
    random = np.random.default_rng(1)
    tables = [make_table(random.random(60), ["a"] * 60) for _ in range(4)]
    values = (0.500, 0.501, 0.499, 0.42)
    runs = [make_run(i, {"hr": v}, examples=t) for i, (v, t) in enumerate(zip(values, tables, strict=True))]
    finding = judge_all(runs)[3].findings[0]
    assert (finding.outcome, finding.reason) == (Outcome.OK, Reason.ROWS_AGREE)


def test_a_certain_drop_below_the_smallest_effect_is_no_news():
    policies = with_metric(POLICIES, min_effect=MinEffect(0.05), prior_spread=0.001)
    finding = judge_all(make_runs(0.2, 0.2001, 0.1999, 0.195), policies)[3].findings[0]
    assert (finding.outcome, finding.reason) == (Outcome.OK, Reason.BELOW_MIN_EFFECT)


def test_an_improvement_needs_no_second_run():
    finding = judge_all(make_runs(0.2, 0.201, 0.199, 0.24))[3].findings[0]
    assert (finding.outcome, finding.reason) == (Outcome.IMPROVED, Reason.BEYOND_SPREAD)


def test_lower_is_better_turns_everything_around():
    policies = with_metric(POLICIES, direction=Direction.DOWN)
    said = judge_all(make_runs(0.2, 0.201, 0.199, 0.24, 0.241), policies)
    assert [one.outcome for one in said[3:]] == [Outcome.SUSPICIOUS, Outcome.REGRESSED]


def test_one_odd_baseline_run_does_not_hide_a_drop():
    said = assess(SeriesState(), make_run(9, {"hr": 0.16}), Baseline(make_runs(0.2, 0.201, 0.12, 0.199, 0.2)), POLICIES)
    assert said.outcome is Outcome.SUSPICIOUS


def test_decay_in_small_steps_is_seen_against_the_pinned_release():
    pinned = make_run(100, {"hr": 0.25})
    finding = judge_all(make_runs(0.2, 0.201, 0.199, 0.2), pinned=pinned)[3].findings[0]
    assert (finding.outcome, finding.against) == (Outcome.SUSPICIOUS, Against.PINNED)
    assert finding.baseline == 0.25


def test_a_pinned_release_without_the_metric_is_no_baseline():
    finding = judge_all(make_runs(0.2, 0.201, 0.199, 0.2), pinned=make_run(100, {}))[3].findings[0]
    assert finding.against is Against.RECENT


def test_the_recent_runs_speak_where_the_pinned_release_says_the_same():
    finding = judge_all(make_runs(0.2, 0.201, 0.199, 0.15), pinned=make_run(100, {"hr": 0.2}))[3].findings[0]
    assert finding.against is Against.RECENT


def test_a_sensitive_preset_suspects_sooner():
    runs = make_runs(0.2, 0.203, 0.197, 0.18)
    quiet = judge_all(runs)[3]
    sensitive = judge_all(runs, replace(POLICIES, preset=Preset.SENSITIVE))[3]
    assert (quiet.outcome, sensitive.outcome) == (Outcome.OK, Outcome.SUSPICIOUS)


def test_rows_that_share_no_examples_are_not_compared():
    other = make_table(np.full(50, 0.2), ["a"] * 50)
    other = ExampleTable(np.char.add("x", other.example_ids), other.weights, other.metrics, other.slices)
    runs = [*(make_run(i, {"hr": 0.2}, examples=other) for i in range(3))]
    runs.append(make_run(3, {"hr": 0.2}, examples=make_table(np.full(50, 0.2), ["a"] * 50)))
    finding = judge_all(runs, SLICED)[3].findings[0]
    assert (finding.method, finding.p_rows) == (Method.PREDICTIVE_T, None)


def test_examples_without_a_number_are_left_out_of_the_pairs():
    values = np.full(50, 0.2)
    holed = values.copy()
    holed[:10] = np.nan
    runs = [make_run(i, {"hr": 0.2}, examples=make_table(values, ["a"] * 50)) for i in range(3)]
    runs.append(make_run(3, {"hr": 0.2}, examples=make_table(holed, ["a"] * 50)))
    assert judge_all(runs)[3].findings[0].n_examples == 40


def test_two_metrics_are_judged_apart():
    policies = replace(POLICIES, metrics=(HR, replace(HR, name="mrr")))
    runs = [make_run(i, {"hr": 0.2, "mrr": m}) for i, m in enumerate((0.1, 0.1, 0.1, 0.05, 0.05))]
    said = judge_all(runs, policies)[4]
    assert [f.outcome for f in said.findings] == [Outcome.OK, Outcome.REGRESSED]
    assert said.with_outcome(Outcome.REGRESSED)[0].metric == "mrr"
    assert list(said.state.streaks) == ["mrr"]


def test_bad_runs_accepted_before_their_level_was_told_are_the_new_level():
    runs = make_runs(0.298, 0.300, 0.302, 0.299, 0.301, 0.238, 0.240, 0.242, 0.239)
    state = judge_all(runs)[-1].state
    accepted = Baseline(runs)
    for run in make_runs(*[0.0] * 9, 0.241, 0.238, 0.240)[9:]:
        said = assess(state, run, accepted, POLICIES)
        assert said.outcome is Outcome.OK
        state, accepted = said.state, Baseline((*accepted.recent, run))
