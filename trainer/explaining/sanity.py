"""Whether explanations are of the model at all: deletion over many pairs, and a model of random weights beside it."""

from collections.abc import Mapping, Sequence
from copy import deepcopy

import numpy as np
import torch

from trainer.explaining.deletion import Weights, check_deletion, leave_one_out, leave_out_in_turn, name_parts
from trainer.explaining.explanation import Deletion, Method
from trainer.explaining.pair_judge import PairJudge
from trainer.explaining.words import Floats, find_words, leave_out
from trainer.models.cross_encoder import CrossEncoder


def weigh_all(judge: PairJudge, query: str, product: str) -> Mapping[Method, Weights]:
    """Weigh the words of a pair by every method."""
    return _Asked(judge, query, product).weigh()


def try_methods(judge: PairJudge, query: str, product: str) -> Mapping[Method, Deletion | None]:
    """Weigh the words of a pair by every method, and hold each to what it says."""
    asked, found = _Asked(judge, query, product), {}
    for method, weights in asked.weigh().items():
        read = [place for place, weight in enumerate(weights) if weight is not None]
        named, rng = name_parts(weights, asked.score.way), np.random.default_rng(len(weights))
        found[method] = check_deletion(named, asked.whole, read, asked.score_without, rng)
    return found


class _Asked:
    def __init__(self, judge: PairJudge, query: str, product: str) -> None:
        self.query, self.product = query, product
        self.words, self.score = find_words(query, product), judge.choose(query, product)
        self.whole = float(self.score.of([query], [product])[0])

    def weigh(self) -> dict[Method, Weights]:
        found: dict[Method, Weights] = {}
        if self.score.own is not None and self.score.weigh is not None:
            found[self.score.own] = self.score.weigh(self.words)
        found[Method.LEFT_OUT] = leave_one_out(self.whole, len(self.words), self.score_without)
        found[Method.IN_TURN] = leave_out_in_turn(self.whole, len(self.words), self.score_without, self.score.way)
        return found

    def score_without(self, sets: Sequence[Sequence[int]]) -> Floats:
        left = [leave_out(self.query, self.product, [self.words[place] for place in places]) for places in sets]
        return self.score.of([one for one, _ in left], [one for _, one in left])


def randomised(model: CrossEncoder, seed: int) -> CrossEncoder:
    """Give a model that has learnt nothing: all numbers of each weight in another order (Adebayo et al. 2018)."""
    other = deepcopy(model)
    draw = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in (*other.model.parameters(), *other.head.parameters()):
            order = torch.randperm(parameter.numel(), generator=draw).to(parameter.device)
            parameter.copy_(parameter.flatten()[order].view_as(parameter))
    return other


def rank_agreement(first: Weights, second: Weights) -> float:
    """Give Spearman's correlation of two weighings of the same words; no number where either puts all alike."""
    from scipy.stats import rankdata

    one, two = (rankdata([0.0 if weight is None else weight for weight in weights]) for weights in (first, second))
    if len(one) < 3 or not one.std() or not two.std():  # noqa: PLR2004 - two words agree or not, whatever they are
        return float("nan")
    return float(np.corrcoef(one, two)[0, 1])
