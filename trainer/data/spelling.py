"""Mends the words of a query that no product has: misspelt ones, and two written as one."""

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from trainer.data.words import IDEOGRAPHS

WORD = re.compile(r"[^\W\d_]{4,}")  # shorter words are codes, units and too like one another
LONG = 7  # letters from which a word may be two edits away
TRUSTED_NEAR, TRUSTED_FAR = 3, 5  # how often products have a word that another is taken for
SHORTEST_PART = 3  # letters of either of two words that were written as one


@dataclass(frozen=True, slots=True)
class Spelling:
    """The words of a catalogue, and how often each occurs; a query is asked in them."""

    words: Mapping[str, int]
    met: dict[str, str] = field(default_factory=dict)

    def mend(self, query: str) -> str:
        """Give the query with every unknown word replaced by the nearest known one, if there is one near enough."""
        return WORD.sub(lambda found: self._mend_word(found.group()), query)

    def _mend_word(self, word: str) -> str:
        lower = word.lower()
        if lower in self.words or IDEOGRAPHS.search(word):
            return word
        if lower not in self.met:
            # One edit before two words in one, and that before two edits: the likelier slip first.
            self.met[lower] = self._nearest(lower, 1, TRUSTED_NEAR) or self._parted(lower) or self._far(lower) or lower
        return word if self.met[lower] == lower else self.met[lower]

    def _far(self, word: str) -> str | None:
        return self._nearest(word, 2, TRUSTED_FAR) if len(word) >= LONG else None

    def _nearest(self, word: str, edits: int, trusted: int) -> str | None:
        """Find the most frequent of the words so many insertions, deletions, changes or swaps away (Damerau 1964)."""
        from rapidfuzz.distance import OSA
        from rapidfuzz.process import extract

        choices = (other for other in self.words if abs(len(other) - len(word)) <= edits)
        distance = OSA.distance
        near = extract(word, choices, scorer=distance, score_cutoff=edits, limit=None)  # type: ignore[arg-type]  # theirs
        return max((other for other, _, _ in near if self.words[other] >= trusted), key=self._rank, default=None)

    def _parted(self, word: str) -> str | None:
        """Find the two known words that were written as one; the rarer of them decides between several."""
        ways = ((word[:at], word[at:]) for at in range(SHORTEST_PART, len(word) - SHORTEST_PART + 1))
        known = [(min(self.words.get(part, 0) for part in way), " ".join(way)) for way in ways]
        rarest, words = max(known, default=(0, ""))
        return words if rarest >= TRUSTED_FAR else None

    def _rank(self, word: str) -> tuple[int, str]:
        return self.words[word], word


def learn_spelling(products: Iterable[str]) -> Spelling:
    """Count the words of the products' texts."""
    counts = Counter(word for text in products for word in re.findall(r"[^\W\d_]+", text.lower()))
    return Spelling(counts)
