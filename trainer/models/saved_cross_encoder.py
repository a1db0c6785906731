"""What a saved model judges pairs with, whatever form it is in."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import numpy as np
import numpy.typing as npt

from trainer.data.card import DataCard
from trainer.errors import ModelError
from trainer.models.cross_encoder import CrossEncoder, load_head
from trainer.models.device import PROCESSOR, Device
from trainer.models.model_form import TUNABLE, Form, read_form
from trainer.models.pair_tokens import Tokens
from trainer.models.source import ModelSource

if TYPE_CHECKING:
    from trainer.jobs.schema import PairModelJob

Outputs = npt.NDArray[np.float64]


class SavedCrossEncoder(Protocol):
    """Judges pairs of texts by a number, or by one a class."""

    @property
    def source(self) -> ModelSource:
        """Give the folder that it was opened from."""
        ...

    @property
    def pooling(self) -> str:
        """Give how states become one vector."""
        ...

    @property
    def device(self) -> Device:
        """Give what it computes on."""
        ...

    def facts(self) -> dict[str, str | int]:
        """Say which model it is, for whoever reads the run later."""
        ...

    def width(self) -> int:
        """Give how many numbers are held of a token."""
        ...

    def layers(self) -> int:
        """Give how many layers hold states where they are trained."""
        ...

    def encode(self, queries: Sequence[str], products: Sequence[str]) -> Tokens:
        """Give the tokens of pairs."""
        ...

    def note_losses(self, card: DataCard, queries: Sequence[str], products: Sequence[str]) -> DataCard:
        """Give the card with what of the pairs is not read."""
        ...

    def score_all(self, tokens: Tokens) -> Outputs:
        """Give the outputs of pairs of tokens."""
        ...

    def score_pairs(self, queries: Sequence[str], products: Sequence[str]) -> Outputs:
        """Give the outputs of pairs of texts."""
        ...

    def save(self, folder: Path) -> None:
        """Write a folder that open_cross_encoder reads."""
        ...

    def megabytes(self) -> float:
        """Give the size of what has to be at hand, 1 MB = 10^6 bytes."""
        ...


def open_cross_encoder(
    source: ModelSource,
    job: "PairModelJob",
    outputs: int,
    layers: int | None = None,
    device: Device = PROCESSOR,
    *,
    tuned: bool = True,
) -> SavedCrossEncoder:
    """Open a model; of a plain one that is trained so many top *layers*, or all. Raise ModelError."""
    form = read_form(source.folder)
    if form.form in TUNABLE:
        model = CrossEncoder(source, job, outputs, layers, device)
        if tuned:
            load_head(model)
        return model
    if form.form is not Form.ONNX:
        raise ModelError(f"{source.folder}: is a {form.form.value} model, which finds products and judges no pairs")
    if form.width != outputs:
        raise ModelError(f"{source.folder}: gives {form.width} numbers a pair, where its labels need {outputs}")
    from trainer.models.onnx_cross_encoder import OnnxCrossEncoder

    return OnnxCrossEncoder(source, form, job)


def as_tuned_judge(model: SavedCrossEncoder) -> CrossEncoder:
    """Give a model as one that can be trained: the task refuses to train another when it is loaded."""
    assert isinstance(model, CrossEncoder)
    return model


def tell_trained(model: SavedCrossEncoder, *, lora: bool) -> str:
    """Say which layers of a model a fit trains."""
    how = "low-rank adapters" if lora else f"{as_tuned_judge(model).trained} of {model.layers()} layers"
    return f"{how}, the word embeddings as they came"
