"""From a model's raw outputs on judged pairs to metrics, rows and statistics."""

# Shape suffixes, scoped to this file:
#   N = pairs, C = outputs of the model

from dataclasses import dataclass
from pathlib import Path

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
from trainer.measures.ranked_lists import Ranked, rank_metrics, whole_gains
from trainer.models.calibration import Calibration, fit_logistic
from trainer.models.label_scale import CLASSES, GRADES, LabelScale, RelevanceSettings, numbered_classes

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]


TIES = 20_240_229  # seeds the order of equal predictions


@dataclass(frozen=True, slots=True)
class PairPredictions:
    """Pairs and what a model says of them: one of `answers` and `choices` is there."""

    pairs: Pairs
    rows: Ints
    saved: RelevanceSettings
    answers: Answers | None
    choices: Choices | None


def predict(pairs: Pairs, rows: Ints, output_NC: Floats, saved: RelevanceSettings, where: Path) -> PairPredictions:
    """Turn outputs into chances, classes and grades."""
    label_N, scale = pairs.label[rows], saved.scale
    if scale.kind == CLASSES:
        chosen = Choices(class_numbers(pairs, rows, scale, where), saved.calibration.class_chances(output_NC))
        return PairPredictions(pairs, rows, saved, None, chosen)
    # Two lines fitted apart: one to the chance of being relevant, one to the grade.
    graded = scale.kind == GRADES
    answers = Answers(
        label_N >= scale.relevant,
        saved.certainty.chances(output_NC[:, 0]),
        saved.threshold,
        label_N if graded else None,
        scale.grades(saved.calibration.chances(output_NC[:, 0])) if graded else None,
    )
    return PairPredictions(pairs, rows, saved, answers, None)


def class_numbers(pairs: Pairs, rows: Ints, scale: LabelScale, where: Path) -> Ints:
    """Give each row's class as the model numbers them; raise ModelError for one it does not know."""
    return numbered_classes(pairs.label[rows], pairs.classes, scale, where)


def prediction_metrics(judged: PairPredictions, k: int) -> dict[str, float]:
    """Give the metrics over pairs and, where queries have several, over their lists."""
    if judged.choices is not None:
        return choice_metrics(judged.choices)
    assert judged.answers is not None
    lists = _list_metrics(judged, k)
    return answer_metrics(judged.answers) | {name: float(np.mean(values)) for name, values in lists.items()}


def prediction_statistic(judged: PairPredictions) -> Statistic:
    """Give the metrics over pairs as a function of the pairs' weights, for resampling."""
    if judged.choices is not None:
        return choice_statistic(judged.choices)
    assert judged.answers is not None
    return answer_statistic(judged.answers)


def prediction_table(judged: PairPredictions, k: int) -> PerExample:
    """Give one row a pair; pairs of one query are one example. A query's nDCG and MRR stand in each of its rows."""
    pairs, rows = judged.pairs, judged.rows
    query_N = pairs.query_id[rows]
    values = _row_values(judged)
    for name, value_Q in _list_metrics(judged, k).items():
        values[name] = value_Q[dense(query_N)]  # repeated: the mean over a query's rows is the query's value
    return PerExample(
        tuple(pairs.query_keys[query] for query in query_N.tolist()),
        {name: tuple(column[row] for row in rows.tolist()) for name, column in pairs.slices.items()},
        np.ones(len(rows)),
        values,
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


def _list_metrics(judged: PairPredictions, k: int) -> dict[str, Floats]:
    """Give nDCG@k and MRR of each query, none where every query has a single pair."""
    answers, pairs, rows = judged.answers, judged.pairs, judged.rows
    query_N = dense(pairs.query_id[rows])
    queries = int(query_N.max()) + 1
    if answers is None or queries == len(rows):
        return {}
    scale = judged.saved.scale
    gain_N = whole_gains(pairs.label[rows], scale.low)
    by_chance = np.random.default_rng(TIES).permutation(len(rows))  # rows may come best first in the source
    order = np.lexsort((by_chance, -answers.chance_N, query_N))
    parts = np.split(order, np.flatnonzero(np.diff(query_N[order])) + 1)
    gains = [dict(zip(part.tolist(), gain_N[part].tolist(), strict=True)) for part in parts]
    # At least 1: where the lowest grade already counts as relevant, a gain of nought would make all products so.
    least = int(whole_gains(np.array([scale.relevant]), scale.low)[0])
    return rank_metrics(Ranked(gains, parts), ndcg=(k,), least=max(least, 1))


def settle_outputs(output_N: Floats, label_N: Floats, scale: LabelScale) -> tuple[Calibration, Calibration, float]:
    """Fit grades and chances to the valid rows' labels, and the threshold to their relevance."""
    relevant_N = label_N >= scale.relevant
    # Two lines: the chance of being relevant bends otherwise than the mean grade.
    certainty = fit_logistic(output_N, relevant_N.astype(np.float64))
    threshold = best_threshold(relevant_N, certainty.chances(output_N))
    return fit_logistic(output_N, scale.shares(label_N)), certainty, threshold
