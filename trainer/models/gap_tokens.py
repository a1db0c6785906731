"""Texts as tokens of which some may be hidden, and the token that stands for a gap."""

# Shape suffixes, scoped to this file:
#   N = texts, P = tokens of all texts end to end, V = tokens of the vocabulary

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from trainer.data.json_texts import parse_json
from trainer.errors import ModelError
from trainer.models.backbone import is_decoder
from trainer.models.pair_tokens import Tokens, encodings_of, ids_of
from trainer.models.source import ModelSource

Ints = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]

NAMES = ("[MASK]", "<mask>")
NAMED_IN = ("special_tokens_map.json", "tokenizer_config.json")
NO_WORD = re.compile(r"\[[A-Za-z]+\d*\]|<[^<>\s]+>")  # [CLS], [unused7], <s>, <|endoftext|>
LOOKED_AT = 64  # texts at a time
INSTEAD = "leave [adapt] out, or take a model that fills gaps, such as bert, roberta or modernbert"


@dataclass(frozen=True, slots=True)
class GapVocabulary:
    """What a gap is written as, and which tokens stand for words or parts of them."""

    gap: int
    words_V: Mask

    @property
    def words(self) -> Ints:
        """Give the tokens that stand for words."""
        return np.flatnonzero(self.words_V)


@dataclass(frozen=True, slots=True)
class GapTexts:
    """Texts whose tokens may be hidden, unit by unit."""

    tokens: Tokens
    unit_P: Ints  # which token, or word, of all each belongs to; -1: never hidden
    owner_U: Ints  # the text of each unit, in order

    def __len__(self) -> int:
        return len(self.tokens)


def find_gap_vocabulary(source: ModelSource, tokenizer: Any) -> GapVocabulary:
    """Find what a model writes a gap as; raise ModelError where it fills none."""
    if is_decoder(source):
        raise ModelError(f"adapt: {source.folder} reads from left to right and fills no gaps: {INSTEAD}")
    found = (tokenizer.token_to_id(name) for name in (*_named(source), *NAMES))
    gap = next((token for token in found if token is not None), None)
    if gap is None:
        raise ModelError(
            f"adapt: {source.folder / 'tokenizer.json'} has no token for a gap ([MASK], <mask>): {INSTEAD}"
        )
    vocabulary = tokenizer.get_vocab()
    size = max(*vocabulary.values(), int(source.config.get("vocab_size") or 0) - 1) + 1
    words_V = np.zeros(size, dtype=np.bool_)
    words_V[[token for name, token in vocabulary.items() if not NO_WORD.fullmatch(name)]] = True
    words_V[[token for token, added in tokenizer.get_added_tokens_decoder().items() if added.special]] = False
    words_V[gap] = False
    if not words_V.any():
        raise ModelError(f"adapt: {source.folder / 'tokenizer.json'} knows no words: {INSTEAD}")
    return GapVocabulary(gap, words_V)


def read_gap_texts(
    tokenizer: Any, texts: Sequence[str], pad_token: int, vocabulary: GapVocabulary, *, whole_words: bool
) -> GapTexts:
    """Read the texts that have something to hide, one or more of them."""
    ids: list[Ints] = []
    units: list[Ints] = []
    owners: list[Ints] = []
    count = 0
    for encoding in encodings_of(tokenizer, texts):
        tokens = ids_of(encoding, pad_token)
        unit = _units(encoding, tokens, vocabulary, whole_words=whole_words)
        many = int(unit.max(initial=-1)) + 1
        if not many:
            continue
        units.append(np.where(unit < 0, -1, unit + count))
        owners.append(np.full(many, len(ids), dtype=np.int64))
        ids.append(tokens)
        count += many
    starts = np.concatenate([[0], np.cumsum([len(one) for one in ids])]).astype(np.int64)
    ids_P = np.concatenate(ids)
    return GapTexts(Tokens(ids_P, np.zeros_like(ids_P), starts), np.concatenate(units), np.concatenate(owners))


def with_words(tokenizer: Any, texts: Sequence[str], pad_token: int, vocabulary: GapVocabulary) -> Iterator[str]:
    """Give the texts that have something to hide, one after the other."""
    for start in range(0, len(texts), LOOKED_AT):
        some = texts[start : start + LOOKED_AT]
        for text, encoding in zip(some, encodings_of(tokenizer, some), strict=True):
            if vocabulary.words_V[ids_of(encoding, pad_token)].any():
                yield text


def _units(encoding: Any, tokens: Ints, vocabulary: GapVocabulary, *, whole_words: bool) -> Ints:
    """Number what is hidden together, from 0; -1 for what never is."""
    words = vocabulary.words_V[tokens] & (np.array(encoding.special_tokens_mask or [1]) == 0)
    unit = np.full(len(tokens), -1, dtype=np.int64)
    if not whole_words:
        unit[words] = np.arange(int(words.sum()))
        return unit
    word = np.array([-1 if place is None else place for place in encoding.word_ids or [None]])
    unit[words] = np.unique(word[words], return_inverse=True)[1]
    return unit


def _named(source: ModelSource) -> Iterator[str]:
    for name in NAMED_IN:
        try:
            told = parse_json((source.folder / name).read_text(encoding="utf-8")).get("mask_token")
        except (OSError, ValueError, AttributeError):  # none, or of no use
            continue
        found = told.get("content") if isinstance(told, dict) else told
        if isinstance(found, str):
            yield found
