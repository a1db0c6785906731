"""What a source is worth is read off a curve that only rises, and never beyond what was measured."""

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from trainer.jobs.transfer import TransferJob
from trainer.transfer.judged_set import JudgedSet
from trainer.transfer.kept_cells import MeasuredCell
from trainer.transfer.leaks import NO_LEAKS
from trainer.transfer.matrix import MatrixEntry, SourceWorth, assemble
from trainer.transfer.pages import page_of, summary_of
from trainer.transfer.plan import TransferCell, TransferPlan
from trainer.transfer.scores import CellScore
from trainer.transfer.sentences import LANGUAGES, about, sentences, told_rows, worth_sentence
from trainer.transfer.sets import TransferSets
from trainer.transfer.worth import RowsWorth, Verdict, rising, rows_for, rows_worth

scores = st.floats(0, 1, allow_nan=False)


@st.composite
def curves(draw):
    rows = sorted(draw(st.sets(st.integers(0, 20_000), min_size=1, max_size=7)))
    values = draw(st.lists(scores, min_size=len(rows), max_size=len(rows)))
    return np.array(rows, dtype=float), np.array(values)


@given(st.lists(scores, min_size=1, max_size=12))
def test_a_curve_made_to_rise_rises_keeps_its_mean_and_leaves_alone_what_rises(values):
    risen = rising(np.array(values))
    assert (np.diff(risen) >= -1e-12).all()
    assert np.mean(risen) == pytest.approx(np.mean(values))
    assert rising(np.sort(values)) == pytest.approx(np.sort(values))


def test_a_curve_made_to_rise_is_scikit_learns():
    from sklearn.isotonic import isotonic_regression

    values = np.random.default_rng(0).normal(size=40)
    assert rising(values) == pytest.approx(isotonic_regression(values))


@given(curves(), scores, scores)
def test_a_higher_score_is_never_worth_less(curve, one, other):
    low, high = sorted((one, other))
    assert rows_for(low, *curve) <= rows_for(high, *curve)


@given(curves(), scores)
def test_nothing_is_told_beyond_what_was_measured(curve, score):
    rows, values = curve
    found = rows_for(score, rows, values)
    assert math.isinf(found) or rows[0] <= found <= rows[-1]
    assert math.isinf(found) == (score > max(rising(values)[-1], values[0]))


@given(curves(), scores, st.integers(0, 2**32 - 1))
def test_the_interval_holds_what_is_told(curve, score, seed):
    rows, values = curve
    noise = np.random.default_rng(seed).normal(0, 0.05, (len(rows) + 1, 50))
    worth = rows_worth(score, score + noise[0], rows, values, values[:, None] + noise[1:])
    assert worth.low <= worth.rows <= worth.high
    assert worth.most == rows[-1]


def measured(source, target, shots, values, learnt):
    rng = np.random.default_rng(5)  # the same draws for all: what a target's clusters do to one cell they do to another
    noise = rng.normal(0, 0.1, 1000)
    return [
        MeasuredCell(
            TransferCell(source, target, shots, seed), CellScore(one, one + noise, "query", 50), learnt, 0, {}, ""
        )
        for seed, one in enumerate(values)
    ]


def test_a_matrix_is_of_means_over_seeds_and_what_is_gained_is_paired():
    sets = TransferSets({name: JudgedSet(name, None, None) for name in ("a", "b")}, ("a",), ("b",))
    settings = TransferJob(by="x", shots=(0, 100), seeds=(0, 1))
    plan = TransferPlan(sets, settings, "auc", {("a", "b"): NO_LEAKS}, ())
    cells = [
        *measured("plain", "b", 0, (0.5, 0.5), 0),
        *measured("plain", "b", 100, (0.58, 0.62), 100),
        *measured("plain", "b", None, (0.7, 0.7), 900),
        *measured("a", "b", 0, (0.6, 0.6), 0),
        *measured("a", "b", 100, (0.68, 0.72), 100),
    ]
    matrix = assemble(plan, cells)
    entry = matrix.entry("a", "b", 100)
    assert entry.value == pytest.approx(0.7)
    assert entry.gain == pytest.approx(0.1)
    assert entry.interval.low < 0.6
    assert entry.interval.high > 0.8
    assert (entry.gain_interval.low, entry.gain_interval.high) == (pytest.approx(0.1), pytest.approx(0.1))
    (worth,) = matrix.worths
    assert worth.worth.rows == pytest.approx(100)
    # Seeds are drawn too: with both of the worse kind, or of the better, other rows are as good.
    assert worth.worth.low < 95
    assert worth.worth.high > 105
    assert not any("did not help" in line for line in sentences(matrix, "en"))
    cells[4:6] = measured("plain", "b", None, (0.4, 0.4), 900)
    assert any("In b its own labelled pairs did not help" in line for line in sentences(assemble(plan, cells), "en"))
    for language in LANGUAGES:
        assert "0.7000" in page_of(matrix, language)
        assert "| 0.7000" in summary_of(matrix, language)


def worth_of(score, spread=0.001):
    rows, values = [0, 100, 1000, 5000], np.array([0.5, 0.6, 0.7, 0.8])
    noise = np.random.default_rng(1).normal(0, spread, (5, 400))
    return rows_worth(score, score + noise[0], rows, values, values[:, None] + noise[1:])


