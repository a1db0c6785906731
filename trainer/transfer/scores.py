"""What a cell's model is worth on its target, and the same on targets that might have been drawn instead."""

# Shape suffixes, scoped to this file:
#   N = rows of a table, R = replicates, C = clusters

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from trainer.errors import TrainingError
from trainer.measures.bootstrap import resampled_counts, sum_clusters
from trainer.measures.pair_metrics import weighted_auc
from trainer.measures.per_example import PerExample
from trainer.task import Outcome
from trainer.tasks.relevance import PREDICTIONS
from trainer.transfer.plan import ACCURACY, AUC

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class CellScore:
    """A metric, and its value for each draw of clusters; the draws are the same for all cells of a target."""

    value: float
    value_R: Floats
    unit: str  # what is drawn whole
    clusters: int


def score_of(outcome: Outcome, metric: str, relevant: float | None) -> CellScore:
    """Measure a cell; *relevant* is the grade from which a pair counts, where pairs are judged.

    Rows of a target come in one order whatever is scored on it, so that draw by draw two cells can be compared.
    """
    table = outcome.table
    if metric in (AUC, ACCURACY):
        value, value_R = _of_pairs(outcome, metric, relevant)
    elif metric in table.values:
        value, value_R = _of_means(table, metric)
    else:
        raise TrainingError(f"transfer: {metric} is not defined on this target")
    clusters = int(table.number_clusters().max()) + 1
    return CellScore(value, value_R, table.unit, clusters)


def _of_means(table: PerExample, metric: str) -> tuple[float, Floats]:
    sums = sum_clusters(
        PerExample(table.example_ids, {}, table.weights, {metric: table.values[metric]}, table.clusters)
    )
    total_C, count_C = sums.total_CM[:, 0], sums.count_CM[:, 0]
    with np.errstate(divide="ignore", invalid="ignore"):
        parts = [(count_RC @ total_C) / (count_RC @ count_C) for count_RC in resampled_counts(len(total_C))]
    return float(total_C.sum() / count_C.sum()), np.concatenate(parts)


def _of_pairs(outcome: Outcome, metric: str, relevant: float | None) -> tuple[float, Floats]:
    cluster_N = outcome.table.number_clusters()
    if metric == AUC:
        told = outcome.tables[PREDICTIONS]
        assert relevant is not None  # classes have no such area
        area = weighted_auc(
            told["label"].to_numpy().astype(np.float64) >= relevant, told["chance"].to_numpy().astype(np.float64)
        )
    else:
        right_N = outcome.table.values["correct"]

        def area(weight_N: Floats) -> float:
            return float(weight_N @ right_N / weight_N.sum())

    found = [
        area(count_C[cluster_N]) for count_RC in resampled_counts(int(cluster_N.max()) + 1) for count_C in count_RC
    ]
    return area(np.ones(len(cluster_N))), np.array(found)
