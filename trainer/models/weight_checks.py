"""What a model's weights and configuration allow: numbers that are numbers, and how many tokens it has places for."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from trainer.errors import ModelError


def check_finite(weights: Iterable[tuple[str, Tensor]], where: Path) -> None:
    """Raise ModelError for a weight that is no number: told later it would look like a rate that was too high."""
    for name, tensor in weights:
        if tensor.is_floating_point() and not torch.isfinite(tensor).all():
            lost = int((~torch.isfinite(tensor)).sum())
            what = "NaN" if torch.isnan(tensor).any() else "infinite"
            raise ModelError(
                f"{where}: weight '{name}' is {what} in {lost} of its {tensor.numel()} numbers: the model is damaged"
            )


def check_length(model: Any, max_tokens: int) -> None:
    """Raise ModelError for texts longer than the model has places for."""
    longest = longest_text(model)
    if longest is not None and max_tokens > longest:
        raise ModelError(f"model.max_tokens: {max_tokens} is more than the model's {longest}")


def longest_text(model: Any) -> int | None:
    """Give how many tokens the model has places for, None where it says of no end.

    RoBERTa and its kin number places from behind that of padding: of 514 two are never a token's.
    """
    said = getattr(model.config, "max_position_embeddings", None)
    places = next((m for name, m in model.named_modules() if name.endswith("position_embeddings")), None)
    padding = getattr(places, "padding_idx", None)
    if not isinstance(places, torch.nn.Embedding) or padding is None:
        return None if said is None or int(said) < 1 else int(said)  # XLNet says -1
    return int(places.num_embeddings) - int(padding) - 1
