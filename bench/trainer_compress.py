"""What a smaller model loses and gains: `python -m bench.trainer_compress --data FOLDER [--seeds 3] [--json]`.

FOLDER holds `homedepot`. A retrieval model and a judge of pairs are fitted for each seed, unless folders of such are
given; then every candidate of `compress` is measured beside the original on the test rows, which nothing was chosen on.
Intervals are over seeds and questions. With `--keep` what was fitted stays, and is not fitted again.
"""

import argparse
import json
import sys
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from time import monotonic
from typing import TYPE_CHECKING, Any

from bench.compress_bars import BM25, Fits, as_json, table
from bench.trainer_quality import RELEVANCE, RETRIEVAL

if TYPE_CHECKING:
    from trainer.compression.comparing import Compared

QUICK = ("train.epochs=1", "train.pairs=12000", "train.layers=3", "data.spelling=false")  # of the judge: minutes
METRICS = {"retrieval": "ndcg_at_10", "relevance": "auc"}
TASKS = tuple(METRICS)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, metavar="FOLDER", help="holds the folder homedepot")
    parser.add_argument("--seeds", type=int, default=3, help="fits of each task, from seed 0 on; default: 3")
    parser.add_argument("--retrieval", type=Path, action="append", metavar="MODEL", help="fitted, one a seed")
    parser.add_argument("--relevance", type=Path, action="append", metavar="MODEL", help="fitted, one a seed")
    parser.add_argument("--task", choices=TASKS, action="append", help="default: both")
    parser.add_argument("--keep", type=Path, metavar="FOLDER", help="leave what is fitted there")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", dest="overrides")
    parser.add_argument("--json", action="store_true", dest="as_json")
    options = parser.parse_args()
    if options.seeds < 1:
        parser.error(f"--seeds: {options.seeds} is no number of fits")
    with TemporaryDirectory() as scratch:
        found = measure(options, options.keep or Path(scratch))
    if options.as_json:
        print(json.dumps(found, indent=2))
    return 0


def measure(options: argparse.Namespace, folder: Path) -> dict[str, Any]:
    tasks = options.task or TASKS
    given = {task: getattr(options, task) or [] for task in tasks}
    counts = {task: len(given[task]) or options.seeds for task in tasks}
    step = steps(sum(count * (1 if given[task] else 2) for task, count in counts.items()))
    found: dict[str, Any] = {}
    for task in tasks:
        fits = []
        for seed in range(counts[task]):
            if not given[task]:
                step(f"{task}, seed {seed}: fit")
            model = given[task][seed] if given[task] else fit(task, seed, options.data, folder, options.overrides)
            step(f"{task}, seed {seed}: candidates")
            with TemporaryDirectory() as made:
                compared = compare(task, model, options.data, Path(made), options.overrides)
            fits.append(compared.models)
            if not options.as_json:
                show(task, compared, f"{task}, seed {seed}")
        found |= as_json(task, METRICS[task], fits)
        if not options.as_json:
            show_all(task, fits)
    return found


def steps(total: int) -> Callable[[str], None]:
    """Give what tells how far it is: what each step trains has a bar of its own."""
    from trainer.tracking.progress import say

    began, done = monotonic(), 0

    def step(what: str) -> None:
        nonlocal done
        spent = monotonic() - began
        left = f", some {spent / done * (total - done) / 60:.0f} min left" if done else ""
        say(f"[{'#' * done}{'.' * (total - done)}] step {done + 1} of {total}: {what}{left}")
        done += 1

    return step


def job_file(task: str, data: Path, folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{task}.toml"
    path.write_text({"retrieval": RETRIEVAL, "relevance": RELEVANCE}[task].format(data=data.absolute()))
    return path


def fit(task: str, seed: int, data: Path, scratch: Path, more: list[str]) -> Path:
    from trainer.jobs.file import load_job
    from trainer.run import run_job

    folder = scratch / f"{task}-{seed}"
    if (folder / "fitted" / "model").is_dir():
        return folder / "fitted" / "model"
    overrides = [f"seed={seed}", f"output={folder}/fitted", *(QUICK if task == "relevance" else ()), *more]
    run_job(load_job(job_file(task, data, folder), overrides), "fit")
    return folder / "fitted" / "model"


def compare(task: str, model: Path, data: Path, folder: Path, more: list[str]) -> "Compared":
    from trainer.compression.comparing import compare_candidates
    from trainer.jobs.file import load_job

    overrides = ["compress.judged_on=test", *(QUICK[-1:] if task == "relevance" else ()), *more]
    return compare_candidates(load_job(job_file(task, data, folder), overrides, model=str(model)), folder / "made")


def show(task: str, compared: "Compared", title: str) -> None:
    from trainer.compression.table import tell

    print(f"{title}\n{tell(compared, 'pairs' if task == 'relevance' else 'queries')}\n", flush=True)


def show_all(task: str, fits: Fits) -> None:
    from trainer.results.summary import align

    metric = METRICS[task]
    count = f"{len(fits)} fits, 95 % over seeds and questions" if len(fits) > 1 else "one fit, 95 % over questions"
    print(f"{task}, {count}\n{align(table(task, metric, fits))}")
    words = [models[0].metrics[f"{BM25}/{metric}"] for models in fits if f"{BM25}/{metric}" in models[0].metrics]
    if words:
        share = sum(words) / sum(models[0].quality for models in fits)
        print(f"BM25 alone {sum(words) / len(words):.4f}: {share:.3f} of the original's fused {metric}")
    print(flush=True)


if __name__ == "__main__":
    sys.exit(main())
