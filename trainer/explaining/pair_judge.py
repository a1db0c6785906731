"""Explains a score that a model gives a pair of texts, whatever kind of model it is."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Protocol

import numpy as np
import numpy.typing as npt

from trainer.explaining.deletion import Weights, first_that_holds, leave_one_out, leave_out_in_turn
from trainer.explaining.explanation import Deletion, Explanation, Method, WeighedPart
from trainer.explaining.words import Word, find_words, first_words, leave_out

Floats = npt.NDArray[np.float64]

ALONE = "there is no other word to hold it against"
WORDLESS = "neither text has a word, which holds a letter or a digit"
READ = 2  # times as many words as a model reads tokens: what moves up where some are left out is there too
FAILED = "no method names words without which the score changes more than without others"


class PairJudge(Protocol):
    """What gives pairs of texts a score, and words their weights in it."""

    @property
    def unit(self) -> str:
        """Give what scores are."""
        ...

    @property
    def most_tokens(self) -> int:
        """Give how many tokens are read of a text at most."""
        ...

    def choose(self, query: str, product: str) -> "PairScore":
        """Give what of the model's answer to a pair is explained."""
        ...


@dataclass(frozen=True, slots=True)
class PairScore:
    """One number that a model gives pairs, and what it means of the pair that was asked."""

    answer: str
    of: Callable[[Sequence[str], Sequence[str]], Floats]
    way: float = 1.0  # that the answer went: -1 where the model says no, which words that lower the score carried
    own: Method | None = None  # the way of the model's kind to weigh words
    weigh: Callable[[Sequence[Word]], Weights] | None = None
    pair_up: Callable[[Sequence[Word]], Sequence[str]] | None = None  # each word's nearest of the other text


def explain_pair(judge: PairJudge, query: str, product: str, example_id: str = "") -> Explanation:
    """Say which words carried the answer, by the first method that holds; else that none does."""
    # Every word is left out once: of a text that goes on and on the model reads the beginning alone.
    asked, given = (first_words(text, READ * judge.most_tokens) for text in (query, product))
    words, score = find_words(asked, given), judge.choose(asked, given)
    whole = float(score.of([asked], [given])[0])

    def score_without(sets: Sequence[Sequence[int]]) -> Floats:
        left = [leave_out(asked, given, [words[place] for place in places]) for places in sets]
        return score.of([one for one, _ in left], [one for _, one in left])

    told = partial(Explanation, query, product, score.answer, whole, judge.unit, example_id=example_id)
    found = first_that_holds(_methods(score, words, whole, score_without), whole, score_without, score.way)
    if found is None or isinstance(found, Deletion):
        unfit = WORDLESS if not words else ALONE if found is None else FAILED
        return told(method=None, parts=(), deletion=found, unfit=unfit)
    method, weights, named, deletion = found
    paired = score.pair_up(words) if method is Method.SIMILARITY and score.pair_up is not None else [""] * len(words)
    parts = tuple(
        WeighedPart(word.text, word.side, weight, place in named, nearest)
        for place, (word, weight, nearest) in enumerate(zip(words, weights, paired, strict=True))
    )
    behind = find_words(query[len(asked) :], product[len(given) :])
    unread = (WeighedPart(word.text, word.side, None) for word in behind)
    return told(method=method, parts=(*parts, *unread), deletion=deletion)


def _methods(
    score: PairScore, words: Sequence[Word], whole: float, score_without: Callable[[Sequence[Sequence[int]]], Floats]
) -> Iterator[tuple[Method, Callable[[], Weights]]]:
    if not words:
        return
    if score.own is not None and score.weigh is not None:
        yield score.own, partial(score.weigh, words)
    yield Method.LEFT_OUT, partial(leave_one_out, whole, len(words), score_without)
    yield Method.IN_TURN, partial(leave_out_in_turn, whole, len(words), score_without, score.way)
