"""What judged pairs say of a model: right or wrong at a threshold, order, distance, calibration."""

# Shape suffixes, scoped to this file:
#   N = pairs, C = classes asked of a pair

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]
Statistic = Callable[[Floats], Mapping[str, float]]

BINS = 10  # of the calibration error, each with as many pairs
TINY = 1e-7  # no chance is nearer to 0 or 1 where its logarithm is taken


@dataclass(frozen=True, slots=True)
class Answers:
    """Predictions on a two-sided question, relevant or not, and of grades where there are any."""

    relevant_N: Bools
    chance_N: Floats  # predicted, of being relevant
    threshold: float
    grade_N: Floats | None = None  # as judged
    predicted_N: Floats | None = None  # the same scale


@dataclass(frozen=True, slots=True)
class Choices:
    """Predictions of one class among several."""

    class_N: Ints
    chance_NC: Floats


def answer_metrics(answers: Answers) -> dict[str, float]:
    """Give scikit-learn's and scipy's numbers, every pair weighing the same; what is not defined is left out."""
    from sklearn import metrics

    right, said = answers.relevant_N, answers.chance_N >= answers.threshold
    precision, recall, f1, _ = metrics.precision_recall_fscore_support(
        right, said, average="binary", zero_division=np.nan
    )
    # Where a metric has no meaning (one class alone, say) it is left out, not set to nought: nought is a value.
    found = {
        "accuracy": float(metrics.accuracy_score(right, said)),
        # Without a relevant pair they cannot be but nought, whatever the model says: that is no measurement.
        "precision": float(precision) if right.any() else np.nan,
        "recall": float(recall),
        "f1": float(f1) if right.any() else np.nan,
        "auc": float(metrics.roc_auc_score(right, answers.chance_N)) if 0 < right.mean() < 1 else np.nan,
        "calibration_error": calibration_error(right.astype(np.float64), answers.chance_N),
    }
    if answers.grade_N is not None and answers.predicted_N is not None:
        from scipy.stats import spearmanr

        found["rmse"] = float(metrics.root_mean_squared_error(answers.grade_N, answers.predicted_N))
        varied = np.ptp(answers.grade_N) > 0 and np.ptp(answers.predicted_N) > 0
        found["spearman"] = float(spearmanr(answers.grade_N, answers.predicted_N).statistic) if varied else np.nan
    return {name: value for name, value in found.items() if np.isfinite(value)}


def choice_metrics(choices: Choices) -> dict[str, float]:
    """Give scikit-learn's numbers; precision, recall, F1 and AUC (one against the rest) are means over classes.

    The classes are those of the pairs: one that none of them has, or of precision one that is never said, has none.
    """
    from sklearn import metrics

    right, chances = choices.class_N, choices.chance_NC
    said = chances.argmax(axis=1)
    precision, recall, f1, _ = metrics.precision_recall_fscore_support(
        right, said, labels=np.unique(right), average="macro", zero_division=np.nan
    )
    areas = [weighted_auc(right == one, chances[:, one])(np.ones(len(right))) for one in range(chances.shape[1])]
    finite = [area for area in areas if np.isfinite(area)]
    found = {
        "accuracy": float(metrics.accuracy_score(right, said)),
        "precision": float(precision),
        "recall": float(recall),
        "f1": float(f1),
        "auc": float(np.mean(finite)) if finite else np.nan,
        "calibration_error": calibration_error((right == said).astype(np.float64), chances.max(axis=1)),
    }
    return {name: value for name, value in found.items() if np.isfinite(value)}


def answer_statistic(answers: Answers) -> Statistic:
    """Give the same numbers as a function of the pairs' weights, quick enough to be asked a thousand times."""
    right, said = answers.relevant_N.astype(np.float64), (answers.chance_N >= answers.threshold).astype(np.float64)
    area = weighted_auc(answers.relevant_N, answers.chance_N)
    grade_N, predicted_N = answers.grade_N, answers.predicted_N
    correlation = None if grade_N is None or predicted_N is None else weighted_spearman(grade_N, predicted_N)
    miss_N = None if grade_N is None or predicted_N is None else (grade_N - predicted_N) ** 2
    gap = weighted_calibration_error(right, answers.chance_N)

    def measure(weight_N: Floats) -> dict[str, float]:
        total, hits = weight_N.sum(), weight_N @ (right * said)
        says, rights = weight_N @ said, weight_N @ right
        found = {
            "accuracy": float(weight_N @ (right == said)) / total,
            "precision": hits / says if says and rights else np.nan,
            "recall": hits / rights if rights else np.nan,
            "f1": 2 * hits / (says + rights) if rights else np.nan,
            "auc": area(weight_N),
            "calibration_error": gap(weight_N),
        }
        if miss_N is not None and correlation is not None:
            found |= {"rmse": float(np.sqrt(weight_N @ miss_N / total)), "spearman": correlation(weight_N)}
        return found

    return measure


