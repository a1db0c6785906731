"""What a saved model encodes texts with, whatever form it is in; the only place that knows all forms."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol, assert_never

from torch import Tensor

from trainer.errors import ModelError
from trainer.models.device import PROCESSOR, Device
from trainer.models.model_form import FORM, TUNABLE, Form, read_form
from trainer.models.source import ModelSource
from trainer.models.text_encoder import TextEncoder


class SavedEncoder(Protocol):
    """Encodes texts; those that people type perhaps otherwise than those that are found."""

    @property
    def source(self) -> ModelSource:
        """Give the folder that it was opened from."""
        ...

    @property
    def max_tokens(self) -> int:
        """Give how many tokens of a text are read."""
        ...

    @property
    def pooling(self) -> str:
        """Give how states become one vector."""
        ...

    @property
    def tokenizer(self) -> Any:
        """Give what makes tokens of texts."""
        ...

    @property
    def kept(self) -> int:
        """Give how many numbers of four bytes are kept of a token where a cache keeps them."""
        ...

    def facts(self) -> dict[str, str | int]:
        """Say which model it is and how it reads, for whoever reads the run later."""
        ...

    def embed(self, texts: Sequence[str]) -> Tensor:
        """Give the vectors of texts that are found: products, items."""
        ...

    def embed_queries(self, texts: Sequence[str]) -> Tensor:
        """Give the vectors of what people type, in the same space."""
        ...

    def read_vectors(self, texts: Sequence[str], cache: Path | None, queries: int = 0) -> Tensor:
        """Give the vectors of texts, of which the first so many are queries; perhaps from what an earlier run kept."""
        ...

    def keep(self, texts: Sequence[str]) -> tuple[int, int]:
        """Give how many numbers a vector has, and how many tokens a text has, told from some."""
        ...

    def save(self, folder: Path) -> None:
        """Write a folder that open_encoder reads."""
        ...

    def megabytes(self) -> float:
        """Give the size of what has to be at hand for a query, 1 MB = 10^6 bytes."""
        ...


def open_encoder(
    source: ModelSource, *, max_tokens: int, pooling: str = "auto", device: Device = PROCESSOR
) -> SavedEncoder:
    """Open a model to be scored or asked; what is no plain one computes on the processor. Raise ModelError."""
    form = read_form(source.folder)
    match form.form:
        case Form.PLAIN | Form.PRUNED:
            return TextEncoder(source, trained_layers=0, max_tokens=max_tokens, pooling=pooling, device=device)
        case Form.ONNX:
            from trainer.models.onnx_encoder import OnnxEncoder

            return OnnxEncoder(source, form, max_tokens=max_tokens, pooling=pooling)
        case Form.STATIC:
            from trainer.models.static_encoder import StaticEncoder

            return StaticEncoder(source, form, max_tokens=max_tokens)
        case Form.ASYMMETRIC:
            from trainer.models.asymmetric_encoder import AsymmetricEncoder

            return AsymmetricEncoder(source, form, max_tokens=max_tokens, pooling=pooling)
        case _:
            assert_never(form.form)


def as_tuned(encoder: SavedEncoder) -> TextEncoder:
    """Give an encoder as one that can be trained: a task refuses to train another when it is loaded."""
    assert isinstance(encoder, TextEncoder)
    return encoder


def tell_tuned(encoder: SavedEncoder) -> str:
    """Say which layers of an encoder a fit trains."""
    layers, frozen = len(as_tuned(encoder).layers), as_tuned(encoder).frozen
    return f"the top {layers - frozen} of {layers} layers"


def refuse_to_tune(source: ModelSource, *, training: bool) -> None:
    """Raise ModelError where a model is to be trained that has nothing left to train."""
    form = read_form(source.folder)
    if training and form.form not in TUNABLE:
        raise ModelError(
            f"{source.folder}: is compressed ({FORM} says {form.form.value}) and cannot be tuned or compressed again;"
            f" the model that it was made of can, whose weights have the sha256 {form.original[:12]}..."
        )
