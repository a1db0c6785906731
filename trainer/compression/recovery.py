"""What was cut learns to answer as the whole model does: its outputs or vectors, and the states below them."""

# Shape suffixes, scoped to this file:
#   B = texts or pairs, T = tokens of the longest, D = width, C = numbers that come out

import re

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from trainer.compression.layer_reader import LayerReader
from trainer.errors import ModelError, TrainingError
from trainer.jobs.compression import RecoveryJob
from trainer.learning.batches import batches_by_length
from trainer.learning.loop import ParameterGroup, Schedule, train
from trainer.models.pair_tokens import Tokens
from trainer.task import StepReport
from trainer.tracking.progress import show_progress

Ints = npt.NDArray[np.int64]
PACE = Schedule(warmup=0.1, weight_decay=0.01, clip=1.0)
LEAST = 1e-6  # of a spread


def recover(teacher: LayerReader, student: LayerReader, tokens: Tokens, job: RecoveryJob, seed: int, name: str) -> None:
    """Teach a student in place what its teacher makes of some texts or pairs, without a label.

    Outputs and last states as in DistilBERT and TinyBERT (Sanh et al. 2019, Jiao et al. 2020); raise ModelError.
    """
    rng = np.random.default_rng(seed)
    batches = batches_by_length(tokens.lengths, job.batch, job.epochs, rng)

    def loss_of(rows: Ints) -> Tensor:
        batch = tokens.pad(rows, student.pad_token)
        with torch.no_grad():
            wanted_BC, below_BTD = teacher.read(batch)
        said_BC, state_BTD = student.read(batch)
        seen_BT = batch.mask_BT
        return _apart(said_BC, wanted_BC, judges=student.head is not None) + _share(
            state_BTD[seen_BT], below_BTD[seen_BT]
        )

    with show_progress(f"trainer: compress: {name}", len(tokens) * job.epochs, "texts") as advance:

        def on_step(report: StepReport) -> None:
            advance(report.examples, f"loss {report.loss:.4f}")

        try:
            train([ParameterGroup(student.learns(), job.lr)], batches, loss_of, PACE, on_step)
        except (FloatingPointError, TrainingError) as error:
            reason = re.split("; |: set ", str(error))[0]  # what to set is said of a fit
            instead = "a smaller compress.recovery.lr, or compress.recovery.batch, may help"
            raise ModelError(f"{name}: {reason}; {instead}") from None
    student.model.requires_grad_(requires_grad=False)


def _apart(said_BC: Tensor, wanted_BC: Tensor, *, judges: bool) -> Tensor:
    """Give how far outputs are apart: of vectors by angle, for cosines alone are compared later."""
    if judges:
        return _share(said_BC, wanted_BC)
    return 1 - torch.nn.functional.cosine_similarity(said_BC, wanted_BC).mean()


def _share(said: Tensor, wanted: Tensor) -> Tensor:
    """Give the squared error over the spread of what was wanted: whatever its scale, 1 says nothing was learnt."""
    spread = ((wanted - wanted.mean(0)) ** 2).mean()
    return ((said - wanted) ** 2).mean() / (spread + LEAST)
