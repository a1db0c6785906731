"""Hard negatives: products that the untrained model and BM25 rank high for a query and that are not relevant."""

# Shape suffixes, scoped to this file:
#   N = pairs to learn, T = distinct product texts, D = width of a vector

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from trainer.models.hybrid_search import Engine

Ints = npt.NDArray[np.int64]
Vectors = npt.NDArray[np.float32]

NOTHING = -1
DEPTH = 30  # candidates of either list


@dataclass(frozen=True, slots=True)
class Known:
    """What is judged: codes of (query, text), sorted, that are relevant; and texts of each query that are not."""

    relevant: Ints
    texts: int
    refused: Mapping[int, Sequence[int]]

    def are_relevant(self, query: Ints, text: Ints) -> npt.NDArray[np.bool_]:
        """Say of pairs of a query and a text, arrays of one length, whether they are judged relevant."""
        # One number a pair, found by bisection: a batch asks for its whole matrix of queries and texts at once.
        code = query * self.texts + text
        place = np.minimum(np.searchsorted(self.relevant, code), len(self.relevant) - 1)
        return np.asarray(self.relevant[place] == code)


def mine_negatives(
    query_N: Ints,
    text_N: Ints,
    engine: Engine,
    queries: Sequence[str],
    unit_QD: Mapping[int, Vectors],
    known: Known,
    *,
    each: int,
    margin: float,
    rng: np.random.Generator,
) -> Ints:
    """Give (N, each) texts, NOTHING where too few are hard and safe.

    What was judged irrelevant comes first. A mined text must be farther from the query than *margin* times the
    relevant one's cosine (Moreira et al. 2024): what is nearer may well be relevant and only unjudged.
    """
    mined = np.full((len(query_N), each), NOTHING, dtype=np.int64)
    if not each:
        return mined
    order = np.argsort(query_N, kind="stable")  # a query's pairs in a row: its candidates are looked for once
    candidates, candidate_query = np.empty(0, dtype=np.int64), NOTHING
    for place in order.tolist():
        query = int(query_N[place])
        if query != candidate_query:
            candidates, candidate_query = _candidates(query, engine, queries, unit_QD, known), query
        cosines = engine.unit_ID[candidates] @ unit_QD[query]
        own = float(engine.unit_ID[text_N[place]] @ unit_QD[query])
        safe = candidates[cosines < margin * own]
        refused = np.array(known.refused.get(query, ()), dtype=np.int64)
        # Drawn, not the nearest first: the nearest that nobody judged are the likeliest to be relevant. What a rater
        # refused goes first, being surer than any distance.
        chosen = np.concatenate([rng.permutation(refused), rng.permutation(safe)])[:each]
        mined[place, : len(chosen)] = chosen
    return mined


def _candidates(
    query: int, engine: Engine, queries: Sequence[str], unit_QD: Mapping[int, Vectors], known: Known
) -> Ints:
    near = engine.by_vector(unit_QD[query], DEPTH).items_L
    found = np.union1d(near, engine.by_words(queries[query], DEPTH).items_L)
    return found[~known.are_relevant(np.full(len(found), query), found)]
