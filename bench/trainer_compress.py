"""What a smaller model loses and gains: `python -m bench.trainer_compress --data FOLDER [--json]`.

FOLDER holds `homedepot`. A retrieval model and a judge of pairs are fitted for each seed, unless folders of such are
given; then every candidate of `compress` is measured beside the original on the test rows, which nothing was chosen on.
"""

import argparse
import json
import sys
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from bench.trainer_quality import RELEVANCE, RETRIEVAL

if TYPE_CHECKING:
    from trainer.compression.comparing import Compared
    from trainer.compression.gate import Measured

QUICK = ("train.epochs=1", "train.pairs=12000", "train.layers=3", "data.spelling=false")  # of the judge: minutes


@dataclass(frozen=True, slots=True)
class Bar:
    """What a candidate is to reach: a share of the original's metric, or a loss at most, and how much quicker."""

    speedup: float
    share: float | None = None
    loss: float | None = None


BARS: Mapping[tuple[str, str], Bar] = {
    ("retrieval", "static"): Bar(50, share=0.90),
    ("retrieval", "asymmetric"): Bar(5, share=0.97),
    ("relevance", "int8"): Bar(1.5, loss=0.003),
}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, metavar="FOLDER", help="holds the folder homedepot")
    parser.add_argument("--seeds", type=int, default=1, help="fits of each task, from seed 0 on")
    parser.add_argument("--retrieval", type=Path, action="append", metavar="MODEL", help="fitted, one a seed")
    parser.add_argument("--relevance", type=Path, action="append", metavar="MODEL", help="fitted, one a seed")
    parser.add_argument("--task", choices=("retrieval", "relevance"), action="append", help="default: both")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", dest="overrides")
    parser.add_argument("--json", action="store_true", dest="as_json")
    options = parser.parse_args()
    given = {"retrieval": options.retrieval, "relevance": options.relevance}
    found: dict[str, Any] = {}
    with TemporaryDirectory() as scratch:
        for task in options.task or ("retrieval", "relevance"):
            models = given[task] or [fit(task, seed, options.data, Path(scratch)) for seed in range(options.seeds)]
            for number, model in enumerate(models):
                place = Path(scratch, f"{task}-{number}-candidates")
                compared = compare(task, model, options.data, place, options.overrides)
                report(task, number, compared, found, show=not options.as_json)
    if options.as_json:
        print(json.dumps(found, indent=2))
    return 0


def job_file(task: str, data: Path, folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{task}.toml"
    path.write_text({"retrieval": RETRIEVAL, "relevance": RELEVANCE}[task].format(data=data.absolute()))
    return path


def fit(task: str, seed: int, data: Path, scratch: Path) -> Path:
    from trainer.jobs.file import load_job
    from trainer.run import run_job

    folder = scratch / f"{task}-{seed}"
    overrides = [f"seed={seed}", f"output={folder}/fitted", *(QUICK if task == "relevance" else ())]
    run_job(load_job(job_file(task, data, folder), overrides), "fit")
    return folder / "fitted" / "model"


def compare(task: str, model: Path, data: Path, folder: Path, more: list[str]) -> "Compared":
    from trainer.compression.comparing import compare_candidates
    from trainer.jobs.file import load_job

    overrides = ["compress.judged_on=test", *(QUICK[-1:] if task == "relevance" else ()), *more]
    return compare_candidates(load_job(job_file(task, data, folder), overrides, model=str(model)), folder / "made")


def report(task: str, number: int, compared: "Compared", found: dict[str, Any], *, show: bool) -> None:
    from trainer.compression.table import tell

    if show:
        print(f"{task}, model {number}")
        print(tell(compared, "pairs" if task == "relevance" else "queries"))
    original = compared.models[0]
    for one in compared.models:
        bar = BARS.get((task, one.name))
        verdict = {} if bar is None else judge(one, original, bar)
        if show and verdict:
            print(f"{one.name}: {', '.join(f'{key} {value}' for key, value in verdict.items())}")
        told = {**asdict(one), **verdict, "ours": one.per_second, "theirs": original.per_second, "ratio": one.speedup}
        found[f"{task}, model {number}, {one.name}"] = {**told, "instructions": compared.instructions}
    sys.stdout.flush()


def judge(one: "Measured", original: "Measured", bar: Bar) -> dict[str, Any]:
    """Say what of the bar is reached, the quality by the interval's worse end too."""
    assert one.loss_between is not None
    quick = one.speedup >= bar.speedup
    if bar.share is not None:
        kept, least = 1 - one.loss / original.quality, 1 - one.loss_between.high / original.quality
        told = {"share": round(kept, 4), "share_at_least": round(least, 4), "wanted": bar.share}
        return {**told, "reached": quick and kept >= bar.share, "reached_surely": quick and least >= bar.share}
    assert bar.loss is not None
    told = {"lost": round(one.loss, 5), "lost_at_most": round(one.loss_between.high, 5), "wanted": bar.loss}
    sure = quick and one.loss_between.high <= bar.loss
    return {**told, "reached": quick and one.loss <= bar.loss, "reached_surely": sure}


if __name__ == "__main__":
    sys.exit(main())
