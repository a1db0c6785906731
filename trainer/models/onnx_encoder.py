"""A text encoder run by onnxruntime: one vector a text, nothing to train."""

# Shape suffixes, scoped to this file:
#   E = texts, B = texts of a batch, T = tokens of the longest of them, D = width

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from trainer.models.model_form import CONFIG, FORM, GRAPH, TOKENIZER, ModelForm, copy_files
from trainer.models.onnx_graph import OnnxGraph, batches_of
from trainer.models.pair_tokens import encodings_of, find_pad_token, ids_of, load_tokenizer
from trainer.models.source import ModelSource, reading_facts

LOOKED_AT = 1000  # texts: enough to say how long they are


class OnnxEncoder:
    """See trainer.models.saved_encoder.SavedEncoder."""

    kept = 0

    def __init__(self, source: ModelSource, form: ModelForm, *, max_tokens: int, pooling: str) -> None:
        self.source, self.form = source, form
        self.max_tokens, self.pooling = max_tokens, pooling
        self.pad_token = find_pad_token(source)
        self.tokenizer = load_tokenizer(source, max_tokens, form.vocabulary)
        self.graph = OnnxGraph(source.folder, form)

    def facts(self) -> dict[str, str | int]:
        """Say which model it is and how it reads."""
        return reading_facts(self.source, self.form, self.max_tokens, self.pooling)

    def embed(self, texts: Sequence[str]) -> Tensor:
        """Give the (E, D) vectors of texts."""
        tokens = [ids_of(encoding, self.pad_token) for encoding in encodings_of(self.tokenizer, texts)]
        lengths = np.array([len(ids) for ids in tokens], dtype=np.int64)
        vectors_ED = np.empty((len(texts), self.form.width), dtype=np.float32)
        for part in batches_of(lengths):
            mask_BT = np.arange(int(lengths[part].max())) < lengths[part][:, None]
            ids_BT = np.full(mask_BT.shape, self.pad_token, dtype=np.int64)
            ids_BT[mask_BT] = np.concatenate([tokens[text] for text in part.tolist()])
            vectors_ED[part] = self.graph.run(ids_BT, mask_BT)
        return torch.from_numpy(vectors_ED)

    def embed_queries(self, texts: Sequence[str]) -> Tensor:
        """Give the vectors of queries, which are texts as others are."""
        return self.embed(texts)

    def read_vectors(self, texts: Sequence[str], cache: Path | None, queries: int = 0) -> Tensor:  # noqa: ARG002 - nothing is frozen
        """Give the vectors of texts; none are kept."""
        return self.embed(texts)

    def keep(self, texts: Sequence[str]) -> tuple[int, int]:
        """Give how many numbers a vector has, and how many tokens a text has, told from some."""
        return self.form.width, mean_tokens(self.tokenizer, texts)

    def save(self, folder: Path) -> None:
        """Write a folder that this class reads."""
        copy_files(self.source.folder, folder, (GRAPH, FORM, CONFIG, *TOKENIZER))

    def megabytes(self) -> float:
        """Give the size of the graph, 1 MB = 10^6 bytes."""
        return (self.source.folder / GRAPH).stat().st_size / 1e6


def mean_tokens(tokenizer: object, texts: Sequence[str]) -> int:
    """Give how many tokens a text has, told from some."""
    some = [texts[place] for place in np.unique(np.linspace(0, len(texts) - 1, LOOKED_AT).astype(int)).tolist()]
    return max(1, round(float(np.mean([len(one.ids) for one in encodings_of(tokenizer, some)]))))
