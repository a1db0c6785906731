"""What a model does not see of its texts: what lies beyond its most tokens, and words that it has no token for."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from trainer.data.card import DataCard
from trainer.models.pair_tokens import encodings_of
from trainer.tracking.progress import say

LOOKED_AT = 5_000  # texts of a kind, spread evenly over the alphabet: enough for a share
TOO_MUCH = 0.05
_SAID: ContextVar[set[str] | None] = ContextVar("said", default=None)  # warnings, their shares aside
UNKNOWN = ("[UNK]", "<unk>")  # by their usual names, where the tokenizer gives none

Texts = Sequence[str] | Sequence[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class TokenLosses:
    """Of some texts, the share that is cut; of their tokens, the share that is the unknown one."""

    cut: float
    unknown: float


def measure_losses(tokenizer: Any, texts: Texts) -> TokenLosses:
    """Tokenize texts, or pairs of texts, with a tokenizer that cuts, and see what is left."""
    distinct: list[Any] = sorted(set(texts))
    places = np.unique(np.linspace(0, len(distinct) - 1, min(len(distinct), LOOKED_AT)).astype(int))
    encodings = list(encodings_of(tokenizer, [distinct[place] for place in places.tolist()]))
    stranger = _unknown_token(tokenizer)
    cut = sum(bool(encoding.overflowing) for encoding in encodings)
    tokens = sum(len(encoding) - sum(encoding.special_tokens_mask) for encoding in encodings)
    unknown = 0 if stranger is None else sum(encoding.ids.count(stranger) for encoding in encodings)
    return TokenLosses(round(cut / max(len(encodings), 1), 4), round(unknown / max(tokens, 1), 4))


def note_losses(card: DataCard, tokenizer: Any, kinds: Mapping[str, Texts]) -> DataCard:
    """Give the card with what is lost of each kind of text, and warn where that is much."""
    found = {kind: measure_losses(tokenizer, texts) for kind, texts in kinds.items()}
    cut, unknown = ({kind: getattr(one, what) for kind, one in found.items()} for what in ("cut", "unknown"))
    noted = replace(card, cut=cut, unknown=unknown)
    said = _SAID.get()
    for warning in warnings_of(noted):
        _, _, what = warning.partition(" ")  # behind the share
        if said is None or what not in said:
            say(f"trainer: warning: {warning}")
        if said is not None:
            said.add(what)
    return noted


@contextmanager
def warned_once() -> Iterator[None]:
    """Warn of each kind of text once, however many models look at it in here; cards have all shares."""
    token = _SAID.set(set())
    try:
        yield
    finally:
        _SAID.reset(token)


def warnings_of(card: DataCard) -> list[str]:
    """Say what of the texts the model does not see, where that is more than one in twenty."""
    cut = [
        f"{share:.1%} of the {kind} are cut at model.max_tokens: what stands at their end is not read"
        for kind, share in (card.cut or {}).items()
        if share > TOO_MUCH
    ]
    unknown = [
        f"{share:.1%} of the tokens of the {kind} are unknown to the model: it was made for another language"
        for kind, share in (card.unknown or {}).items()
        if share > TOO_MUCH
    ]
    return cut + unknown


def tell_losses(card: DataCard) -> dict[str, str]:
    """Say for the summary how much is cut and how much unknown, and warn where it is much."""
    shares = [
        f"{kind}: {share:.1%} cut, {(card.unknown or {}).get(kind, 0.0):.1%} of the tokens unknown"
        for kind, share in (card.cut or {}).items()
    ]
    warned = warnings_of(card)
    return {"texts": "; ".join(shares), **({"warning": "; ".join(warned)} if warned else {})}


def _unknown_token(tokenizer: Any) -> int | None:
    names = (getattr(tokenizer.model, "unk_token", None), *UNKNOWN)
    found = (tokenizer.token_to_id(name) for name in names if name)
    return next((token for token in found if token is not None), None)
