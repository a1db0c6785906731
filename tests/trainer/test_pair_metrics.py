"""The metrics of judged pairs, held against scikit-learn, and how far they are to be trusted."""

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from scipy.stats import spearmanr
from sklearn import metrics

from trainer.errors import DataError
from trainer.measures.bootstrap import mean_intervals, statistic_intervals, table_intervals
from trainer.measures.pair_metrics import (
    Answers,
    Choices,
    answer_metrics,
    answer_statistic,
    best_threshold,
    choice_metrics,
    choice_statistic,
    weighted_auc,
    weighted_spearman,
)
from trainer.measures.per_example import PerExample
from trainer.models.calibration import fit_logistic, fit_temperature, logistic
from trainer.results.per_example_files import Table, read_per_example
from trainer.results.run_comparison import compare


@pytest.fixture
def rng():
    return np.random.default_rng(5)


def make_answers(rng, count=300):
    grade = rng.integers(1, 4, count).astype(float)
    chance = np.round(logistic(grade - 2 + rng.normal(0, 1, count)), 2)  # rounded: with ties
    return Answers(grade >= 3, chance, 0.5, grade, 1 + 2 * chance)


def test_the_quick_statistic_gives_scikit_learns_numbers(rng):
    answers = make_answers(rng)
    quick = answer_statistic(answers)(np.ones(300))
    for name, value in answer_metrics(answers).items():
        assert quick[name] == pytest.approx(value), name


def test_weights_are_repetitions(rng):
    answers, weight = make_answers(rng), rng.integers(0, 3, 300)
    rows = np.repeat(np.arange(300), weight)
    area = weighted_auc(answers.relevant_N, answers.chance_N)(weight.astype(float))
    assert area == pytest.approx(metrics.roc_auc_score(answers.relevant_N[rows], answers.chance_N[rows]))
    correlation = weighted_spearman(answers.grade_N, answers.predicted_N)(weight.astype(float))
    assert correlation == pytest.approx(spearmanr(answers.grade_N[rows], answers.predicted_N[rows]).statistic)


def test_classes_have_the_same_numbers_both_ways(rng):
    chance = rng.dirichlet(np.ones(3), 200)
    choices = Choices(rng.integers(0, 3, 200), chance)
    quick = choice_statistic(choices)(np.ones(200))
    for name, value in choice_metrics(choices).items():
        assert quick[name] == pytest.approx(value), name
    assert choice_metrics(choices)["auc"] == pytest.approx(
        metrics.roc_auc_score(choices.class_N, chance, multi_class="ovr")
    )


def test_one_class_alone_has_no_auc_and_says_nothing_of_it():
    answers = Answers(np.ones(4, dtype=bool), np.array([0.1, 0.2, 0.8, 0.9]), 0.5)
    assert "auc" not in answer_metrics(answers)


def test_an_interval_covers_the_truth_about_as_often_as_it_says(rng):
    covered = 0
    for _ in range(60):
        (interval,) = mean_intervals(rng.normal(0.3, 1.0, (80, 1)))
        covered += interval.low <= 0.3 <= interval.high
    assert covered >= 50


def test_rows_of_one_example_are_drawn_together(rng):
    """A hundred copies of each of ten values tell no more than the ten do."""
    values = rng.normal(0, 1, 10)
    example = np.repeat(np.arange(10), 100)
    rows = np.repeat(values, 100)
    found = statistic_intervals(example, lambda weight: {"mean": float(np.average(rows, weights=weight))})["mean"]
    (alone,) = mean_intervals(values[:, None])
    assert found.high - found.low == pytest.approx(alone.high - alone.low, rel=0.15)


def test_the_interval_of_a_table_is_that_of_its_examples(rng):
    value = rng.normal(0, 1, 200)
    table = PerExample(tuple(f"q{n // 2}" for n in range(200)), {}, np.ones(200), {"m": value})
    means = value.reshape(100, 2).mean(axis=1)
    # np.unique orders ids as text, and the draw depends on the order
    order = np.argsort([f"q{n}" for n in range(100)])
    assert table_intervals(table)["m"] == mean_intervals(means[order, None])[0]


def test_calibration_finds_the_line_that_made_the_labels(rng):
    output = rng.normal(0, 2, 20_000)
    found = fit_logistic(output, (rng.random(20_000) < logistic(0.5 * output + 1)).astype(float))
    assert (found.slope, found.shift) == (pytest.approx(0.5, abs=0.05), pytest.approx(1.0, abs=0.05))


