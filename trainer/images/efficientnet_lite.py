"""EfficientNet-Lite0, up to the vector that its classes are told from.

The network is EfficientNet-B0 (Tan and Le 2019) as its authors' note "Higher accuracy on vision models with
EfficientNet-Lite" (Liu 2020) and the TPU models' `efficientnet/lite` have it: without squeeze and excitation, with
ReLU6 instead of swish, stem and head as wide as in B0. Each batch norm is folded into the convolution before it.
"""

# Shape suffixes, scoped to this file:
#   B = pictures, C = channels, S = pixels a side, D = width of a vector

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import chain

import torch
from torch import Tensor, nn
from torch.nn import functional

NAME = "efficientnet-lite0"
SIZE = 224  # pixels a side
WIDTH = 1280
MEAN, DEVIATION = 127.0, 128.0  # of all three colours, 0 to 255
STEM = 32
EPSILON = 1e-3  # of batch norms


@dataclass(frozen=True, slots=True)
class BlockStage:
    """Blocks in a row that are alike but for the first, which takes in other channels and may halve the sides."""

    blocks: int
    kernel: int
    stride: int
    expansion: int
    channels: int


STAGES = (  # Tan and Le 2019, table 1
    BlockStage(1, 3, 1, 1, 16),
    BlockStage(2, 3, 2, 6, 24),
    BlockStage(2, 5, 2, 6, 40),
    BlockStage(3, 3, 2, 6, 80),
    BlockStage(3, 5, 1, 6, 112),
    BlockStage(4, 5, 2, 6, 192),
    BlockStage(1, 3, 1, 6, 320),
)


class PaddedConvolution(nn.Conv2d):
    """A convolution that pads as TensorFlow's SAME does: of what is odd the larger half stands behind."""

    def forward(self, input: Tensor) -> Tensor:  # noqa: A002 - torch's own name for it
        """Give ceil(S / stride) pixels a side."""
        (kernel, _), (stride, _) = self.kernel_size, self.stride
        if stride == 1:
            return functional.conv2d(input, self.weight, self.bias, 1, kernel // 2, 1, self.groups)
        missing = [max((-(-side // stride) - 1) * stride + kernel - side, 0) for side in input.shape[:1:-1]]
        padding = list(chain.from_iterable((pixels // 2, pixels - pixels // 2) for pixels in missing))
        return functional.conv2d(functional.pad(input, padding), self.weight, self.bias, self.stride, 0, 1, self.groups)


class InvertedBottleneck(nn.Module):
    """Wider, each channel by itself, narrower again (Sandler et al. 2018); beside it the way around where that fits."""

    def __init__(self, taken: int, stage: BlockStage, stride: int) -> None:
        super().__init__()
        hidden = taken * stage.expansion
        self.expand = PaddedConvolution(taken, hidden, 1) if stage.expansion > 1 else None
        self.depthwise = PaddedConvolution(hidden, hidden, stage.kernel, stride, groups=hidden)
        self.project = PaddedConvolution(hidden, stage.channels, 1)
        self.skips = stride == 1 and taken == stage.channels

    def forward(self, state_BCSS: Tensor) -> Tensor:
        """Give the (B, C, S, S) state behind the block."""
        hidden = state_BCSS if self.expand is None else functional.relu6(self.expand(state_BCSS), inplace=True)
        found: Tensor = self.project(functional.relu6(self.depthwise(hidden), inplace=True))
        return found.add_(state_BCSS) if self.skips else found


class EfficientNetLite(nn.Module):
    """Pictures in, one vector each out: the mean over places of the head's channels, before dropout and classes."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = PaddedConvolution(3, STEM, 3, 2)
        self.blocks = nn.ModuleList()
        taken = STEM
        for stage in STAGES:
            for place in range(stage.blocks):
                self.blocks.append(InvertedBottleneck(taken, stage, stage.stride if place == 0 else 1))
                taken = stage.channels
        self.head = PaddedConvolution(taken, WIDTH, 1)

    def forward(self, pixels_BCSS: Tensor) -> Tensor:
        """Give the (B, D) vectors of (B, 3, S, S) pixels, MEAN and DEVIATION applied; no number is below nought."""
        state = functional.relu6(self.stem(pixels_BCSS), inplace=True)
        for block in self.blocks:
            state = block(state)
        return functional.relu6(self.head(state), inplace=True).mean((2, 3))


def fold_weights(published: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Give the network's weights from those that `efficientnet_lite_pytorch` names; raise ValueError where one differs.

    Folding w' = w g / sqrt(v + e), b' = b - m g / sqrt(v + e) is done in double precision. The classes are left out.
    """
    left = {name: tensor for name, tensor in published.items() if not name.endswith("num_batches_tracked")}
    for name in ("_fc.weight", "_fc.bias"):
        left.pop(name, None)
    with torch.device("meta"):
        wanted = EfficientNetLite().state_dict()
    folded: dict[str, Tensor] = {}
    for ours in (name.removesuffix(".weight") for name in wanted if name.endswith(".weight")):
        convolution, norm = _published_names(ours)
        names = (
            f"{convolution}.weight",
            *(f"{norm}.{part}" for part in ("weight", "bias", "running_mean", "running_var")),
        )
        for name in names:
            if name not in left:
                raise ValueError(f"weight '{name}' is missing")
        weight, scale, shift, mean, variance = (left.pop(name).double() for name in names)
        if weight.shape != wanted[f"{ours}.weight"].shape or scale.shape != wanted[f"{ours}.bias"].shape:
            right = tuple(wanted[f"{ours}.weight"].shape)
            raise ValueError(f"weight '{names[0]}' has shape {tuple(weight.shape)}, not {right}")
        factor = scale / torch.sqrt(variance + EPSILON)
        folded[f"{ours}.weight"] = (weight * factor[:, None, None, None]).float().contiguous()
        folded[f"{ours}.bias"] = (shift - mean * factor).float()
    if left:
        raise ValueError(f"weight '{min(left)}' is none of the network's")
    return folded


def _published_names(ours: str) -> tuple[str, str]:
    """Give what the package calls a convolution, and the batch norm behind it."""
    if ours == "stem":
        return "_conv_stem", "_bn0"
    if ours == "head":
        return "_conv_head", "_bn1"
    _, block, part = ours.split(".")
    # The first block widens nothing; the package numbers its norms as if it did.
    norm = {"expand": "_bn0", "depthwise": "_bn1", "project": "_bn2"}[part]
    return f"_blocks.{block}._{part}_conv", f"_blocks.{block}.{norm}"
