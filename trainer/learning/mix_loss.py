"""Learns the gate of the mix: which of its candidates a trip took, in one softmax over the catalogue."""

# Shape suffixes, scoped to this file:
#   U = trips, N = candidates of all trips end to end, B = candidates of a batch, F = features

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from trainer.jobs.schema import MixJob
from trainer.learning.batches import shuffled_batches
from trainer.learning.loop import ParameterGroup, Schedule, train
from trainer.models.mix import Gate
from trainer.models.mix_features import HELD

Ints = npt.NDArray[np.int64]
Features = npt.NDArray[np.float32]

WARMUP, CLIP = 0.2, 1.0
SAME = 1e-6  # spread of a feature that is as good as constant


@dataclass(frozen=True, slots=True)
class Candidates:
    """Of some trips what may be bought, described; all that was bought is among it, of the rest a part."""

    described_NF: Features
    bought_N: Features  # 1 where the trip took it
    log_share_N: Features  # of those drawn from many: the log of how many each stands for
    counts_U: Ints  # candidates of each trip


def join_candidates(parts: Sequence[Candidates]) -> Candidates:
    """Give several as one."""
    return Candidates(
        np.concatenate([one.described_NF for one in parts]),
        np.concatenate([one.bought_N for one in parts]),
        np.concatenate([one.log_share_N for one in parts]),
        np.concatenate([one.counts_U for one in parts]),
    )


def learn_gate(candidates: Candidates, settings: MixJob, rng: np.random.Generator) -> Gate:
    """Fit a gate; every trip counts the same, however much was bought on it. Standardises features where they lie."""
    generator = torch.Generator().manual_seed(int(rng.integers(2**31)))
    gate = _fresh_gate(candidates.described_NF, settings.hidden, generator)
    starts_U = np.cumsum(candidates.counts_U) - candidates.counts_U
    new_N = torch.from_numpy(candidates.described_NF[:, HELD] == 0)
    standard_NF = gate.standardise(torch.from_numpy(candidates.described_NF))
    bought_N, log_share_N = torch.from_numpy(candidates.bought_N), torch.from_numpy(candidates.log_share_N)

    def loss_of(trips: Ints) -> Tensor:
        counts = candidates.counts_U[trips]
        trip_B = np.repeat(np.arange(len(trips)), counts)
        rows_B = torch.from_numpy(
            np.arange(len(trip_B)) + np.repeat(starts_U[trips] - (np.cumsum(counts) - counts), counts)
        )
        # A candidate drawn from many stands for them all: else what is new would look likelier than it is.
        score_B = gate.weigh(standard_NF[rows_B]) + log_share_N[rows_B]
        bought_B, owner_B, new_B = bought_N[rows_B], torch.from_numpy(trip_B), new_N[rows_B]
        # Most of a basket is bought again and would be nearly all that is learnt: what is new is ranked alone too.
        new = trip_loss(score_B[new_B], bought_B[new_B], owner_B[new_B], len(trips))
        return trip_loss(score_B, bought_B, owner_B, len(trips)) + settings.explore * new

    batches = shuffled_batches(len(candidates.counts_U), settings.batch, settings.epochs, rng)
    pace = Schedule(WARMUP, settings.weight_decay, CLIP)
    with one_thread():
        train([ParameterGroup(list(gate.parameters()), settings.lr)], batches, loss_of, pace, lambda _: None)
    return gate.eval()


@contextmanager
def one_thread() -> Iterator[None]:
    """Let the block run on one thread: matrices this small take longer on several."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


def trip_loss(score_B: Tensor, bought_B: Tensor, trip_B: Tensor, trips: int) -> Tensor:
    """Give the mean over trips of the cross-entropy between what was bought and the softmax over its candidates.

    A trip that took none of them adds nothing.
    """
    highest = torch.full((trips,), -torch.inf).scatter_reduce(0, trip_B, score_B.detach(), "amax")
    total = torch.zeros(trips).index_add(0, trip_B, torch.exp(score_B - highest[trip_B]))
    taken = torch.zeros(trips).index_add(0, trip_B, bought_B)
    own = torch.zeros(trips).index_add(0, trip_B, bought_B * score_B)
    some = taken > 0
    return (torch.log(total[some]) + highest[some] - own[some] / taken[some]).sum() / trips


def _fresh_gate(described_NF: Features, hidden: int, generator: torch.Generator) -> Gate:
    """Begin with the standard features and small weights of this generator alone."""
    features = described_NF.shape[1]
    gate = Gate(features, hidden)
    gate.mean_F.copy_(torch.from_numpy(described_NF.mean(axis=0, dtype=np.float64)))
    spread = described_NF.std(axis=0, dtype=np.float64)
    gate.scale_F.copy_(torch.from_numpy(np.where(spread > SAME, spread, 1.0)))
    with torch.no_grad():
        for name, weights in gate.named_parameters():
            reach = 0.0 if name.startswith("line") else weights.shape[-1] ** -0.5
            weights.uniform_(-reach, reach, generator=generator)
    return gate
