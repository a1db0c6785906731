"""Three Heralds on one PostgreSQL, of which one leads: `python -m tests.chaos.leaders --help`.

They run jobs, judge what these log, file what falls and post digests on stand-ins for Jira and Slack, while they are
killed (SIGKILL), paused (SIGSTOP, and SIGCONT after longer than any lease) and cut off (`pg_terminate_backend`). The
database itself writes down each change that a transaction commits under a lease that another has taken over. Ends with
1 where there is one, where a job ran twice for one fire, or something was told twice or not at all.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import random
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, func, select, text

from bot.config.models import Config
from bot.domain.objects import Marker
from bot.sandbox import RunningSandbox, Service, serve
from bot.serve.shutdown import STOP_SECONDS
from bot.store import Database, tables
from bot.store.leadership import standing
from bot.store.owed import EffectState
from tests.chaos import audit, falls
from tests.chaos.falls import NAMES, Falls
from tests.chaos.leader_worker import ASKED, HOLDS, PIPELINES, PLACES, STANDS, LeaderOrder, serve_as_one_of_three
from tests.chaos.run import place_of
from tests.chaos.world import CHANNELS, INSTANCE, SEARCH_LAG, SEED, Score, Seen

HERALDS = 3
ACTS = ("SIGKILL", "SIGSTOP", "stood still", "stood still", "cut off")
CALM_SECONDS = 420.0  # of sixty acts; each act leaves a run a pipeline to be judged
LONGEST_END = STOP_SECONDS + 30  # and what a busy machine adds
STILL = HOLDS.total_seconds() + 2, HOLDS.total_seconds() + 5  # seconds: longer than any lease


@dataclass
class Came:
    """What a run came to."""

    acts: Counter[str] = field(default_factory=Counter)
    stood: Counter[str] = field(default_factory=Counter)  # still, by place
    fires: int = 0
    jobs: int = 0
    incidents: int = 0
    delivered: int = 0
    digests: int = 0
    epochs: int = 0
    falls: int = 0  # of watched pipelines, of which people must hear
    audit: audit.Audit = field(default_factory=audit.Audit)
    twice: list[str] = field(default_factory=list)
    score: Score = field(default_factory=Score)
    broken: int = 0  # Heralds that ended with an error

    @property
    def is_well(self) -> bool:
        return not (
            self.audit.stale
            or self.audit.passed_late
            or self.twice
            or self.score.duplicates
            or self.score.losses
            or self.broken
        )


def configure(box: RunningSandbox, folder: Path, *, is_calm: bool) -> Config:
    """Configure pipelines with jobs of their own; in the calm nothing is due any more."""
    account = {"email": box.email, "token": box.api_token, "timeout": timedelta(seconds=1.5)}
    pipelines: dict[str, Any] = {}
    for number in range(PIPELINES):
        name = f"search{number}"
        said = f'sleep 0.3; echo "$HERALD_FIRE_ID $(date +%s.%N)" >> {folder}/runs-{name}'
        pipelines[name] = {
            "experiment": name,
            "job": {"command": ["sh", "-c", said]},
            "metrics": {"ndcg": {}},
            "tracker": "jira",
            "chat": "slack",
            "channel": CHANNELS[0],
            **({} if is_calm else {"schedule": {"every": "3s"}}),
        }
    for name in falls.NAMES:
        watched = {"experiment": name, "metrics": {"ndcg": {}}, "tracker": "jira", "chat": "slack"}
        pipelines[name] = watched | {"channel": CHANNELS[0], "schedule": {"every": "3s"}}
    digest = {"schedule": {"every": "20s"}, "chat": "slack", "channel": CHANNELS[1]}
    lag = timedelta(seconds=2 * SEARCH_LAG)
    return Config.model_validate(
        {
            "instance": INSTANCE,
            "jobs_at_once": PIPELINES,
            "tracker": {"jira": {"url": box.jira_cloud_url, "project": box.project_key, "search_lag": lag, **account}},
            "chat": {"slack": {"kind": "slack", "url": box.slack_url, "token": box.slack_token}},
            "pipeline": pipelines,
            **({} if is_calm else {"digest": digest}),
        }
    )


class Three:
    """Three Heralds, through all their lives."""

    def __init__(self, order: LeaderOrder, seed: int) -> None:
        self._order = order
        self._random = random.Random(seed)
        self._context = multiprocessing.get_context("forkserver")
        self._context.set_forkserver_preload(["tests.chaos.leader_imports"])
        self.broken = 0
        self.stood: Counter[str] = Counter()  # still, by place
        self._folder = order.folder
        self._paused: dict[int, float] = {}  # by its place: until when
        self._all = [self.start() for _ in range(HERALDS)]

    def start(self) -> BaseProcess:
        process = self._context.Process(target=serve_as_one_of_three, args=(self._order,), daemon=True)
        process.start()
        return process

    def act(self, database: Database) -> str:
        """Do something bad to one of them."""
        which = self._random.randrange(HERALDS)
        asked = self._folder / ASKED
        act = self._random.choice([each for each in ACTS if each != "stood still" or not asked.exists()])
        process = self._all[which]
        assert process.pid is not None
        if act == "cut off":
            with database.begin() as tx:
                some = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database()"
                tx.execute(text(f"{some} AND pid <> pg_backend_pid() AND random() < 0.5"))
        elif act == "SIGSTOP" and which not in self._paused:
            os.kill(process.pid, signal.SIGSTOP)
            self._paused[which] = time.monotonic() + self._random.uniform(0.5, 7)
        elif act == "stood still":  # done when one has come there
            asked.write_text(self._random.choice(PLACES))
        else:
            act = "SIGKILL"
            process.kill()
            process.join()
            self._paused.pop(which, None)
            self._all[which] = self.start()
        return act

    def tend(self) -> None:
        """Let those go on that were paused for long enough, and replace one that ended by itself."""
        for mark in self._folder.glob(f"{STANDS}*"):
            pid, place = int(mark.name.removeprefix(STANDS)), mark.read_text()
            mark.unlink()
            for which, process in enumerate(self._all):
                if process.pid == pid:
                    self.stood[place] += 1
                    self._paused[which] = time.monotonic() + self._random.uniform(*STILL)
        for which, until in list(self._paused.items()):
            if time.monotonic() > until:
                self._go_on(which)
        for which, process in enumerate(self._all):
            if not process.is_alive():
                self.broken += 1
                self._all[which] = self.start()

    def _go_on(self, which: int) -> None:
        pid = self._all[which].pid
        assert pid is not None
        os.kill(pid, signal.SIGCONT)
        del self._paused[which]

    def stop(self) -> None:
        (self._folder / ASKED).unlink(missing_ok=True)
        time.sleep(0.2)
        self.tend()
        for which in list(self._paused):
            self._go_on(which)
        for process in self._all:
            process.terminate()
        for process in self._all:
            process.join(LONGEST_END)
            if process.exitcode not in (0, -signal.SIGTERM):  # which ends one that has not begun
                self.broken += 1
                print(f"asked to stop, a Herald ended with {process.exitcode}", file=sys.stderr)
                if process.exitcode is None and process.pid is not None:
                    os.kill(process.pid, signal.SIGUSR1)  # it says where each of its threads is
                    process.join(5)
            process.kill()


@contextmanager
def none_left() -> Iterator[None]:
    """Kill what Heralds there are at the end, also where that comes early; one that is paused would end by nothing else."""
    try:
        yield
    finally:
        left = multiprocessing.active_children()
        for process in left:
            process.kill()
        for process in left:
            process.join()


def storm(acts: int, seed: int, folder: Path, mutation: str | None, pause: float) -> Came:
    """Let three Heralds serve through all that, then one through the calm, and count."""
    came, kept, others = Came(), folder / "services.db", Falls(folder)
    with serve(kept, seed=SEED) as box, place_of("postgresql", folder) as url, none_left():
        box.change(Service.JIRA_CLOUD, search_lag=SEARCH_LAG)
        database = Database(url)
        database.migrate()
        audit.watch(database)
        others.begin()
        chance = random.Random(seed)
        three = Three(LeaderOrder(url, configure(box, folder, is_calm=False), folder, mutation), seed)
        wait_for_first(database, others)
        for _ in range(acts):
            came.acts[three.act(database)] += 1
            others.log_one_each()
            until = time.monotonic() + chance.uniform(0.2, 2) * pause
            while time.monotonic() < until:
                time.sleep(0.05)
                three.tend()
        three.stop()
        calm = Three(LeaderOrder(url, configure(box, folder, is_calm=True), folder, mutation), seed)
        settled = settle(database, others, CALM_SECONDS * max(1.0, acts / 60))
        calm.stop()
        came.stood = three.stood
        came.broken = three.broken + calm.broken
        with database.begin() as tx:
            if not settled:
                came.score.losses.append("it did not come to rest")
            count(tx, folder, came)
            count_told(tx, Seen(kept), came)
            for first, number in falls.count_told(tx, others):
                came.falls += 1
                came.score.once(f"incident of the fall that began with {first}", number)
        database.close()
    return came


def how_many_judged(tx: Connection) -> int:
    watched = tables.runs.c.pipeline.in_(NAMES)
    return tx.scalar(select(func.count()).select_from(tables.runs).where(watched)) or 0


def wait_for_first(database: Database, others: Falls) -> None:
    """Wait until jobs run and all that was there before is judged: of what was over by then nobody is told."""
    deadline = time.monotonic() + CALM_SECONDS
    while time.monotonic() < deadline:
        with database.begin() as tx:
            jobs = tx.scalar(
                text("SELECT count(*) FROM fires WHERE state = 'ended' AND starts_with(pipeline, 'search')")
            )
            if jobs and how_many_judged(tx) == len(others.ids()):
                return
        time.sleep(0.2)
    raise SystemExit("no Herald has begun")


def settle(database: Database, others: Falls, patience: float) -> bool:
    """Wait until all is judged and nothing waits any more; say whether it came to that."""
    deadline = time.monotonic() + patience
    while time.monotonic() < deadline:
        with database.begin() as tx:
            due = tx.scalar(text("SELECT count(*) FROM fires WHERE state = 'due' AND starts_with(pipeline, 'search')"))
            if not due and not owed(tx) and how_many_judged(tx) == len(others.ids()):
                return True
        time.sleep(0.5)
    return False


def owed(tx: Connection) -> int:
    pending = tables.outbox.c.state == EffectState.PENDING
    return tx.scalar(select(func.count()).select_from(tables.outbox).where(pending)) or 0


def count(tx: Connection, folder: Path, came: Came) -> None:
    """Count what the state and the jobs say of fires and of epochs."""
    logged = [line.split()[0] for path in folder.glob("runs-search*") for line in path.read_text().splitlines()]
    came.jobs = len(logged)
    came.twice = [f"job of {fire}" for fire, number in Counter(logged).items() if number > 1]
    states = {row.fire_id: row.state for row in tx.execute(select(tables.fires.c.fire_id, tables.fires.c.state))}
    came.fires = len(states)
    judged = set(tx.scalars(select(tables.runs.c.fire_id)))
    came.score.losses += [f"run of {fire} is not judged" for fire in set(logged) - judged]
    came.score.losses += [f"fire {fire} is lost" for fire, state in states.items() if state in ("lost", "failed")]
    found = standing(tx)
    came.epochs = 0 if found is None else found.epoch
    came.audit = audit.read(tx)


def count_told(tx: Connection, seen: Seen, came: Came) -> None:
    """Compare what is owed and known with what lies in the services."""
    rows = tx.execute(select(tables.outbox.c.state, tables.outbox.c.effect_id, tables.outbox.c.kind)).all()
    came.delivered = sum(row.state == EffectState.DELIVERED for row in rows)
    came.digests = sum(row.kind == "post_digest" for row in rows)
    came.score.losses += [f"{row.state}: {row.effect_id}" for row in rows if row.state == EffectState.PARKED]
    filed = [row.target.partition("#")[2] for row in tx.execute(select(tables.objects.c.target))]
    for incident in tx.scalars(select(tables.incidents.c.incident_id)):
        marker = str(Marker(INSTANCE, incident))
        there = seen.tickets.get(marker, [])
        if there or any(marker in name for name in filed):
            came.incidents += 1
            came.score.once(f"ticket of {incident}", len(there))
        for ticket in there[:1]:
            came.score.duplicates += [f"comment {mark}" for mark, n in Counter(ticket.marks).items() if n > 1]
    for mark, messages in seen.by_mark.items():
        came.score.once(f"message {mark}", len(messages))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--acts", type=int, default=60, help="kills, pauses and cut connections in all")
    parser.add_argument("--pause", type=float, default=1.0, help="between them, as a factor")
    parser.add_argument("--mutate", choices=("fence",), help="take out what keeps an old epoch from writing")
    given = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))  # so that nothing is left running
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="herald-leaders-") as folder:
        came = storm(given.acts, given.seed, Path(folder), given.mutate, given.pause)
    return report(came, time.monotonic() - began)


def report(came: Came, seconds: float) -> int:
    print("acts: " + " ".join(f"{act.replace(' ', '-')}={number}" for act, number in sorted(came.acts.items())))
    print(
        "stood still: "
        + (", ".join(f"{number} {place} its fence" for place, number in sorted(came.stood.items())) or "none")
    )
    print(f"fires: {came.fires}, jobs that ran: {came.jobs}, twice: {len(came.twice)}")
    print(f"falls of watched pipelines: {came.falls}, incidents filed: {came.incidents}")
    print(f"deliveries: {came.delivered}, of them digests: {came.digests}")
    print(f"duplicates: {len(came.score.duplicates)}, losses: {len(came.score.losses)}")
    print(
        f"epochs: {came.epochs}, transactions under a lease: {came.audit.passed}, under a lost one: {came.audit.passed_late}"
    )
    print(f"changes written under a lease: {came.audit.written}, under a lost one: {len(came.audit.stale)}")
    print(f"seconds: {seconds:.0f}")
    for what in (*came.twice[:20], *came.audit.stale[:20], *came.score.duplicates[:20], *came.score.losses[:20]):
        print(f"  {what}", file=sys.stderr)
    if came.broken:
        print(f"broken: {came.broken} Heralds ended with an error", file=sys.stderr)
    return 0 if came.is_well else 1


if __name__ == "__main__":
    sys.exit(main())
