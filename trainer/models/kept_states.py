"""What a model gives of texts before any training, token by token, end to end; kept in a file for later runs."""

# Shape suffixes, scoped to this file:
#   E = all texts, B = texts in a batch, T = tokens of the longest, P = tokens of all texts end to end, D = width

from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from trainer.models.kept_files import keep_file
from trainer.models.packed_texts import Span, spans_of
from trainer.models.pair_tokens import places_of


@dataclass(frozen=True, slots=True)
class Hidden:
    """What is kept of each token of a list of texts, without padding: what the frozen layers give, or its number."""

    packed_PD: Tensor  # or (P,)
    starts: Tensor  # (texts + 1,) where each text begins

    def __len__(self) -> int:
        return len(self.starts) - 1

    def pad(self, texts: Tensor) -> tuple[Tensor, Tensor]:
        """Give what is kept of some texts, (B, T, D) or (B, T), and the (B, T) mask of what is not padding."""
        start_B = self.starts[texts]
        length_B = self.starts[texts + 1] - start_B
        place_T = torch.arange(int(length_B.max()))
        mask_BT = place_T[None] < length_B[:, None]
        row_BT = torch.where(mask_BT, start_B[:, None] + place_T[None], 0)
        return self.packed_PD[row_BT], mask_BT

    def pack(self, texts: Tensor) -> tuple[Tensor, list[Span]]:
        """Give what is kept of some texts, the shortest first, end to end."""
        starts = self.starts.numpy()
        start_B = starts[texts.numpy()]
        length_B = starts[texts.numpy() + 1] - start_B
        return self.packed_PD[torch.from_numpy(places_of(start_B, length_B))], spans_of(length_B)


@dataclass(frozen=True, slots=True)
class UntrainedOutputs:
    """What a model gives before any training: all of it for the frozen layers, the vectors for comparison."""

    hidden: Hidden
    vectors_ED: Tensor


def read_kept(path: Path) -> UntrainedOutputs | None:
    """Read what was kept; a file cut short, by a full disk say, counts as none."""
    try:
        tensors = load_file(path)
        return UntrainedOutputs(Hidden(tensors["packed"], tensors["starts"]), tensors["vectors"])
    except (SafetensorError, KeyError, OSError):
        return None


def keep_outputs(beginning: UntrainedOutputs, path: Path) -> None:
    """Write it for later runs of the same model and texts."""
    hidden = beginning.hidden
    tensors = {"packed": hidden.packed_PD, "starts": hidden.starts, "vectors": beginning.vectors_ED.contiguous()}
    # To the file at once: it is the largest thing there is, and bytes of it would be the same again.
    keep_file(path, lambda partial: save_file(tensors, partial))
