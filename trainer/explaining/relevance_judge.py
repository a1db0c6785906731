"""What of a relevance model's judgement is explained, and what words carried of it."""

# Shape suffixes, scoped to this file:
#   N = pairs, S = points of a path, C = outputs, T = tokens

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from trainer.explaining.deletion import Weights
from trainer.explaining.explanation import Method, Side
from trainer.explaining.integrated_gradients import Attribution, attribute
from trainer.explaining.pair_judge import PairScore
from trainer.explaining.words import Word, gather_weights
from trainer.models.cross_encoder import CrossEncoder
from trainer.models.label_scale import CLASSES, GRADES, RelevanceSettings
from trainer.models.pair_tokens import encodings_of
from trainer.models.saved_cross_encoder import SavedCrossEncoder

Floats = npt.NDArray[np.float64]
Span = tuple[Side, int, int] | None


@dataclass(frozen=True, slots=True)
class RelevanceJudge:
    """See trainer.explaining.pair_judge.PairJudge."""

    model: SavedCrossEncoder
    saved: RelevanceSettings

    @property
    def unit(self) -> str:
        """Give what the model puts out before it is made a chance or a grade."""
        return "log of the class's chance" if self.saved.scale.kind == CLASSES else "logit"

    @property
    def most_tokens(self) -> int:
        """Give how many tokens of a pair are read."""
        return self.saved.max_tokens

    def choose(self, query: str, product: str) -> PairScore:
        """Explain the one output; of classes, that of the class which the model takes."""
        output_1C = self.model.score_pairs([query], [product])
        column = int(output_1C[0].argmax()) if self.saved.scale.kind == CLASSES else None
        own: tuple[Any, ...] = (None, None)
        if isinstance(self.model, CrossEncoder):
            own = (Method.GRADIENTS, partial(self._weigh, self.model, query, product, column))
        return PairScore(
            self._tell(output_1C, column), partial(self._score, column), self._way(output_1C, column), *own
        )

    def _tell(self, output_1C: Floats, column: int | None) -> str:
        saved, scale = self.saved, self.saved.scale
        if column is not None:
            chance = saved.calibration.class_chances(output_1C)[0, column]
            return f"{scale.classes[column]}, with a chance of {chance:.2f}"
        chance = saved.certainty.chances(output_1C[:, 0])[0]
        told = f"relevant with a chance of {chance:.2f}"
        if scale.kind != GRADES:
            return told
        grade = scale.grades(saved.calibration.chances(output_1C[:, 0]))[0]
        return f"grade {grade:.2f} of {scale.low:g} to {scale.high:g}, {told}"

    def _way(self, output_1C: Floats, column: int | None) -> float:
        """Give -1 for a no: what is asked then is which words speak against the product."""
        if column is not None:
            return 1.0
        return 1.0 if self.saved.certainty.chances(output_1C[:, 0])[0] >= self.saved.threshold else -1.0

    def _score(self, column: int | None, queries: Sequence[str], products: Sequence[str]) -> Floats:
        return of_outputs(torch.from_numpy(self.model.score_pairs(queries, products)), column).numpy()

    def _weigh(
        self, model: CrossEncoder, query: str, product: str, column: int | None, words: Sequence[Word]
    ) -> Weights:
        """Give words their integrated gradients; nothing where these do not add up."""
        found, spans = attribute_pair(model, query, product, column)
        weights = gather_weights(words, spans, found.weight_T)
        return weights if found.is_complete else [None if weight is None else 0.0 for weight in weights]


def attribute_pair(
    model: CrossEncoder, query: str, product: str, column: int | None = None
) -> tuple[Attribution, list[Span]]:
    """Give each token's integrated gradients and where it stands."""
    (encoding,) = encodings_of(model.tokenizer.tokenizer, model.tokenizer.join([query], [product]))
    tokens = model.encode([query], [product])
    spans: list[Span] = [None]  # a text without any token is one of padding
    if encoding.ids:
        spans = pair_spans(encoding, query, as_one_text=model.tokenizer.as_one_text)
    is_word_T = np.array([span is not None for span in spans])
    return attribute(model, tokens, is_word_T, partial(of_outputs, column=column)), spans


def of_outputs(output_SC: Tensor, column: int | None) -> Tensor:
    """Give the output that is explained: the only one, or the logarithm of a class's chance."""
    return output_SC[:, 0] if column is None else torch.log_softmax(output_SC, dim=1)[:, column]


def pair_spans(encoding: Any, query: str, *, as_one_text: bool) -> list[Span]:
    """Give where each token of a pair stands in its texts; None for tokens that stand for none."""
    found: list[Span] = []
    for (start, end), sequence in zip(encoding.offsets, encoding.sequence_ids, strict=True):
        if sequence is None or end <= start:
            found.append(None)
        elif not as_one_text:
            found.append((Side.QUERY if sequence == 0 else Side.PRODUCT, start, end))
        elif start < len(query):
            found.append((Side.QUERY, start, end))
        else:
            behind = len(query) + 1  # the line break
            found.append((Side.PRODUCT, start - behind, end - behind))
    return found
