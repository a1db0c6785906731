"""From a model's raw outputs on judged pairs to metrics, rows and statistics."""

# Shape suffixes, scoped to this file:
#   N = pairs, C = outputs of the model

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from trainer.data.pairs import Pairs
from trainer.measures.pair_metrics import (
    Answers,
    Choices,
    Statistic,
    answer_metrics,
    answer_statistic,
    best_threshold,
    choice_metrics,
    choice_statistic,
    log_losses,
)
from trainer.measures.per_example import PerExample
from trainer.measures.ranked_lists import RankedList, rank_metrics
from trainer.models.calibration import Calibration, fit_logistic
from trainer.models.label_scale import CLASSES, GRADES, LabelScale, RelevanceSettings, numbered_classes

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class PairPredictions:
    """Pairs and what a model says of them: one of `answers` and `choices` is there."""

    pairs: Pairs
    rows: Ints
    saved: RelevanceSettings
    answers: Answers | None
    choices: Choices | None
    nothing_relevant: Literal["leave out", "zero"] = "leave out"  # what a query counts for that has nothing relevant


def predict(
    pairs: Pairs,
    rows: Ints,
    output_NC: Floats,
    saved: RelevanceSettings,
    where: Path,
    nothing_relevant: Literal["leave out", "zero"] = "leave out",
) -> PairPredictions:
    """Turn outputs into chances, classes and grades."""
    label_N, scale = pairs.label[rows], saved.scale
    if scale.kind == CLASSES:
        chosen = Choices(class_numbers(pairs, rows, scale, where), saved.calibration.class_chances(output_NC))
        return PairPredictions(pairs, rows, saved, None, chosen, nothing_relevant)
    # Two lines fitted apart: one to the chance of being relevant, one to the grade.
    graded = scale.kind == GRADES
    answers = Answers(
        label_N >= scale.relevant,
        saved.certainty.chances(output_NC[:, 0]),
        saved.threshold,
        label_N if graded else None,
        scale.grades(saved.calibration.chances(output_NC[:, 0])) if graded else None,
    )
    return PairPredictions(pairs, rows, saved, answers, None, nothing_relevant)


def class_numbers(pairs: Pairs, rows: Ints, scale: LabelScale, where: Path) -> Ints:
    """Give each row's class as the model numbers them; raise ModelError for one it does not know."""
    return numbered_classes(pairs.label[rows], pairs.classes, scale, where)


def prediction_metrics(judged: PairPredictions, k: int) -> dict[str, float]:
    """Give the metrics over pairs and, where queries have several, over their lists; what is not defined is absent."""
    if judged.choices is not None:
        return choice_metrics(judged.choices)
    assert judged.answers is not None
    lists = list_metrics(judged, k)
    means = {name: float(np.nanmean(values)) for name, values in lists.items() if not np.isnan(values).all()}
    return answer_metrics(judged.answers) | means


def prediction_statistic(judged: PairPredictions) -> Statistic:
    """Give the metrics over pairs as a function of the pairs' weights, for resampling."""
    if judged.choices is not None:
        return choice_statistic(judged.choices)
    assert judged.answers is not None
    return answer_statistic(judged.answers)


def prediction_columns(judged: PairPredictions) -> list[Floats]:
    """Give what tells pairs apart by what they are and what is said of them."""
    if judged.choices is not None:
        return [judged.choices.class_N.astype(np.float64), *judged.choices.chance_NC.T]
    assert judged.answers is not None
    grade_N = judged.answers.grade_N
    told = [judged.answers.chance_N, judged.answers.relevant_N.astype(np.float64)]
    return told if grade_N is None else [*told, grade_N]


def count_without(judged: PairPredictions) -> int | None:
    """Give how many queries have nothing relevant; None where no lists are measured."""
    if judged.answers is None or not has_lists(judged):
        return None
    query_N = judged.pairs.query_id[judged.rows]
    return len(np.unique(query_N)) - len(np.unique(query_N[judged.answers.relevant_N]))


def prediction_table(judged: PairPredictions, k: int, unit: Literal["query", "user", "product"]) -> PerExample:
    """Give one row a pair; pairs of one query are one example. A query's nDCG and MRR stand in each of its rows."""
    pairs, rows = judged.pairs, judged.rows
    query_N = pairs.query_id[rows]
    values = _row_values(judged)
    for name, value_Q in list_metrics(judged, k).items():
        values[name] = value_Q[dense(query_N)]  # repeated: the mean over a query's rows is the query's value
    return PerExample(
        tuple(pairs.query_keys[query] for query in query_N.tolist()),
        {name: tuple(column[row] for row in rows.tolist()) for name, column in pairs.slices.items()},
        np.ones(len(rows)),
        values,
        pairs.names(rows, unit),
        unit,
    )


