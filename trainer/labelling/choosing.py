"""Which pairs to label next: by what a model doubts, where judges differ, and what is unlike the rest."""

# Shape suffixes, scoped to this file:
#   N = pairs, M = models, C = classes, D = numbers of a vector

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

CANDIDATES = 10  # times as many as are wanted are clustered (Zhdanov 2019: the rest is too sure to teach)


def doubt(chance_NC: Floats) -> Floats:
    """Give the entropy of each pair's chances, 1 where all are alike."""
    return np.asarray(_entropy(chance_NC) / np.log(chance_NC.shape[1]))


def discord(chance_MNC: Floats) -> Floats:
    """Give how far models differ on each pair: the entropy of their mean less the mean of their entropies."""
    return np.asarray(_entropy(chance_MNC.mean(axis=0)) - _entropy(chance_MNC).mean(axis=0))


def rank_gap(first_N: Floats, second_N: Floats) -> Floats:
    """Give how far two judges' orders of the pairs are apart, as a share of all places; what ties shares a place."""
    return np.abs(places(first_N) - places(second_N))


def places(score_N: Floats) -> Floats:
    """Give each pair's place among all by its score, from above 0 to 1."""
    from scipy.stats import rankdata

    return np.asarray(rankdata(score_N) / max(1, len(score_N)))


def pick(worth: Mapping[str, Floats], vector_ND: Floats | None, count: int, size: int, seed: int) -> list[int]:
    """Choose so many pairs, those worth most first; with vectors the one nearest to the centre of each cluster.

    Without anything to choose by they are drawn.
    """
    rng = np.random.default_rng(seed)
    count = min(count, size)
    if not worth and vector_ND is None:
        return list(map(int, rng.permutation(size)[:count]))
    # What ties must not come in the order of the table, which may be one of queries.
    shuffled = rng.permutation(size)
    worth_N = np.mean([places(one) for one in worth.values()], axis=0) if worth else np.ones(size)
    order = shuffled[np.argsort(-worth_N[shuffled], kind="stable")]
    if vector_ND is None:
        return list(map(int, order[:count]))
    candidates = order[: count * CANDIDATES] if worth else order
    chosen = candidates[_nearest_to_centres(vector_ND[candidates], worth_N[candidates], count, seed)]
    return sorted(map(int, chosen), key=lambda place: -worth_N[place])


def _nearest_to_centres(vector_ND: Floats, worth_N: Floats, count: int, seed: int) -> Sequence[int]:
    """Give as many places as there are clusters, each the nearest to its centre that is not taken yet."""
    if len(vector_ND) <= count:
        return range(len(vector_ND))
    from sklearn.cluster import MiniBatchKMeans

    unit_ND = vector_ND / np.maximum(np.linalg.norm(vector_ND, axis=1, keepdims=True), 1e-12)
    clusters = MiniBatchKMeans(count, n_init=1, batch_size=max(1024, 2 * count), random_state=seed)
    clusters.fit(unit_ND, sample_weight=worth_N)
    away_NC, taken = clusters.transform(unit_ND), np.zeros(len(unit_ND), dtype=np.bool_)
    for cluster in range(count):
        nearest = int(np.argmin(np.where(taken, np.inf, away_NC[:, cluster])))
        taken[nearest] = True
    return [int(place) for place in np.flatnonzero(taken)]


def _entropy(chance: Floats) -> Floats:
    return np.asarray(-(chance * np.log(np.maximum(chance, 1e-12))).sum(axis=-1))
