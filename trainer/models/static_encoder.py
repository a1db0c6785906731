"""A text as the mean of its tokens' vectors, each looked up: no layers, thousands of texts a second.

The folder is laid out as model2vec has it (`embeddings` in model.safetensors beside tokenizer.json).
"""

# Shape suffixes, scoped to this file:
#   V = tokens of the vocabulary, E = texts, P = tokens of all texts end to end, D = width

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from safetensors.torch import save as serialize
from torch import Tensor

from trainer.errors import ModelError
from trainer.models.model_form import (
    CONFIG,
    FORM,
    TOKENIZER,
    WEIGHTS,
    ModelForm,
    copy_files,
    form_facts,
    write_form,
)
from trainer.models.onnx_encoder import mean_tokens
from trainer.models.pair_tokens import TEXTS_AT_A_TIME, load_tokenizer
from trainer.models.source import ModelSource
from trainer.models.weight_checks import check_finite

EMBEDDINGS = "embeddings"


class StaticEncoder:
    """See trainer.models.saved_encoder.SavedEncoder."""

    kept = 0

    def __init__(self, source: ModelSource, form: ModelForm, *, max_tokens: int) -> None:
        self.source, self.form, self.max_tokens = source, form, max_tokens
        self.pooling = "mean"
        self.tokenizer = load_tokenizer(source, max_tokens, form.vocabulary)
        self.vectors_VD = _read_vectors(source.folder / WEIGHTS, form)

    def facts(self) -> dict[str, str | int]:
        """Say which model it is and how it reads."""
        return {**self.source.facts(), **form_facts(self.form), "model.max_tokens": self.max_tokens}

    def embed(self, texts: Sequence[str]) -> Tensor:
        """Give the (E, D) vectors of texts; of one without a token that is known, nought."""
        parts = [
            mean_vectors(self.vectors_VD, *read_tokens(self.tokenizer, texts[start : start + TEXTS_AT_A_TIME]))
            for start in range(0, len(texts), TEXTS_AT_A_TIME)
        ]
        return torch.cat(parts) if parts else self.vectors_VD.new_empty((0, self.form.width))

    def embed_queries(self, texts: Sequence[str]) -> Tensor:
        """Give the vectors of queries, which are texts as others are."""
        return self.embed(texts)

    def read_vectors(self, texts: Sequence[str], cache: Path | None, queries: int = 0) -> Tensor:  # noqa: ARG002 - quicker than a file
        """Give the vectors of texts; none are kept."""
        return self.embed(texts)

    def keep(self, texts: Sequence[str]) -> tuple[int, int]:
        """Give how many numbers a vector has, and how many tokens a text has, told from some."""
        return self.form.width, mean_tokens(self.tokenizer, texts)

    def save(self, folder: Path) -> None:
        """Write a folder that this class reads."""
        copy_files(self.source.folder, folder, (WEIGHTS, FORM, CONFIG, *TOKENIZER))

    def megabytes(self) -> float:
        """Give the size of the vectors as saved, 1 MB = 10^6 bytes."""
        return (self.source.folder / WEIGHTS).stat().st_size / 1e6


def read_tokens(tokenizer: object, texts: Sequence[str]) -> tuple[Tensor, Tensor]:
    """Give the tokens of texts end to end, special ones left out, and where each text begins."""
    found = tokenizer.encode_batch_fast(list(texts), add_special_tokens=False)  # type: ignore[attr-defined]
    ids = [encoding.ids for encoding in found]
    starts = np.concatenate([[0], np.cumsum([len(one) for one in ids])[:-1]]) if ids else np.zeros(0)
    return torch.tensor([token for one in ids for token in one], dtype=torch.long), torch.from_numpy(
        starts.astype(np.int64)
    )


def mean_vectors(vectors_VD: Tensor, ids_P: Tensor, starts_E: Tensor) -> Tensor:
    """Give the mean of each text's token vectors, nought where it has none."""
    return torch.nn.functional.embedding_bag(ids_P, vectors_VD, starts_E, mode="mean")


def write_static(vectors_VD: Tensor, form: ModelForm, tokenizer: Path, folder: Path) -> None:
    """Write a folder that StaticEncoder and model2vec read, its tokenizer that of another folder."""
    copy_files(tokenizer, folder, TOKENIZER)
    kept = vectors_VD.to(torch.float16).contiguous()
    (folder / WEIGHTS).write_bytes(serialize({EMBEDDINGS: kept}, metadata={"format": "pt"}))
    config = {"model_type": "model2vec", "architectures": ["StaticModel"], "hidden_dim": form.width, "normalize": True}
    (folder / CONFIG).write_text(json.dumps(config, indent=2) + "\n", encoding="utf-8")
    write_form(form, folder)


def _read_vectors(path: Path, form: ModelForm) -> Tensor:
    try:
        vectors_VD = load_file(path)[EMBEDDINGS].to(torch.float32)
    except (OSError, SafetensorError, KeyError) as error:
        raise ModelError(f"{path}: holds no vectors of tokens: {str(error).splitlines()[0]}") from None
    if vectors_VD.shape != (form.vocabulary, form.width):
        raise ModelError(f"{path}: {EMBEDDINGS} has shape {tuple(vectors_VD.shape)}, not what {FORM} says")
    check_finite([(EMBEDDINGS, vectors_VD)], path)
    return vectors_VD
