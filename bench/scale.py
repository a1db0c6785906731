"""What one Herald carries: `python bench/scale.py`.

A state with 5,000 open incidents and 10,000 effects that are owed, 200 pipelines of 20 metrics, and as many more as
make 1,000 schedules by cron. A real `herald serve` on it first has nothing to do (its computing and memory are read
from the system), then all schedules are due at the same minute (how late their fires are recorded, and when the last
has been seen to). `herald status` is a process of its own, five times, as it is installed: compiled. An hour is
compressed: 3,600 rounds of the loop by a clock that is moved, in which every schedule is due, and the memory at half
time and at the end. Last, what a judged run adds to each table.

    python bench/scale.py                          # SQLite
    python bench/scale.py --parts growth           # one part: status, idle, hour or growth
    python bench/scale.py --parts growth --postgresql URL   # ... on an empty database

Ends with 1 where a fire is recorded more than a second late, 2 % of a core or 250 MB are exceeded while there is
nothing to do, `herald status` computes for more than a second, or memory grows by more than 2 MB in the hour's second
half.
"""

from __future__ import annotations

import argparse
import gc
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from statistics import median

ROOT = Path(__file__).resolve().parents[1]
sys.path.pop(0)  # this folder has a requests.py of its own
sys.path.insert(0, str(ROOT))

import structlog  # noqa: E402
from sqlalchemy import func, select, update  # noqa: E402

from bench.backlog import Cost, configure, cost_of  # noqa: E402
from bot.domain.fires import FireState  # noqa: E402
from bot.domain.runs import Run, RunStatus  # noqa: E402
from bot.runtime.steps import ignore_step  # noqa: E402
from bot.store import Database, tables  # noqa: E402
from tests.unit.backlogs import fill, many  # noqa: E402
from tests.unit.simulation import World, configured, make_server  # noqa: E402

PIPELINES, METRICS, SCHEDULES, INCIDENTS = 200, 20, 1000, 5000
LATEST, BUSIEST, LARGEST, LONGEST_STATUS, GROWN = 1.0, 0.02, 250.0, 1.0, 2.0
IDLE_SECONDS = 60.0
START_SECONDS = 240.0  # that a Herald may take to begin, and its looks at everything
SEEN_TO_SECONDS = 1200.0  # that a thousand looks may take on a machine that has other work
CLOCK_TICKS = os.sysconf("SC_CLK_TCK")
ROUNDS = 3600
RUNS = 40
TIMES = 5


@dataclass
class Found:
    """What was measured, and what of it is more than it should be."""

    too_much: list[str] = field(default_factory=list)

    def tell(self, what: str, value: float, limit: float | None = None, unit: str = "") -> None:
        print(f"{what}: {value:,.3f}{unit}" + ("" if limit is None else f" (at most {limit:g}{unit})"), flush=True)
        if limit is not None and value > limit:
            self.too_much.append(what)


def name_of(number: int) -> str:
    return f"search{number:03}" if number < PIPELINES else f"looks{number:04}"


def configuration(url: str, mlflow: str, cron: str) -> str:
    lines = ['instance = "scale"', "[store]", f'url = "{url}"', "[mlflow]", f'tracking_uri = "{mlflow}"']
    lines += ["[tracker.jira]", 'url = "http://127.0.0.1:1"', 'project = "SR"', "[chat.slack]", 'kind = "slack"']
    for number in range(SCHEDULES):
        name = name_of(number)
        lines += [
            f"[pipeline.{name}]",
            f'experiment = "{name}"',
            'tracker = "jira"',
            'chat = "slack"',
            'channel = "C1"',
        ]
        lines += [f"[pipeline.{name}.schedule]", f'cron = "{cron}"']
        count = METRICS if number < PIPELINES else 1
        lines += [f"[pipeline.{name}.metrics.{metric}]" for metric in ("ndcg", *(f"m{i:02}" for i in range(count - 1)))]
    return "\n".join(lines)


def make_experiments(mlflow: str, folder: Path) -> None:
    """Make an MLflow in which every pipeline finds its experiment, and no run there: a look ends, and is not owed."""
    from mlflow import MlflowClient

    client = MlflowClient(tracking_uri=mlflow)
    for number in range(SCHEDULES):
        client.create_experiment(name_of(number), artifact_location=(folder / "artifacts").as_uri())


@contextmanager
def serving(folder: Path) -> Iterator[subprocess.Popen[bytes]]:
    code = "from bot.cli.main import main; main()"
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    with (folder / "serve.log").open("wb") as said:
        process = subprocess.Popen([sys.executable, "-c", code, "serve"], cwd=folder, env=env, stderr=said)
        try:
            yield process
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(60)


