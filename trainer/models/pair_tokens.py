"""Texts and pairs of texts as tokens, kept end to end and padded only to the longest of a batch."""

# Shape suffixes, scoped to this file:
#   N = texts or pairs, P = tokens of all texts end to end, B = texts of a batch, T = tokens of the longest of them,
#   C = outputs of a pair

import re
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from trainer.errors import ModelError
from trainer.models.model_form import TOKENIZER, copy_files
from trainer.models.source import ModelSource

Ints = npt.NDArray[np.int64]
Outputs = npt.NDArray[np.float64]

WORD_END = re.compile(r"\s|$")
TEXTS_AT_A_TIME = 10_000
LETTERS = 64  # of a text, for each token that is read: words have fewer, and what stands behind is not looked at
FEW = 4  # of a text, for each token: so short a part is not cut before


@dataclass(frozen=True, slots=True)
class TokenBatch:
    """Rows of tokens, padded to the longest of them."""

    ids_BT: Tensor
    types_BT: Tensor  # 0 in the first text of a pair, 1 in the second
    mask_BT: Tensor  # true where there is a token: at the beginning of each row

    def where(self, put: Callable[[Tensor], Tensor]) -> "TokenBatch":
        """Give it where it is wanted."""
        return TokenBatch(put(self.ids_BT), put(self.types_BT), put(self.mask_BT))


class PaddedRows(Protocol):
    """Gives some texts as rows of one width."""

    def pad(self, rows: Ints, pad_token: int) -> TokenBatch:
        """Give some texts, filled up with a token that nothing looks at."""
        ...


@dataclass(frozen=True, slots=True)
class Tokens:
    """The tokens of many texts end to end."""

    ids_P: Ints
    types_P: Ints
    starts: Ints  # (N + 1,)

    def __len__(self) -> int:
        return len(self.starts) - 1

    @property
    def lengths(self) -> Ints:
        """Give how many tokens each text has."""
        return np.diff(self.starts)

    def places(self, rows: Ints) -> Ints:
        """Give where the tokens of some texts stand, text by text."""
        return places_of(self.starts[rows], self.lengths[rows])

    def pad(self, rows: Ints, pad_token: int) -> TokenBatch:
        """Give some texts as rows of one width."""
        start_B, length_B = self.starts[rows], self.lengths[rows]
        place_T = np.arange(length_B.max())
        mask_BT = place_T < length_B[:, None]
        at_BT = np.where(mask_BT, start_B[:, None] + place_T, 0)
        ids_BT = np.where(mask_BT, self.ids_P[at_BT], pad_token)
        types_BT = np.where(mask_BT, self.types_P[at_BT], 0)
        return TokenBatch(torch.from_numpy(ids_BT), torch.from_numpy(types_BT), torch.from_numpy(mask_BT))


def places_of(starts: Ints, lengths: Ints) -> Ints:
    """Count up from each start, so far as each length goes, one after the other."""
    before = np.cumsum(lengths) - lengths
    return np.asarray(np.arange(int(lengths.sum())) + np.repeat(starts - before, lengths))


@dataclass(frozen=True, slots=True)
class PairTokenizer:
    """Turns (query, product) into one row of tokens, as the kind of model wants it."""

    tokenizer: Any  # tokenizers.Tokenizer
    as_one_text: bool  # decoders know no second text: a line break divides the two
    pad_token: int

    def join(self, queries: Sequence[str], products: Sequence[str]) -> list[tuple[str, str]] | list[str]:
        """Give the pairs as the tokenizer takes them."""
        pairs = list(zip(queries, products, strict=True))
        return [f"{query}\n{product}" for query, product in pairs] if self.as_one_text else pairs

    def opens_a_pair(self) -> bool:
        """Say whether a token that is of neither text stands first, as BERT's [CLS] does."""
        (encoding,) = encodings_of(self.tokenizer, self.join(["a"], ["b"]))
        return bool(encoding.special_tokens_mask and encoding.special_tokens_mask[0])

    def encode(self, queries: Sequence[str], products: Sequence[str]) -> Tokens:
        """Give the tokens of pairs, special ones included."""
        ids, types = [], []
        for encoding in encodings_of(self.tokenizer, self.join(queries, products)):
            ids.append(ids_of(encoding, self.pad_token))
            types.append(np.array(encoding.type_ids or [0], dtype=np.int64))
        starts = np.concatenate([[0], np.cumsum([len(one) for one in ids])])
        return Tokens(np.concatenate(ids), np.concatenate(types), starts)


