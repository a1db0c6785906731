"""Whether the words that `explain` names carry the answer: `python -m bench.trainer_explain --data DIR --model FOLDER`.

Rows of docs/explain.md. FOLDER is what a relevance (or retrieval) fit on Home Depot saved; DIR is that of
bench.trainer_quality. A pair is drawn of each of so many test queries. With a relevance model the same words are also
weighed in models of random weights: what an explanation shares with those it has not from the model.
"""

import argparse
import csv
import gzip
import sys
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from time import process_time

import numpy as np

from trainer.data.text_normalisation import normalise
from trainer.environment import let_threads_sleep
from trainer.explaining.explanation import Method
from trainer.explaining.opening import open_judge
from trainer.explaining.pair_judge import PairJudge
from trainer.explaining.relevance_judge import RelevanceJudge
from trainer.explaining.sanity import randomised, rank_agreement, try_methods, weigh_all
from trainer.models.cross_encoder import CrossEncoder

Z = 1.959964  # of 95 %
EVERY = 20  # queries


def draw(path: Path, queries: int, seed: int) -> list[tuple[str, str]]:
    """Draw one pair of each of some test queries."""
    rng, found = np.random.default_rng(seed), {}
    with gzip.open(path, "rt", encoding="utf-8", newline="") as lines:
        rows = [row for row in csv.DictReader(lines) if row["split"] == "test"]
    for place in rng.permutation(len(rows)).tolist():
        found.setdefault(normalise(rows[place]["query"]), normalise(rows[place]["title"]))
    return list(found.items())[:queries]


def wilson(held: int, of: int) -> str:
    """Give a share with its interval (Wilson 1927)."""
    share, spread = held / of, Z * Z / of
    middle, half = share + spread / 2, Z * np.sqrt(share * (1 - share) / of + spread / (4 * of))
    return f"{share:.3f} ({(middle - half) / (1 + spread):.3f} to {(middle + half) / (1 + spread):.3f})"


def measure_deletion(judge: PairJudge, asked: Sequence[tuple[str, str]]) -> None:
    """Print, now and then, how often each method holds, and how often the first that does is there."""
    held: dict[str, int] = defaultdict(int)
    beaten: dict[str, list[float]] = defaultdict(list)
    began = process_time()
    for number, (query, product) in enumerate(asked, 1):
        tried = try_methods(judge, query, product)
        known = {method: found for method, found in tried.items() if found is not None}
        for method, found in known.items():
            held[method] += found.holds
            beaten[method].append(found.beaten)
        first = next((found for found in known.values() if found.holds), None)
        held["as shown"] += first is not None
        beaten["as shown"].append(0.0 if first is None else first.beaten)
        if number % EVERY == 0 or number == len(asked):
            for name, shares in beaten.items():
                told = f"holds on {held[name]}: {wilson(held[name], number)}, beats {np.mean(shares):.3f} of the draws"
                sys.stdout.write(f"{name:<26} {told}\n")
            each = (process_time() - began) / number * 1000
            sys.stdout.write(f"{number} queries, {each:.0f} ms of a core each\n\n")
            sys.stdout.flush()


def measure_agreement(judge: RelevanceJudge, asked: Sequence[tuple[str, str]], seeds: int) -> None:
    """Print how weights agree with those of models that learnt nothing."""
    assert isinstance(judge.model, CrossEncoder)
    others = [RelevanceJudge(randomised(judge.model, seed), judge.saved) for seed in range(seeds)]
    found: dict[Method, list[float]] = defaultdict(list)
    sizes: dict[Method, list[float]] = defaultdict(list)
    for query, product in asked:
        mine = weigh_all(judge, query, product)
        theirs = [weigh_all(other, query, product) for other in others]
        for method, weights in mine.items():
            found[method].append(float(np.mean([rank_agreement(weights, one[method]) for one in theirs])))
            plain = [abs(weight or 0.0) for weight in weights]
            away = [[abs(weight or 0.0) for weight in one[method]] for one in theirs]
            sizes[method].append(float(np.mean([rank_agreement(plain, one) for one in away])))
    for kind, table in (("weights", found), ("sizes", sizes)):
        for method, values in table.items():
            known = np.array(values)[~np.isnan(values)]
            half = Z * known.std(ddof=1) / np.sqrt(len(known))
            told = f"{known.mean():+.3f} ({known.mean() - half:+.3f} to {known.mean() + half:+.3f})"
            sys.stdout.write(f"{method:<26} {kind} against {seeds} models of random weights: {told}\n")


def main(arguments: Sequence[str] | None = None) -> int:
    """Print a row for each method."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, metavar="DIR")
    parser.add_argument("--model", type=Path, required=True, metavar="FOLDER")
    parser.add_argument("--queries", type=int, default=500)
    parser.add_argument("--skip", type=int, default=0, help="queries; two halves may be measured beside one another")
    parser.add_argument("--agreement", type=int, default=100, help="queries that are held against random weights")
    parser.add_argument("--threads", type=int, default=2)
    told = parser.parse_args(arguments)
    let_threads_sleep()
    import torch

    torch.set_num_threads(told.threads)
    path = told.data / "homedepot" / "pairs.csv.gz"
    asked = draw(path, told.skip + told.queries, seed=0)[told.skip :]
    judge = open_judge(told.model)
    measure_deletion(judge, asked)
    if isinstance(judge, RelevanceJudge) and isinstance(judge.model, CrossEncoder) and told.agreement:
        measure_agreement(judge, asked[: told.agreement], seeds=2)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