def computed(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / CLOCK_TICKS


def megabytes(pid: int | str) -> float:
    line = next(line for line in Path(f"/proc/{pid}/status").read_text().splitlines() if line.startswith("VmRSS"))
    return int(line.split()[1]) / 1024


def serve(folder: Path, url: str, found: Found) -> None:
    """Let a real Herald have nothing to do, then everything at once."""
    mlflow = f"sqlite:///{folder / 'mlflow.db'}"
    make_experiments(mlflow, folder)
    due = (datetime.now(UTC) + timedelta(seconds=IDLE_SECONDS + START_SECONDS)).replace(second=0, microsecond=0)
    (folder / "config.toml").write_text(configuration(url, mlflow, f"{due.minute} {due.hour} * * *"))
    os.environ |= {"HERALD_TRACKER__JIRA__TOKEN": "x", "HERALD_CHAT__SLACK__TOKEN": "x"}
    database = Database(url)
    database.migrate()
    fill(database, many(INCIDENTS, PIPELINES), owed=True, have_tickets=False)
    with database.begin() as tx:  # they wait, as for a service that is away
        later = datetime.now(UTC) + timedelta(minutes=9)
        tx.execute(update(tables.outbox).values(not_before=later, created_at=datetime.now(UTC)))
    with serving(folder) as herald:
        wait_until(lambda: led(database), START_SECONDS)
        time.sleep(max(8.0, -since(due) - IDLE_SECONDS - 5))  # the first looks of everything
        before, began = computed(herald.pid), time.monotonic()
        seconds = min(IDLE_SECONDS, -since(due) - 3)
        time.sleep(seconds)
        share = (computed(herald.pid) - before) / (time.monotonic() - began)
        found.tell(f"of a core, over {seconds:.0f} s with nothing to do", share, BUSIEST)
        found.tell("memory then", megabytes(herald.pid), LARGEST, " MB")
        wait_until(lambda: since(due) > -1, max(-since(due), 0.0) + 60)
        before = computed(herald.pid)
        wait_until(lambda: recorded(database, due) == SCHEDULES, 120, 0.02)
        found.tell(f"{SCHEDULES:,} fires recorded after they were due, by the wall", since(due), LATEST, " s")
        found.tell("computing until then, of all threads", computed(herald.pid) - before, None, " s")
        wait_until(lambda: recorded(database, due, FireState.ENDED) == SCHEDULES, SEEN_TO_SECONDS, 0.5)
        found.tell("and seen to", since(due), None, " s")
        found.tell("computing for all that", computed(herald.pid) - before, None, " s")
        print(f"load: {os.getloadavg()[0]:.1f}")
        found.tell("memory then", megabytes(herald.pid), None, " MB")
    database.close()


def status(folder: Path, url: str, found: Found) -> None:
    """Look at everything from the command line, and at a pipeline that is alone."""
    (folder / "config.toml").write_text(configuration(url, f"sqlite:///{folder / 'mlflow.db'}", "0 3 * * *"))
    os.environ |= {"HERALD_TRACKER__JIRA__TOKEN": "x", "HERALD_CHAT__SLACK__TOKEN": "x"}
    database = Database(url)
    database.migrate()
    fill(database, many(INCIDENTS, PIPELINES), owed=True, have_tickets=False)
    database.close()
    alone = folder / "alone"
    alone.mkdir()
    configure(alone, f"sqlite:///{alone / 'state.db'}", 1)
    Database(f"sqlite:///{alone / 'state.db'}").migrate()
    costs = [(cost_of(folder, "status"), cost_of(alone, "status")) for _ in range(TIMES)]
    all_of_it, one = zip(*costs, strict=True)
    found.tell(f"herald status, computing in all, median of {TIMES}", middle(all_of_it), LONGEST_STATUS, " s")
    found.tell("by the wall", median(cost.waited for cost in all_of_it), None, " s")
    found.tell("of one pipeline", middle(one), None, " s")
    print(f"load: {os.getloadavg()[0]:.1f}")


def middle(costs: Iterable[Cost]) -> float:
    return median(cost.seconds for cost in costs)


def since(moment: datetime) -> float:
    return (datetime.now(UTC) - moment).total_seconds()


def wait_until(is_so: Callable[[], bool], seconds: float, pause: float = 0.1) -> None:
    deadline = time.monotonic() + seconds
    while not is_so():
        if time.monotonic() > deadline:
            raise SystemExit(f"nothing came of it in {seconds:.0f} s")
        time.sleep(pause)


def led(database: Database) -> bool:
    with database.begin() as tx:
        return tx.scalar(select(func.count()).select_from(tables.pipelines)) == SCHEDULES


def recorded(database: Database, due: datetime, state: FireState | None = None) -> int:
    query = select(func.count()).select_from(tables.fires).where(tables.fires.c.due_at == due)
    with database.begin() as tx:
        return tx.scalar(query if state is None else query.where(tables.fires.c.state == state)) or 0


def hour(folder: Path, url: str, found: Found) -> None:
    """Go round for an hour by a clock that is moved; each schedule is due once in it, in turn."""
    database = Database(url)
    database.migrate()
    world = World(datetime(2026, 11, 2, tzinfo=UTC), folder)
    pipelines = {name_of(number): {"schedule": {"cron": f"{number % 60} * * * *"}} for number in range(SCHEDULES)}
    server = make_server(world, database, configured(pipelines))
    fill(database, many(INCIDENTS, PIPELINES), owed=False)
    began, marks = time.process_time(), []
    for number in range(ROUNDS):
        server.round()
        world.advance(timedelta(seconds=1))
        if number in (ROUNDS // 2, ROUNDS - 1):
            gc.collect()
            marks.append(megabytes("self"))
    found.tell(f"computing for {ROUNDS:,} rounds and {SCHEDULES:,} looks", time.process_time() - began, None, " s")
    found.tell("memory after half an hour", marks[0], None, " MB")
    found.tell("grown by in the next half", marks[1] - marks[0], GROWN, " MB")
    database.close()


def growth(folder: Path, url: str, found: Found) -> None:
    """Judge runs of a pipeline of 20 metrics, three of ten bad; say what each table has grown by."""
    database = Database(url)
    database.migrate()
    world = World(datetime(2026, 11, 2, tzinfo=UTC), folder)
    names = ["ndcg", *(f"m{number:02}" for number in range(METRICS - 1))]
    section = {"schedule": {"every": "1h"}, "metrics": {name: {} for name in names}}
    others = {"tracker": {"jira": {"url": "http://127.0.0.1:1", "project": "SR", "token": "x"}}}
    section |= {"tracker": "jira"}
    server = make_server(world, database, configured({"search": section}, **others), ignore_step)
    server.round()
    before: dict[str, int] = {}
    for number in range(RUNS):
        fell = number % 10 > 6
        values = {name: (0.6 if fell else 0.8) + 0.001 * ((number * 7 + place) % 5) for place, name in enumerate(names)}
        run = Run(f"run{number:05}", f"run{number:05}", RunStatus.FINISHED, world.now, world.now, values)
        world.logged.append(replace(run, params={"lr": "1e-4", "epochs": "3"}))
        world.advance(timedelta(hours=1))
        server.round()
        if number == RUNS // 2 - 1:
            before = sizes(database)
    after = sizes(database)
    judged = RUNS - RUNS // 2
    print(f"bytes a run, of {judged} runs of {METRICS} metrics of which three in ten are bad:")
    for name in sorted(after, key=lambda name: before.get(name, 0) - after[name]):
        if after[name] != before.get(name, 0):
            print(f"  {name:<16} {(after[name] - before.get(name, 0)) / judged:10,.0f}")
    found.tell("together", (sum(after.values()) - sum(before.values())) / judged / 1024, None, " kB")
    database.close()


def sizes(database: Database) -> dict[str, int]:
    """Return how many bytes each table holds, rows and indexes alike."""
    found: dict[str, int] = {}
    with database.begin() as tx:
        for table in tables.metadata.sorted_tables:
            if tx.dialect.name == "postgresql":
                size = func.sum(func.pg_column_size(table.table_valued()))
                found[table.name] = int(tx.scalar(select(size).select_from(table)) or 0)
            else:
                texts = [func.coalesce(func.length(column), 0) for column in table.columns]
                found[table.name] = int(tx.scalar(select(func.sum(sum(texts[1:], texts[0])))) or 0)
    return found


PARTS = {"status": status, "idle": serve, "hour": hour, "growth": growth}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=[*PARTS])
    parser.add_argument("--postgresql", metavar="URL", help="an empty database, instead of a SQLite file")
    given = parser.parse_args()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(50))
    found = Found()
    for name, part in PARTS.items():
        if name in given.parts:
            with tempfile.TemporaryDirectory(prefix="herald-scale-") as place:
                part(Path(place), given.postgresql or f"sqlite:///{Path(place) / 'state.db'}", found)
    for what in found.too_much:
        print(f"too much: {what}", file=sys.stderr)
    return 1 if found.too_much else 0


if __name__ == "__main__":
    sys.exit(main())