def encodings_of(tokenizer: Any, texts: Sequence[Any]) -> Iterator[Any]:
    """Give what a tokenizer makes of each text, some held at a time: it is ten times what is taken of it.

    It makes tokens of all that it is given, and of a pair every piece of one text beside every piece of the other,
    before it cuts. So it is given no more than could be read.
    """
    most = (tokenizer.truncation or {}).get("max_length", sys.maxsize)
    for start in range(0, len(texts), TEXTS_AT_A_TIME):
        some = texts[start : start + TEXTS_AT_A_TIME]
        long = [one for one in some if not isinstance(one, str) and max(map(len, one)) > FEW * most]
        reach = _reaches(tokenizer, sorted({part for pair in long for part in pair}), most)
        shorter = {pair: _shorten(pair, reach) for pair in long}
        yield from tokenizer.encode_batch(
            [one[: LETTERS * most] if isinstance(one, str) else shorter.get(one, one) for one in some]
        )


@dataclass(frozen=True, slots=True)
class Reach:
    """How many tokens a text has alone, and after which letter the first so many end that may be read, and as many."""

    tokens: int
    near: int
    far: int


def _reaches(tokenizer: Any, texts: Sequence[str], most: int) -> dict[str, Reach]:
    begun = [text[: LETTERS * most] for text in texts]
    found = {}
    for text, begin, encoding in zip(texts, begun, tokenizer.encode_batch(begun), strict=True):
        pieces = [encoding, *encoding.overflowing]
        tokens = sum(len(piece) - sum(piece.special_tokens_mask) for piece in pieces)
        found[text] = Reach(tokens, _end(begin, pieces[:1]), _end(begin, pieces[:2]))
    return found


def _end(text: str, pieces: Sequence[Any]) -> int:
    """Give where the word ends that pieces end in: some tokenizers would part its beginning otherwise."""
    last = max((end for piece in pieces for _, end in piece.offsets), default=0)
    found = WORD_END.search(text, last)
    return len(text) if found is None else found.start()


def _shorten(pair: tuple[str, str], reach: Mapping[str, Reach]) -> tuple[str, str]:
    """Cut both texts where nothing is read any more; which is the longer stays so, as the odd token is its."""
    query, product = (reach[part] for part in pair)
    ends = (query.far, product.near) if query.tokens > product.tokens else (query.near, product.far)
    return pair[0][: ends[0]], pair[1][: ends[1]]


def tokens_of(tokenizer: Any, texts: Sequence[str], pad_token: int) -> Tokens:
    """Give the tokens of texts that stand alone."""
    ids = [ids_of(encoding, pad_token) for encoding in encodings_of(tokenizer, texts)]
    starts = np.concatenate([[0], np.cumsum([len(one) for one in ids])]).astype(np.int64)
    ids_P = np.concatenate(ids)
    return Tokens(ids_P, np.zeros_like(ids_P), starts)


def ids_of(encoding: Any, pad_token: int) -> Ints:
    """Give a text's tokens; one that has none, for no word of it is known, is one token of padding that is seen."""
    return np.array(encoding.ids or [pad_token], dtype=np.int64)


def score_distinct(
    queries: Sequence[str], products: Sequence[str], score: Callable[[Sequence[str], Sequence[str]], Outputs]
) -> Outputs:
    """Give the (N, C) outputs of pairs of texts, each read once and in the order of the alphabet.

    So pairs that read the same tie to the last bit, and no output hangs on which pairs stand near it.
    """
    asked = list(zip(queries, products, strict=True))
    distinct = sorted(set(asked))
    place = {texts: number for number, texts in enumerate(distinct)}
    output_NC = score([query for query, _ in distinct], [item for _, item in distinct])
    return np.asarray(output_NC[[place[texts] for texts in asked]])


def load_tokenizer(source: ModelSource, max_tokens: int, vocabulary: int) -> Any:
    """Read tokenizer.json; raise ModelError where it does not fit a model of so many tokens."""
    from tokenizers import Tokenizer

    path = source.folder / "tokenizer.json"
    try:
        tokenizer = Tokenizer.from_file(str(path))
    except Exception as error:  # noqa: BLE001 - the Rust side raises plain Exception
        raise ModelError(f"{path}: not a tokenizer: {error}") from None
    largest = max(tokenizer.get_vocab().values(), default=-1)
    if largest >= vocabulary:
        raise ModelError(f"{path}: its largest token is {largest}, the model knows {vocabulary} from 0")
    tokenizer.no_padding()
    tokenizer.enable_truncation(max_tokens)
    return tokenizer


def find_pad_token(source: ModelSource) -> int:
    """Give a token to fill rows with; nothing looks at it, so any will do where the model names none."""
    named = source.config.get("pad_token_id")
    if named is None:
        named = source.config.get("eos_token_id")
    if isinstance(named, list):
        named = named[0]
    size = int(source.config.get("vocab_size", 1))
    return int(named) if isinstance(named, int) and 0 <= named < size else 0


def copy_tokenizer(source: ModelSource, folder: Path) -> None:
    """Put the tokenizer's files beside a saved model, byte for byte."""
    copy_files(source.folder, folder, TOKENIZER)
