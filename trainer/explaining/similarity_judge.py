"""How near a retrieval model finds a query and a product, and what each pair of words adds to it."""

# Shape suffixes, scoped to this file:
#   Q = tokens of the query, P = tokens of the product, D = width

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt

from trainer.explaining.deletion import Weights
from trainer.explaining.explanation import Method, Side
from trainer.explaining.pair_judge import PairScore
from trainer.explaining.words import Word, gather_weights
from trainer.models.backbone import MEAN
from trainer.models.pair_tokens import encodings_of
from trainer.models.saved_encoder import SavedEncoder
from trainer.models.text_encoder import TextEncoder, unit

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class SimilarityJudge:
    """See trainer.explaining.pair_judge.PairJudge."""

    encoder: SavedEncoder

    @property
    def unit(self) -> str:
        """Give what scores are."""
        return "cosine"

    @property
    def most_tokens(self) -> int:
        """Give how many tokens of a text are read."""
        return self.encoder.max_tokens

    def choose(self, query: str, product: str) -> PairScore:
        """Explain the cosine; what BM25 adds to a list needs no explaining, it counts shared words."""
        told = f"cosine {self._cosines([query], [product])[0]:.3f}"
        if not isinstance(self.encoder, TextEncoder) or self.encoder.pooling != MEAN:
            return PairScore(told, self._cosines)
        shares = partial(share_cosine, self.encoder, query, product)
        return PairScore(
            told,
            self._cosines,
            1.0,
            Method.SIMILARITY,
            lambda words: _weigh(shares(), words),
            lambda words: _pair_up(shares(), words),
        )

    def _cosines(self, queries: Sequence[str], products: Sequence[str]) -> Floats:
        asked, found = (_embed(embed, texts) for embed, texts in self._sides(queries, products))
        return np.array([float(asked[q] @ found[p]) for q, p in zip(queries, products, strict=True)])

    def _sides(self, queries: Sequence[str], products: Sequence[str]) -> tuple[tuple[Any, Sequence[str]], ...]:
        return ((self.encoder.embed_queries, queries), (self.encoder.embed, products))


@dataclass(frozen=True, slots=True)
class Shares:
    """What each pair of tokens adds to a cosine, and where the tokens stand; all of it is the cosine."""

    share_QP: Floats
    query: list[tuple[Side, int, int] | None]
    product: list[tuple[Side, int, int] | None]


def share_cosine(encoder: TextEncoder, query: str, product: str) -> Shares:
    """Take a cosine of means of states apart: it is a sum over pairs of tokens, and nothing is left over."""
    states = [encoder.read_states(text).double().numpy() for text in (query, product)]
    length = float(np.prod([np.linalg.norm(state.mean(axis=0)) * len(state) for state in states]))
    share_QP = states[0] @ states[1].T / length
    return Shares(share_QP, _spans(encoder, Side.QUERY, query), _spans(encoder, Side.PRODUCT, product))


def _spans(encoder: TextEncoder, side: Side, text: str) -> list[tuple[Side, int, int] | None]:
    (encoding,) = encodings_of(encoder.tokenizer, [text])
    if not encoding.ids:
        return [None]
    return [(side, start, end) if end > start else None for start, end in encoding.offsets]


def _weigh(shares: Shares, words: Sequence[Word]) -> Weights:
    """Give a word what all pairs with it add: each side's words and the marks around them add up to the cosine."""
    weight_T = np.concatenate([shares.share_QP.sum(axis=1), shares.share_QP.sum(axis=0)])
    return gather_weights(words, [*shares.query, *shares.product], weight_T)


def _pair_up(shares: Shares, words: Sequence[Word]) -> list[str]:
    """Give each word the word of the other text that it adds most with."""
    found: list[str] = []
    for word in words:
        mine, theirs, share = (
            (shares.query, shares.product, shares.share_QP)
            if word.side is Side.QUERY
            else (shares.product, shares.query, shares.share_QP.T)
        )
        own = [place for place, span in enumerate(mine) if gather_weights([word], [span], np.ones(1))[0] is not None]
        others = [other for other in words if other.side is not word.side]
        added = gather_weights(others, theirs, share[own].sum(axis=0)) if own else []
        known = [(weight, other.text) for weight, other in zip(added, others, strict=False) if weight is not None]
        found.append(max(known)[1] if known else "")
    return found


def _embed(embed: Any, texts: Sequence[str]) -> dict[str, npt.NDArray[np.float32]]:
    distinct = sorted(set(texts))
    return dict(zip(distinct, unit(embed(distinct)), strict=True))
