"""The trainer's speed on a GPU beside others': `python -m bench.trainer_gpu [--json] [--dry]`.

Models of random weights and texts of random words are made on the spot, so it needs no network. Ours, transformers'
Trainer and sentence-transformers each fit the same rows in a process of its own, at several batches, of which the best
counts; *share* is that of the rate at which the same process multiplies large matrices in the same precision, at 6 x
the weights of the layers for each token that is no padding. It ends within eight minutes, with what it has by then.
Without CUDA it says so; `--dry` goes through all of it on the processor with a tiny model, which measures nothing.
"""

import argparse
import json
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory
from time import monotonic

from bench.trainer_gpu_sides import SIDES, Measured, Setting
from bench.trainer_gpu_texts import DRY, SIZES, Size, write_model, write_pairs

LONGEST = 480.0  # s of the whole
ENDING = 20.0  # s before that in which no process is begun
PACKAGES = {"trainer": "transformers", "sentence-transformers": "sentence_transformers"}


@dataclass(frozen=True, slots=True)
class Work:
    """Something that both can do."""

    title: str
    theirs: str  # a side's name
    wanted: float | None  # ratio


WORKS = {
    "relevance": Work("fine-tune, pairs/s", "trainer", 1.3),
    "retrieval": Work("in-batch negatives, pairs/s", "sentence-transformers", None),
}


@dataclass(frozen=True, slots=True)
class Row:
    """The best of a side's batches."""

    model: str
    work: str
    side: str
    batch: int
    measured: Measured


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--dry", action="store_true", help="go through it on the processor, with a tiny model")
    parser.add_argument("--child", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        setting = Setting(**json.loads(options.child))
        print(json.dumps(asdict(SIDES[setting.side](setting))))
        return 0
    if not options.dry and not has_cuda():
        print("gpu-bench: torch finds no CUDA device here, so nothing is measured; --dry goes through it all the same")
        return 0
    rows, left_out = measure((DRY,) if options.dry else SIZES, dry=options.dry)
    if options.json:
        print(json.dumps({"rows": [asdict(row) for row in rows], "left_out": left_out}, indent=2))
    else:
        print("\n".join([*table(rows), *left_out]))
    return 0


def has_cuda() -> bool:
    import torch

    return torch.cuda.is_available()


def measure(sizes: Sequence[Size], *, dry: bool) -> tuple[list[Row], list[str]]:
    """Let all sides fit all sizes; give the best of each, and a sentence for what was left out."""
    ends, rows, left_out = monotonic() + LONGEST, [], []
    missing = {side for side, package in PACKAGES.items() if find_spec(package) is None}
    left_out += [f"{side} is not installed, and left out" for side in sorted(missing)]
    with TemporaryDirectory(prefix="gpu-bench-") as scratch:
        for size in sizes:
            folder = Path(scratch, size.name)
            write_model(folder / "model", size)
            write_pairs(folder / "pairs.csv", size)
            for work, side in ((name, side) for name, one in WORKS.items() for side in ("ours", one.theirs)):
                if side in missing:
                    continue
                found = []
                for setting in (Setting(str(folder), work, side, batch, dry) for batch in size.batches):
                    told = ask(setting, ends - monotonic())
                    if isinstance(told, Measured):
                        found.append(Row(size.name, work, side, setting.batch, told))
                    else:
                        left_out.append(f"{size.name}, {WORKS[work].title}, {side} at batch {setting.batch}: {told}")
                rows += [max(found, key=lambda row: row.measured.examples)] if found else []
    return rows, left_out


def ask(setting: Setting, left: float) -> Measured | str:
    """Measure in a process of its own, or say why that was not to be had."""
    if left < ENDING:
        return f"not begun, {LONGEST / 60:.0f} minutes being over"
    command = [sys.executable, "-m", "bench.trainer_gpu", "--child", json.dumps(asdict(setting))]
    environment = os.environ | {"HF_HUB_OFFLINE": "1", "TOKENIZERS_PARALLELISM": "false"}
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment, timeout=left)
    except subprocess.TimeoutExpired:
        return "not finished in time"
    if done.returncode:
        return f"broke: {(done.stderr.strip().splitlines() or ['without a word'])[-1][:200]}"
    return Measured(**json.loads(done.stdout.splitlines()[-1]))


def table(rows: Sequence[Row]) -> Iterator[str]:
    """Give the lines that are printed."""
    yield (
        f"{'model':6} {'work':28} {'side':22} {'batch':>5} {'samples/s':>10} {'share':>6} {'matmul':>12} {'peak':>9}"
    )
    for row in rows:
        one = row.measured
        yield (
            f"{row.model:6} {WORKS[row.work].title:28} {row.side:22} {row.batch:5} {one.examples:10.1f}"
            f" {one.share:6.1%} {one.matmul / 1e12:7.1f} TF/s {one.peak_mb / 1000:6.2f} GB"
        )
    best = {(row.model, row.work, row.side): row.measured.examples for row in rows}
    for model, work in dict.fromkeys((row.model, row.work) for row in rows):
        ours, theirs = (best.get((model, work, side)) for side in ("ours", WORKS[work].theirs))
        if ours and theirs:
            wanted = WORKS[work].wanted
            aim = "" if wanted is None else f" (wanted: at least {wanted})"
            yield f"{model}, {WORKS[work].title}: ours is {ours / theirs:.2f} times {WORKS[work].theirs}{aim}"


if __name__ == "__main__":
    sys.exit(main())