def test_overconfident_classes_are_cooled(rng):
    wanted = rng.integers(0, 3, 500)
    output = np.eye(3)[wanted] * 1.0 + rng.normal(0, 1, (500, 3))
    assert fit_temperature(output * 10, wanted).slope < 0.3


def test_the_threshold_is_the_one_with_the_highest_f1(rng):
    answers = make_answers(rng)
    chosen = best_threshold(answers.relevant_N, answers.chance_N)
    tried = [metrics.f1_score(answers.relevant_N, answers.chance_N >= cut) for cut in np.unique(answers.chance_N)]
    assert metrics.f1_score(answers.relevant_N, answers.chance_N >= chosen) == pytest.approx(max(tried))


def make_table(values, name="t"):
    ids = tuple(f"q{n}" for n in range(len(values)))
    return Table(name, ids, np.ones(len(values)), {"m": np.asarray(values, dtype=float)}, {"half": tuple("ab"[n % 2] for n in range(len(values)))}, ids, "example")  # fmt: skip


def test_a_real_difference_is_told_from_chance(rng):
    base = rng.normal(0, 1, 300)
    better = compare(make_table(base), make_table(base + 0.1 + rng.normal(0, 0.2, 300))).differences[0]
    same = compare(make_table(base), make_table(base + rng.normal(0, 0.2, 300))).differences[0]
    assert better.p < 0.001
    assert better.low > 0
    assert same.p > 0.01
    assert same.low < 0 < same.high or same.p > 0.01


def test_examples_of_one_run_alone_are_counted(rng):
    found = compare(make_table(np.zeros(5)), make_table(np.zeros(8)), "half")
    assert (found.shared, found.only_first, found.only_second) == (5, 0, 3)
    assert [one.examples for one in found.differences] == [5, 3, 2]


def test_a_metric_that_no_example_of_both_has_is_no_comparison():
    with pytest.raises(DataError, match="a and b: no example of both has m defined"):
        compare(make_table(np.zeros(5), "a"), make_table(np.full(5, np.nan), "b"))


def written(path, **columns):
    pq.write_table(pa.table(columns), path)
    return path


@pytest.mark.parametrize(
    ("columns", "said"),
    [({"m": [0.5, np.inf]}, "row 2: 'm' is endless"),
     ({"m": [0.5, 0.1], "weight": [1.0, -1.0]}, "row 2: 'weight' is no number of nought or more"),
     ({"m": [0.5, 0.1], "weight": [None, 1.0]}, "row 1: 'weight' is no number of nought or more")],
)  # fmt: skip
def test_a_table_that_cannot_be_added_up_is_refused_with_its_row(tmp_path, columns, said):
    with pytest.raises(DataError, match=said):
        read_per_example(written(tmp_path / "t.parquet", example_id=["a", "b"], **columns))


def test_an_example_has_one_id_in_whichever_type_it_is_held(tmp_path):
    ids = {"int": [1, 2], "float": [1.0, 2.0], "text": ["1", "2"]}
    found = {
        name: read_per_example(written(tmp_path / name, example_id=of, m=[0.0, 1.0])).ids for name, of in ids.items()
    }
    assert set(found.values()) == {("1", "2")}


def test_without_a_relevant_pair_nothing_that_asks_for_one_is_nought():
    answers = Answers(np.zeros(4, dtype=bool), np.array([0.1, 0.2, 0.8, 0.9]), 0.5)
    assert answer_metrics(answers).keys() == {"accuracy", "calibration_error"}
    quick = answer_statistic(answers)(np.ones(4))
    assert all(np.isnan(quick[name]) for name in ("precision", "recall", "f1", "auc"))


def test_a_model_that_calls_nothing_relevant_has_a_recall_and_no_precision():
    found = answer_metrics(Answers(np.array([True, False]), np.array([0.1, 0.2]), 0.5))
    assert (found["recall"], found["f1"]) == (0.0, 0.0)
    assert "precision" not in found


def test_a_class_that_no_pair_has_drags_no_mean_down():
    choices = Choices(np.array([0, 0, 1, 1]), np.eye(3)[[0, 0, 1, 1]])
    found = choice_metrics(choices)
    assert (found["recall"], found["precision"], found["f1"]) == (1.0, 1.0, 1.0)
    assert choice_statistic(choices)(np.ones(4))["f1"] == 1.0