def predictions(judged: PairPredictions) -> pa.Table:
    """Give every pair with its label and what the model says of it."""
    pairs, rows = judged.pairs, judged.rows
    columns = {
        "query": pa.array([pairs.query_keys[query] for query in pairs.query_id[rows].tolist()], pa.string()),
        "product": pa.array([pairs.product_keys[item] for item in pairs.product_id[rows].tolist()], pa.string()),
        "label": pa.array(pairs.label[rows]),
    }
    if judged.choices is not None:
        names = judged.saved.scale.classes
        columns["label"] = pa.array([names[place] for place in judged.choices.class_N.tolist()])
        columns["predicted"] = pa.array([names[place] for place in judged.choices.chance_NC.argmax(axis=1).tolist()])
        columns["chance"] = pa.array(judged.choices.chance_NC.max(axis=1))
    if judged.answers is not None:
        columns["chance"] = pa.array(judged.answers.chance_N)
        if judged.answers.predicted_N is not None:
            columns["predicted"] = pa.array(judged.answers.predicted_N)
    return pa.table(columns)


def dense(values: Ints) -> Ints:
    """Number values from 0 without gaps, in their order."""
    return np.asarray(np.unique(values, return_inverse=True)[1])


def _row_values(judged: PairPredictions) -> dict[str, Floats]:
    if judged.choices is not None:
        right, chances = judged.choices.class_N, judged.choices.chance_NC
        own = chances[np.arange(len(right)), right]
        return {
            "correct": (chances.argmax(axis=1) == right).astype(np.float64),
            "log_loss": log_losses(np.ones(len(right)), own),
        }
    answers = judged.answers
    assert answers is not None
    wanted = answers.relevant_N.astype(np.float64)
    values = {
        "correct": ((answers.chance_N >= answers.threshold) == answers.relevant_N).astype(np.float64),
        "log_loss": log_losses(wanted, answers.chance_N),
        "brier": (answers.chance_N - wanted) ** 2,
    }
    if answers.grade_N is not None and answers.predicted_N is not None:
        values["squared_error"] = (answers.grade_N - answers.predicted_N) ** 2
    return values


def has_lists(judged: PairPredictions) -> bool:
    """Say whether any query has several pairs: an order of one says nothing."""
    return several_a_query(judged.pairs, judged.rows)


def several_a_query(pairs: Pairs, rows: Ints) -> bool:
    """Say whether any query has several of some rows."""
    return len(np.unique(pairs.query_id[rows])) < len(rows)


def list_metrics(judged: PairPredictions, k: int) -> dict[str, Floats]:
    """Give nDCG@k and MRR of each query, none where every query has a single pair.

    They are no numbers of a query with nothing relevant, or nought where it is to count so.
    """
    answers, pairs, rows = judged.answers, judged.pairs, judged.rows
    if answers is None or not has_lists(judged):
        return {}
    query_N, scale = pairs.query_id[rows], judged.saved.scale
    gain_N = pairs.label[rows] - scale.low
    # Above nought: where the lowest grade already counts as relevant, all products would be so.
    least = scale.relevant - scale.low if scale.relevant > scale.low else np.nextafter(0.0, 1.0)
    order = np.argsort(query_N, kind="stable")
    parts = np.split(order, np.flatnonzero(np.diff(query_N[order])) + 1)
    lists = [RankedList(answers.chance_N[part], gain_N[part], gain_N[part]) for part in parts]
    found = rank_metrics(lists, ndcg=(k,), least=float(least), depth=None)
    if judged.nothing_relevant == "zero":
        return {name: np.nan_to_num(values) for name, values in found.items()}
    return found


def settle_outputs(output_N: Floats, label_N: Floats, scale: LabelScale) -> tuple[Calibration, Calibration, float]:
    """Fit grades and chances to the valid rows' labels, and the threshold to their relevance."""
    relevant_N = label_N >= scale.relevant
    # Two lines: the chance of being relevant bends otherwise than the mean grade.
    certainty = fit_logistic(output_N, relevant_N.astype(np.float64))
    threshold = best_threshold(relevant_N, certainty.chances(output_N))
    return fit_logistic(output_N, scale.shares(label_N)), certainty, threshold
