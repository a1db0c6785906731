"""The mix: a small network weighs repeating against exploring, and ranks both kinds of candidates in one list."""

# Shape suffixes, scoped to this file:
#   N = candidates, F = features, B = trips of a block, E = distinct texts

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from safetensors.torch import load_file
from safetensors.torch import save as serialize
from torch import Tensor, nn

from trainer.jobs.schema import MixJob
from trainer.models.ease import ItemLinks, read_links, save_links
from trainer.models.mix_features import FEATURES, Asked, open_block
from trainer.models.weight_checks import check_finite

WEIGHTS = "mix.safetensors"
LINKS = "mix_links.safetensors"
NUMBERS_AT_A_TIME = 1 << 20  # of features: 4 MB, which a processor keeps at hand

Ints = npt.NDArray[np.int64]
Scores = npt.NDArray[np.float32]


class Gate(nn.Module):
    """Scores candidates, each by its features alone: a line, and a hidden layer for what repeats and what is new.

    Whether a trip repeats or explores, and which item then, are one softmax over the catalogue here, the user's habits
    being features of every candidate (ReCANet, Ariannezhad et al. 2022, keeps to repeats; Ariannezhad et al. 2023 weigh
    both).
    """

    def __init__(self, features: int, hidden: int) -> None:
        super().__init__()
        self.mean_F: Tensor
        self.scale_F: Tensor
        self.register_buffer("mean_F", torch.zeros(features))
        self.register_buffer("scale_F", torch.ones(features))
        self.line = nn.Linear(features, 1, bias=False)
        self.hidden = nn.Sequential(nn.Linear(features, hidden), nn.GELU(), nn.Linear(hidden, 1, bias=False))

    def forward(self, described_NF: Tensor) -> Tensor:
        """Give (N) scores."""
        return self.weigh(self.standardise(described_NF))

    def standardise(self, described_NF: Tensor) -> Tensor:
        """Give features of mean 0 and spread 1, in place: they are much of what learning and scoring hold."""
        return described_NF.sub_(self.mean_F).div_(self.scale_F)

    def weigh(self, standard_NF: Tensor) -> Tensor:
        """Give (N) scores of standardised features."""
        score_N1: Tensor = self.line(standard_NF) + self.hidden(standard_NF)
        return score_N1[:, 0]


@dataclass(frozen=True, slots=True)
class Mix:
    """What a fit learned of repeating and exploring: the gate, and the links between texts."""

    settings: MixJob
    gate: Gate
    links: ItemLinks  # by texts

    def score(self, asked: Asked, trips: Ints, text_BE: Scores) -> Scores:
        """Give (B, E) scores of texts for some trips: log weights, up to a constant of each trip."""
        texts = asked.crowd.texts
        found_BE = np.empty((len(trips), texts), dtype=np.float32)
        step = max(1, NUMBERS_AT_A_TIME // (texts * len(FEATURES)))
        for first in range(0, len(trips), step):
            part = slice(first, first + step)
            block = open_block(asked, trips[part], text_BE[part])
            rows = len(trips[part])
            described = block.describe(np.repeat(np.arange(rows), texts), np.tile(np.arange(texts), rows))
            with torch.inference_mode():
                found_BE[part] = self.gate(torch.from_numpy(described)).numpy().reshape(rows, texts)
        return found_BE


def save_mix(mix: Mix, folder: Path) -> None:
    """Write weights and links beside the scorer, whose settings name the mix's."""
    tensors = {name: tensor.contiguous() for name, tensor in mix.gate.state_dict().items()}
    (folder / WEIGHTS).write_bytes(serialize(tensors, metadata={"features": " ".join(FEATURES)}))
    save_links(mix.links, folder / LINKS)


def read_mix(settings: object, folder: Path) -> Mix:
    """Read what save_mix wrote; raises what its libraries raise, ValueError, and ModelError for damaged weights."""
    job = MixJob.model_validate(settings)
    gate = Gate(len(FEATURES), job.hidden)
    tensors = load_file(folder / WEIGHTS)
    check_finite(tensors.items(), folder / WEIGHTS)
    try:
        gate.load_state_dict(tensors)
    except RuntimeError as error:
        raise ValueError(f"{WEIGHTS} holds another network: {str(error).splitlines()[-1].strip()}") from None
    return Mix(job, gate.eval(), read_links(folder / LINKS))