@pytest.mark.parametrize(
    ("score", "verdict", "said"),
    [
        (0.7, Verdict.SPARES, "worth about 1,000 labelled pairs in cosmetics ("),
        (0.9, Verdict.MORE_THAN_ALL, "worth more than all 5,000 labelled pairs of cosmetics."),
        (0.5, Verdict.NOTHING, "worth nothing in cosmetics"),
        (0.4, Verdict.HARMS, "does harm in cosmetics"),
    ],
)
def test_each_outcome_has_its_own_sentence(score, verdict, said):
    worth = worth_of(score)
    assert worth.verdict is verdict
    assert said in worth_sentence(SourceWorth("groceries", "cosmetics", worth), "pairs", "en")
    chinese = worth_sentence(SourceWorth("groceries", "cosmetics", worth), "pairs", "zh")
    assert chinese.startswith("在“groceries”上学到的，在“cosmetics”上")


def falling(score, spread=0.0005):
    rows, values = [0, 20, 100, 1000], np.array([0.60, 0.54, 0.55, 0.57])
    noise = np.random.default_rng(1).normal(0, spread, (5, 400))
    return rows_worth(score, score + noise[0], rows, values, values[:, None] + noise[1:])


def test_a_source_below_no_source_and_no_rows_does_harm_though_rows_do_more():
    assert falling(0.58).verdict is Verdict.HARMS
    assert falling(0.5995, spread=0.001).verdict is not Verdict.MORE_THAN_ALL  # no rows at all are as good
    assert falling(0.62).verdict is Verdict.MORE_THAN_ALL


@pytest.mark.parametrize(
    ("low", "rows", "high", "verdict", "said", "chinese"),
    [
        (0, 120, math.inf, Verdict.NOT_TOLD, "from nothing to more than all 209 labelled pairs", "无法分辨"),
        (7, math.inf, math.inf, Verdict.AT_LEAST, "at least about 7 labelled pairs in b, and perhaps", "至少约值 7 条"),
        (5, 16, math.inf, Verdict.SPARES, "about 16 labelled pairs in b (5 to more than all 209).", "（5 至超过全部 209）"),
        (5, 16, 30, Verdict.SPARES, "about 16 labelled pairs in b (5 to 30).", "（5 至 30）"),
        (0, 0, 0, Verdict.NOTHING, "worth nothing in b.", "没有价值。"),
        (0, 0.2, 1, Verdict.NOTHING, "worth nothing in b, or 1 labelled pair at most.", "没有价值，至多值 1 条标注样本。"),
        (0, 1.3, 110, Verdict.SPARES, "about 1 labelled pair in b (0 to 110).", "约值 1 条标注样本（0 至 110）"),
        (0, 1.3, 3, Verdict.SPARES, "next to nothing in b: about 1 labelled pair, 3 at most.", "约值 1 条标注样本，至多 3。"),
        (1, 2.2, 9, Verdict.SPARES, "next to nothing in b: about 2 labelled pairs, 9 at most.", "几乎没有价值"),
        (2, 3.2, 9, Verdict.SPARES, "about 3 labelled pairs in b (2 to 9).", "约值 3 条标注样本（2 至 9）"),
        (1, math.inf, math.inf, Verdict.AT_LEAST, "at least about 1 labelled pair in b, and", "至少约值 1 条标注样本，"),
        (0, 0, 14, Verdict.NOTHING, "worth nothing in b, or 14 labelled pairs at most.", "没有价值，至多值 14 条标注样本。"),
        (math.inf, math.inf, math.inf, Verdict.MORE_THAN_ALL, "more than all 209 labelled pairs of b.", "价值超过其全部 209 条"),
    ],
)  # fmt: skip
def test_a_sentence_claims_nothing_that_its_interval_denies(low, rows, high, verdict, said, chinese):
    worth = RowsWorth(verdict, rows, low, high, 209)
    assert said in worth_sentence(SourceWorth("a", "b", worth), "pairs", "en")
    assert chinese in worth_sentence(SourceWorth("a", "b", worth), "pairs", "zh")


def test_what_an_interval_leaves_open_is_not_told_apart():
    assert worth_of(0.6, spread=0.5).verdict is Verdict.NOT_TOLD
    assert worth_of(0.85, spread=0.06).verdict is Verdict.AT_LEAST


def test_rows_are_told_as_they_were_asked_where_whole_queries_come_near():
    entry = MatrixEntry("a", "b", 60, 58, 0, 0.5, None, None, None, ())
    assert told_rows(entry) == 60
    assert told_rows(replace(entry, learnt=40)) == 40
    assert told_rows(replace(entry, shots=None)) == 58


def test_what_is_a_little_worse_by_chance_does_no_harm():
    assert worth_of(0.495, spread=0.05).verdict is Verdict.NOTHING


def test_rows_are_told_by_two_digits_and_never_as_more_than_were_measured():
    assert [about(rows, 1000.0) for rows in (3.2, 17.4, 248, 999.0)] == ["3", "17", "250", "1,000"]
    assert about(248, 248.0) == "248"
    assert about(1234.0, 9999.0) == "1,200"


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("unit", ["pairs", "users"])
def test_a_name_with_braces_is_only_a_name(language, unit):
    worth = RowsWorth(Verdict.SPARES, 10, 1, float("inf"), 20)
    assert "{0.__class__}" in worth_sentence(SourceWorth("{0.__class__}", "b", worth), unit, language)
