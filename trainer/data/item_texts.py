"""The texts of a catalogue, gathered from a table of items or from the events, one text an item in the end."""

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from trainer.data.batches import Notes
from trainer.data.columns import ids_of, labels_of, texts_of
from trainer.data.tables import read_batches
from trainer.data.text_normalisation import check_words, normalise_all
from trainer.jobs.data import ItemsFile

Ints = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]

SEVERAL = "items with several texts"
NEVER = r"(?!)"  # matches nothing
MANY = 64  # wordings kept of one item: a free text column must not grow without end


@dataclass(slots=True)
class ItemTexts:
    """Ids numbered as they are met, with how often each wording came."""

    wanted: bool  # an item has to have a text
    ids: list[str] = field(default_factory=list)
    wordings: list[Counter[str]] = field(default_factory=list)
    groups: list[str] = field(default_factory=list)
    places: dict[str, int] = field(default_factory=dict)
    notes: Notes = field(default_factory=Notes)

    def note(self, item: Any, columns: Sequence[Any]) -> Ints:
        """Number the items of some rows and count how they are worded there; columns are joined by spaces."""
        coded = item.dictionary_encode()
        codes = np.array([self.place(name) for name in coded.dictionary.to_pylist()] or [0], dtype=np.int64)
        numbers: Ints = codes[coded.indices.to_numpy(zero_copy_only=False)]
        if columns:
            wording = join_columns(columns).dictionary_encode()
            names = wording.dictionary.to_pylist()
            which = pc.fill_null(wording.indices, -1).to_numpy(zero_copy_only=False).astype(np.int64)
            pairs, counts = np.unique((numbers << 32) + which + 1, return_counts=True)
            for pair, count in zip(pairs.tolist(), counts.tolist(), strict=True):
                number, text = pair >> 32, (pair & 0xFFFFFFFF) - 1
                if text >= 0:
                    self._count(number, names[text], count)
        return numbers

    def place(self, name: str) -> int:
        """Give an item's number, the next one where it is new."""
        number = self.places.setdefault(name, len(self.ids))
        if number == len(self.ids):
            self.ids.append(name)
            self.wordings.append(Counter())
            self.groups.append("")
        return number

    def known(self) -> Mask:
        """Say of each number whether it is an item one can speak of."""
        return np.array([bool(wordings) or not self.wanted for wordings in self.wordings] or [False])

    def matching(self, groups: Sequence[str], wordings: Sequence[str]) -> Mask:
        """Say of each number whether its whole group or a part of any wording matches a pattern."""
        group, wording = (
            re.compile("|".join(f"(?:{p})" for p in patterns) or NEVER) for patterns in (groups, wordings)
        )
        found = (
            group.fullmatch(name) is not None or any(wording.search(text) for text in texts)
            for name, texts in zip(self.groups, self.wordings, strict=True)
        )
        return np.array([*found] or [False], dtype=np.bool_)

    def choose_plain(self) -> tuple[list[str], int]:
        """Give every item its most frequent text, the first by alphabet among equals, and how many had several."""
        chosen = [min(counts, key=lambda text: (-counts[text], text), default="") for counts in self.wordings]
        return chosen, sum(len(counts) > 1 for counts in self.wordings)

    def choose(self, where: str) -> tuple[list[str], dict[str, int]]:
        """Give every item its one text, normalised, and what was mended; raise DataError for what is no text."""
        chosen, several = self.choose_plain()
        if self.wanted:
            check_words(where, chosen)
        clean = normalise_all(chosen)
        mended = {SEVERAL: several} if several else {}
        return list(clean.texts), mended | {f"item texts with {name}": count for name, count in clean.changed.items()}

    def _count(self, number: int, text: str, count: int) -> None:
        counts = self.wordings[number]
        if text in counts or len(counts) < MANY:
            counts[text] += count


def join_columns(columns: Sequence[Any]) -> Any:
    """Join the columns of a text by spaces, empty ones skipped; null where all are."""
    joined = columns[0]
    for further in columns[1:]:  # two by two: with null_handling="skip" pyarrow 25 leaves out rows where all are null
        both = pc.binary_join_element_wise(joined, further, " ")
        joined = pc.if_else(joined.is_null(), further, pc.if_else(further.is_null(), joined, both))
    return pc.if_else(pc.equal(joined, ""), pa.scalar(None, pa.string()), joined)


def read_items(job: ItemsFile) -> ItemTexts:
    """Read a table of items; raise DataError."""
    texts = ItemTexts(wanted=True)
    names = (job.id, *job.text, *(() if job.group is None else (job.group,)))
    for batch in read_batches(job, names, notes=texts.notes):
        ids = ids_of(batch, job.id)
        named = ids.is_valid()
        numbers = texts.note(ids.filter(named), [texts_of(batch, name).filter(named) for name in job.text])
        if job.group is not None:
            groups = labels_of(batch, job.group).filter(named).to_pylist()
            for number, group in zip(numbers.tolist(), groups, strict=True):
                texts.groups[number] = group or texts.groups[number]
    return texts
