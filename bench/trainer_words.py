"""BM25 alone on Home Depot's titles, by what counts as a word: `python -m bench.trainer_words --data DIR`.

Rows of docs/trainer.md: what `retrieval` takes was chosen on the valid rows; of the test rows it and plain words are
measured. What ties counts by expectation. DIR is that of bench.trainer_quality.
"""

import argparse
import re
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from trainer.data.pairs import Pairs, read_pairs
from trainer.data.splits import Part
from trainer.data.words import split_words
from trainer.jobs.data import PairsData
from trainer.models.bm25 import LENGTH, SATURATION
from trainer.models.hybrid_search import Found, best_places
from trainer.tasks.retrieval_questions import ask_part, list_values

RELEVANT, CATALOGUE, TOP = 2.33, 25_000, 100
COLUMNS = {"query": "query", "product": "title", "product_id": "product_uid", "label": "relevance", "part": "split"}
WORD = re.compile(r"\w+")

Split = Callable[[str], list[str]]


def plain(text: str) -> list[str]:
    """Give the words as they stand."""
    return WORD.findall(text.lower())


def grams(text: str, size: int) -> list[str]:
    """Give every so many neighbouring letters of a word, its ends marked."""
    marked = [f"^{word}$" for word in plain(text)]
    return [word[at : at + size] for word in marked for at in range(max(1, len(word) - size + 1))]


WAYS: Sequence[tuple[str, Split, float, float]] = (
    ("plain words", plain, 1.5, 0.75),
    ("endings cut", split_words, 1.5, 0.75),
    ("as retrieval has it", split_words, SATURATION, LENGTH),
    ("letter trigrams", lambda text: grams(text, 3), 1.5, 0.75),
    ("words and letter 4-grams", lambda text: split_words(text) + grams(text, 4), 1.5, 0.75),
)
TESTED = ("plain words", "as retrieval has it")


def measure(pairs: Pairs, part: Part, split: Split, saturation: float, length: float) -> dict[str, float]:
    """Give the mean metrics of a part's queries."""
    import bm25s

    asked = ask_part(pairs, part, RELEVANT)
    texts = [pairs.products[product] for product in asked.products_I.tolist()]
    index = bm25s.BM25(k1=saturation, b=length)
    index.index([split(text) for text in texts], show_progress=False)
    found = []
    for query in asked.queries_Q.tolist():
        known = [word for word in split(pairs.queries[query]) if word in index.vocab_dict]
        scores_I = np.asarray(index.get_scores(known)) if known else np.zeros(len(texts))
        places = best_places(scores_I, TOP)
        places = places[scores_I[places] > 0]
        found.append(Found(places, scores_I[places].astype(np.float64)))
    return {name: float(values.mean()) for name, values in list_values(asked, found, TOP).items()}


def main(arguments: Sequence[str] | None = None) -> int:
    """Print a row for each way and part."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, metavar="DIR")
    path = parser.parse_args(arguments).data / "homedepot" / "pairs.csv.gz"
    told = {"kind": "pairs", "path": path, "leak_check": "warn", "columns": COLUMNS, "split": {"by": "column"}}
    pairs = read_pairs(PairsData.model_validate({**told, "catalogue": CATALOGUE}))
    for part in (Part.VALID, Part.TEST):
        for name, split, saturation, length in WAYS:
            if part is Part.VALID or name in TESTED:
                found = measure(pairs, part, split, saturation, length)
                row = "  ".join(f"{metric} {value:.3f}" for metric, value in found.items())
                sys.stdout.write(f"{part.value}  {name}: {row}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