def choice_statistic(choices: Choices) -> Statistic:
    """Give the numbers of choice_metrics as a function of the pairs' weights."""
    right, chances = choices.class_N, choices.chance_NC
    classes, said = chances.shape[1], chances.argmax(axis=1)
    areas = [weighted_auc(right == one, chances[:, one]) for one in range(classes)]
    gap = weighted_calibration_error((right == said).astype(np.float64), chances.max(axis=1))

    def measure(weight_N: Floats) -> dict[str, float]:
        hits = np.bincount(right, weight_N * (right == said), classes)
        says, rights = np.bincount(said, weight_N, classes), np.bincount(right, weight_N, classes)
        with np.errstate(divide="ignore", invalid="ignore"):
            there = rights > 0
            precision, recall = (hits / says)[there & (says > 0)], (hits / rights)[there]
            f1 = (2 * hits / (says + rights))[there]
        finite = [area for one in areas if np.isfinite(area := one(weight_N))]
        return {
            "accuracy": float(hits.sum() / weight_N.sum()),
            "precision": float(precision.mean()) if len(precision) else np.nan,
            "recall": float(recall.mean()),
            "f1": float(f1.mean()),
            "auc": float(np.mean(finite)) if finite else np.nan,
            "calibration_error": gap(weight_N),
        }

    return measure


def weighted_auc(relevant_N: Bools, score_N: Floats) -> Callable[[Floats], float]:
    """Give the chance that a relevant pair outscores another, ties counting half, as a function of weights."""
    distinct, place_N = np.unique(score_N, return_inverse=True)  # sorted once, whatever the weights

    def area(weight_N: Floats) -> float:
        good = np.bincount(place_N, weight_N * relevant_N, len(distinct))
        bad = np.bincount(place_N, weight_N * ~relevant_N, len(distinct))
        # Mann and Whitney's U over all pairs of a relevant and another: what lies below counts, of ties one half.
        whole = good.sum() * bad.sum()
        return float(good @ (np.cumsum(bad) - bad / 2) / whole) if whole else float("nan")

    return area


def weighted_spearman(one_N: Floats, other_N: Floats) -> Callable[[Floats], float]:
    """Give the correlation of mid-ranks as a function of weights."""
    places = [np.unique(values, return_inverse=True)[1] for values in (one_N, other_N)]

    def correlation(weight_N: Floats) -> float:
        counts = [np.bincount(place_N, weight_N) for place_N in places]
        ranks = [(np.cumsum(count) - count / 2)[place_N] for count, place_N in zip(counts, places, strict=True)]
        # Mid-ranks but for a half, which goes with the mean.
        first, second = (rank_N - np.average(rank_N, weights=weight_N) for rank_N in ranks)
        spread = np.sqrt((weight_N @ first**2) * (weight_N @ second**2))
        return float(weight_N @ (first * second) / spread) if spread else float("nan")

    return correlation


def calibration_error(happened_N: Floats, chance_N: Floats) -> float:
    """Give the expected calibration error (Guo et al. 2017) over bins of as many pairs each."""
    return weighted_calibration_error(happened_N, chance_N)(np.ones(len(chance_N)))


def weighted_calibration_error(happened_N: Floats, chance_N: Floats) -> Callable[[Floats], float]:
    """Give the expected calibration error as a function of weights; the bins stay those of the pairs themselves."""
    # Bins of as many pairs each (Nixon et al. 2019): chances crowd at the ends, where bins of equal width would hold
    # nearly all pairs in one and leave others to chance.
    edges = np.quantile(chance_N, np.linspace(0, 1, BINS + 1)[1:-1])
    bin_N = np.searchsorted(edges, chance_N, side="right")

    def gap(weight_N: Floats) -> float:
        differences = np.bincount(bin_N, weight_N * (happened_N - chance_N), BINS)
        return float(np.abs(differences).sum() / weight_N.sum())

    return gap


def log_losses(relevant_N: Floats, chance_N: Floats) -> Floats:
    """Give each pair's cross-entropy in nats."""
    # Who was certain and wrong pays 16 nats: infinity would make the mean say nothing of all others.
    safe_N = np.clip(chance_N, TINY, 1 - TINY)
    return np.asarray(-(relevant_N * np.log(safe_N) + (1 - relevant_N) * np.log(1 - safe_N)))


def best_threshold(relevant_N: Bools, chance_N: Floats) -> float:
    """Give the threshold with the highest F1 on these pairs, halfway between two predictions."""
    order = np.argsort(-chance_N, kind="stable")
    chance, right = chance_N[order], relevant_N[order]
    # Twice the hits over what is said and what is right: F1 at every threshold in one pass.
    f1 = 2 * np.cumsum(right) / (np.arange(1, len(right) + 1) + right.sum())
    last = np.append(chance[:-1] > chance[1:], True)  # a threshold cannot part equal predictions
    place = int(np.argmax(np.where(last, f1, -1.0)))
    below = chance[place + 1] if place + 1 < len(chance) else 0.0
    return float((chance[place] + below) / 2)
