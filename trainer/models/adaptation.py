"""A model that read itself into texts before its task: what of it learns then, and what came of it."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from math import exp
from typing import Any

import torch

from trainer.models.device import Device
from trainer.models.source import ModelSource


@dataclass(frozen=True, slots=True)
class BareModel:
    """A model of texts as it came, whatever a task has put around it."""

    source: ModelSource
    model: Any  # as trainer.models.backbone.run_backbone takes it
    layers: Sequence[Sequence[torch.nn.Parameter]]  # of each its own weights: adapters are not among them
    tokenizer: Any  # tokenizers.Tokenizer
    pad_token: int
    device: Device


@dataclass(frozen=True, slots=True)
class GapScore:
    """How well hidden tokens are told."""

    loss: float  # nats a token
    accuracy: float  # share of the tokens that were thought likeliest


@dataclass(frozen=True, slots=True)
class Adapted:
    """What a model was before and after it read some texts, on others of them."""

    before: GapScore
    after: GapScore
    texts: int
    held_out: int
    digest: str  # of the weights that learnt

    def metrics(self) -> dict[str, float]:
        """Give what the run is measured by."""
        return {
            "adapt_loss": self.after.loss,
            "adapt_loss_before": self.before.loss,
            "adapt_accuracy": self.after.accuracy,
            "adapt_accuracy_before": self.before.accuracy,
        }

    def tell(self) -> str:
        """Say it in words."""
        return (
            f"to {self.texts} texts, before the task; of the hidden tokens of {self.held_out} others it then told "
            f"{self.after.accuracy:.1%}, {self.before.accuracy:.1%} before that, and hesitated between "
            f"{exp(self.after.loss):,.1f} (perplexity), {exp(self.before.loss):,.1f} before"
        )


def hash_weights(parameters: Sequence[torch.nn.Parameter]) -> str:
    """Hash weights as they are now."""
    digest = hashlib.sha256()
    for parameter in parameters:
        digest.update(parameter.detach().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()
