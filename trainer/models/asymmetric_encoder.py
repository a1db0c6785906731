"""Two encoders of one space: the tuned model reads products, ahead of time, and a static one what people type."""

from collections.abc import Sequence
from functools import cached_property
from pathlib import Path

import torch
from torch import Tensor

from trainer.errors import ModelError
from trainer.models.model_form import (
    CONFIG,
    FORM,
    QUERIES,
    Form,
    ModelForm,
    copy_files,
    read_form,
    weight_files,
)
from trainer.models.sentence_folder import choose_text_pooling
from trainer.models.source import ModelSource, read_object, reading_facts
from trainer.models.static_encoder import StaticEncoder
from trainer.models.text_encoder import TextEncoder


class AsymmetricEncoder:
    """See trainer.models.saved_encoder.SavedEncoder; its size is that of what has to be at hand for a query."""

    kept = 0

    def __init__(self, source: ModelSource, form: ModelForm, *, max_tokens: int, pooling: str) -> None:
        self.source, self.form, self.max_tokens = source, form, max_tokens
        self.pooling = choose_text_pooling(source, pooling)
        self.queries = _open_queries(source, max_tokens)
        self.tokenizer = self.queries.tokenizer
        if self.queries.form.width != form.width:
            raise ModelError(f"{source.folder}: vectors of queries and products are of different widths")

    @cached_property
    def products(self) -> TextEncoder:
        """Give what reads products: opened where one is read, for who asks has their vectors already."""
        return TextEncoder(self.source, trained_layers=0, max_tokens=self.max_tokens, pooling=self.pooling)

    def facts(self) -> dict[str, str | int]:
        """Say which model it is and how it reads."""
        return reading_facts(self.source, self.form, self.max_tokens, self.pooling)

    def embed(self, texts: Sequence[str]) -> Tensor:
        """Give the vectors of products."""
        return self.products.embed(texts)

    def embed_queries(self, texts: Sequence[str]) -> Tensor:
        """Give the vectors of queries, in the products' space."""
        return self.queries.embed(texts)

    def read_vectors(self, texts: Sequence[str], cache: Path | None, queries: int = 0) -> Tensor:
        """Give the vectors of texts, the first of which are queries; those of products as their model keeps them."""
        asked = self.queries.embed(texts[:queries])
        return torch.cat([asked, self.products.read_vectors(texts[queries:], cache)])

    def keep(self, texts: Sequence[str]) -> tuple[int, int]:
        """Give how many numbers a vector has, and how many tokens a text has, told from some."""
        return self.products.keep(texts)

    def save(self, folder: Path) -> None:
        """Write a folder that this class reads."""
        self.products.save(folder)
        self.queries.save(folder / QUERIES)
        copy_files(self.source.folder, folder, (FORM,))

    def megabytes(self) -> float:
        """Give the size of what encodes queries: the other is not needed to answer one."""
        return self.queries.megabytes()


def _open_queries(source: ModelSource, max_tokens: int) -> StaticEncoder:
    folder = source.folder / QUERIES
    form = read_form(folder)
    if form.form is not Form.STATIC:
        raise ModelError(f"{folder}: is no static model, which an asymmetric one asks with")
    config = read_object(folder / CONFIG, "a model's configuration")
    own = ModelSource(folder, weight_files(folder, form), source.digest, config)
    return StaticEncoder(own, form, max_tokens=max_tokens)
