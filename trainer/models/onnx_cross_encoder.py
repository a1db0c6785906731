"""A judge of pairs run by onnxruntime, its layer on top within the graph; nothing to train."""

# Shape suffixes, scoped to this file:
#   N = pairs, C = numbers that come out of each

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from trainer.data.card import DataCard
from trainer.models.backbone import choose_pooling, is_decoder
from trainer.models.device import PROCESSOR
from trainer.models.model_form import CONFIG, FORM, GRAPH, TOKENIZER, ModelForm, copy_files, form_facts
from trainer.models.onnx_graph import OnnxGraph, batches_of
from trainer.models.pair_tokens import PairTokenizer, Tokens, find_pad_token, load_tokenizer, score_distinct
from trainer.models.source import ModelSource
from trainer.models.token_losses import note_losses

if TYPE_CHECKING:
    from trainer.jobs.schema import PairModelJob


class OnnxCrossEncoder:
    """See trainer.models.saved_cross_encoder.SavedCrossEncoder."""

    device = PROCESSOR

    def __init__(self, source: ModelSource, form: ModelForm, job: "PairModelJob") -> None:
        self.source, self.form = source, form
        self.pooling = choose_pooling(source, job.pooling)
        self.pad_token = find_pad_token(source)
        tokenizer = load_tokenizer(source, job.max_tokens, form.vocabulary)
        self.tokenizer = PairTokenizer(tokenizer, is_decoder(source), self.pad_token)
        self.graph = OnnxGraph(source.folder, form)

    def facts(self) -> dict[str, str | int]:
        """Say what form it is in."""
        return {**self.source.facts(), **form_facts(self.form)}

    def width(self) -> int:
        """Give how many numbers the graph gives of a pair: its states are its own."""
        return self.form.width

    def layers(self) -> int:
        """Give that none is trained."""
        return 0

    def encode(self, queries: Sequence[str], products: Sequence[str]) -> Tokens:
        """Give the tokens of pairs, the longer text cut where they are too many."""
        return self.tokenizer.encode(queries, products)

    def note_losses(self, card: DataCard, queries: Sequence[str], products: Sequence[str]) -> DataCard:
        """Give the card with what of the pairs is not read."""
        return note_losses(card, self.tokenizer.tokenizer, {"pairs": self.tokenizer.join(queries, products)})

    def score_all(self, tokens: Tokens) -> npt.NDArray[np.float64]:
        """Give the (N, C) outputs of all pairs, those of similar length together."""
        scores_NC = np.empty((len(tokens), self.form.width))
        for rows in batches_of(tokens.lengths):
            batch = tokens.pad(rows, self.pad_token)
            scores_NC[rows] = self.graph.run(batch.ids_BT.numpy(), batch.mask_BT.numpy(), batch.types_BT.numpy())
        return scores_NC

    def score_pairs(self, queries: Sequence[str], products: Sequence[str]) -> npt.NDArray[np.float64]:
        """Give the (N, C) outputs of pairs of texts, each read once and in the order of the alphabet."""
        return score_distinct(queries, products, lambda *texts: self.score_all(self.encode(*texts)))

    def save(self, folder: Path) -> None:
        """Write a folder that this class reads."""
        copy_files(self.source.folder, folder, (GRAPH, FORM, CONFIG, *TOKENIZER))

    def megabytes(self) -> float:
        """Give the size of the graph, 1 MB = 10^6 bytes."""
        return (self.source.folder / GRAPH).stat().st_size / 1e6
