"""The words of a text: stemmed a little, Chinese by pairs of characters."""

import re

WORD = re.compile(r"[^\W_]+")

IDEOGRAPHS = re.compile(r"[\u3400-\u9fff\uf900-\ufaff]+")

ENDINGS = ("ing", "ies", "es", "ed", "s", "e", "y")

SHORTEST_STEM = 3


def split_words(text: str) -> list[str]:
    """Give the stems of a text; a run of Chinese characters as its overlapping pairs."""
    found: list[str] = []
    for word in WORD.findall(text.lower()):
        rest = 0
        for run in IDEOGRAPHS.finditer(word):
            if run.start() > rest:
                found.append(stem(word[rest : run.start()]))
            characters = run.group()  # no spaces part Chinese words, most of which have two characters
            found += [characters[place : place + 2] for place in range(max(1, len(characters) - 1))]
            rest = run.end()
        if rest < len(word):
            found.append(stem(word[rest:]))
    return found


def stem(word: str) -> str:
    """Cut the first ending that leaves a stem: boards and board, hose and hoses meet."""
    # Crude, but the same for query and product: that they meet is all that is asked. The longest ending stands first.
    for ending in ENDINGS:
        if word.endswith(ending) and len(word) - len(ending) >= SHORTEST_STEM:
            return word[: -len(ending)]
    return word


def word_overlap(query: str, text: str) -> float:
    """Give the share of the query's words that the text has."""
    asked = set(split_words(query))
    return len(asked & set(split_words(text))) / len(asked) if asked else 0.0
