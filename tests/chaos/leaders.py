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
from dataclasses import dataclass, field
from datetime import timedelta
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, func, select, text

from bot.config.models import Config
from bot.domain.objects import Marker
from bot.sandbox import RunningSandbox, Service, serve
from bot.store import Database, tables
from bot.store.leadership import standing
from bot.store.owed import EffectState
from tests.chaos.leader_worker import LeaderOrder, serve_as_one_of_three
from tests.chaos.run import place_of
from tests.chaos.world import CHANNELS, INSTANCE, SEARCH_LAG, SEED, Score, Seen

HERALDS = 3
PIPELINES = 4
ACTS = ("SIGKILL", "SIGSTOP", "cut off")
WATCHED = ("fires", "runs", "incidents", "outbox", "snapshots", "series_states", "pipelines", "rules", "listenings")
CALM_SECONDS = 240.0
# What stands when the transaction ends, not when it wrote: so the trigger is deferred.
AUDIT = """
CREATE TABLE audit (number SERIAL PRIMARY KEY, place TEXT, said TEXT, stands TEXT);
CREATE FUNCTION look() RETURNS trigger AS $$
DECLARE said TEXT := current_setting('herald.fence', true); stands TEXT;
BEGIN
  IF said IS NULL OR said = '' THEN RETURN NULL; END IF;
  IF starts_with(said, 'leader ') THEN SELECT 'leader ' || epoch INTO stands FROM leadership;
  ELSE SELECT name || ' ' || holding INTO stands FROM leases WHERE name = split_part(said, ' ', 1);
  END IF;
  INSERT INTO audit (place, said, stands) VALUES (TG_TABLE_NAME, said, coalesce(stands, 'nobody'));
  RETURN NULL;
END $$ LANGUAGE plpgsql;
"""


@dataclass
class Came:
    """What a run came to."""

    acts: Counter[str] = field(default_factory=Counter)
    fires: int = 0
    jobs: int = 0
    incidents: int = 0
    delivered: int = 0
    digests: int = 0
    epochs: int = 0
    written: int = 0  # under a lease
    stale: list[str] = field(default_factory=list)  # ... that another had taken over
    twice: list[str] = field(default_factory=list)
    score: Score = field(default_factory=Score)
    broken: int = 0  # Heralds that ended with an error

    @property
    def is_well(self) -> bool:
        return not (self.stale or self.twice or self.score.duplicates or self.score.losses or self.broken)


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
        self._context.set_forkserver_preload(["tests.chaos.leader_worker"])
        self.broken = 0
        self._paused: dict[int, float] = {}  # by its place: until when
        self._all = [self.start() for _ in range(HERALDS)]

    def start(self) -> BaseProcess:
        process = self._context.Process(target=serve_as_one_of_three, args=(self._order,), daemon=True)
        process.start()
        return process

    def act(self, database: Database) -> str:
        """Do something bad to one of them."""
        which, act = self._random.randrange(HERALDS), self._random.choice(ACTS)
        process = self._all[which]
        assert process.pid is not None
        if act == "cut off":
            with database.begin() as tx:
                some = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database()"
                tx.execute(text(f"{some} AND pid <> pg_backend_pid() AND random() < 0.5"))
        elif act == "SIGSTOP" and which not in self._paused:
            os.kill(process.pid, signal.SIGSTOP)
            self._paused[which] = time.monotonic() + self._random.uniform(0.5, 7)
        else:
            act = "SIGKILL"
            process.kill()
            process.join()
            self._paused.pop(which, None)
            self._all[which] = self.start()
        return act

    def tend(self) -> None:
        """Let those go on that were paused for long enough, and replace one that ended by itself."""
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
        for which in list(self._paused):
            self._go_on(which)
        for process in self._all:
            process.terminate()
        for process in self._all:
            process.join(40)
            self.broken += process.exitcode not in (0, -signal.SIGTERM)  # which ends one that has not begun
            process.kill()


def watch(database: Database) -> None:
    with database.begin() as tx:
        tx.exec_driver_sql(AUDIT)
        for name in WATCHED:
            made = f"CREATE CONSTRAINT TRIGGER look AFTER INSERT OR UPDATE ON {name} DEFERRABLE INITIALLY DEFERRED"
            tx.exec_driver_sql(f"{made} FOR EACH ROW EXECUTE FUNCTION look()")


def storm(acts: int, seed: int, folder: Path, mutation: str | None, pause: float) -> Came:
    """Let three Heralds serve through all that, then one through the calm, and count."""
    came, kept = Came(), folder / "services.db"
    with serve(kept, seed=SEED) as box, place_of("postgresql", folder) as url:
        box.change(Service.JIRA_CLOUD, search_lag=SEARCH_LAG)
        database = Database(url)
        database.migrate()
        watch(database)
        chance = random.Random(seed)
        three = Three(LeaderOrder(url, configure(box, folder, is_calm=False), folder, mutation), seed)
        wait_for_first(database)
        for _ in range(acts):
            came.acts[three.act(database)] += 1
            until = time.monotonic() + chance.uniform(0.2, 2) * pause
            while time.monotonic() < until:
                time.sleep(0.05)
                three.tend()
        three.stop()
        calm = Three(LeaderOrder(url, configure(box, folder, is_calm=True), folder, mutation), seed)
        settled = settle(database)
        calm.stop()
        came.broken = three.broken + calm.broken
        with database.begin() as tx:
            if not settled:
                came.score.losses.append("it did not come to rest")
            count(tx, folder, came)
            count_told(tx, Seen(kept), came)
        database.close()
    return came


def wait_for_first(database: Database) -> None:
    """Wait until jobs run: three Heralds take a while to begin."""
    deadline = time.monotonic() + CALM_SECONDS
    while time.monotonic() < deadline:
        with database.begin() as tx:
            if tx.scalar(text("SELECT count(*) FROM fires WHERE state = 'ended'")):
                return
        time.sleep(0.2)
    raise SystemExit("no Herald has begun")


def settle(database: Database) -> bool:
    """Wait until nothing waits any more; say whether it came to that."""
    deadline = time.monotonic() + CALM_SECONDS
    while time.monotonic() < deadline:
        with database.begin() as tx:
            if not tx.scalar(text("SELECT count(*) FROM fires WHERE state = 'due'")) and not owed(tx):
                return True
        time.sleep(0.5)
    return False


def owed(tx: Connection) -> int:
    pending = tables.outbox.c.state == EffectState.PENDING
    return tx.scalar(select(func.count()).select_from(tables.outbox).where(pending)) or 0


def count(tx: Connection, folder: Path, came: Came) -> None:
    """Count what the state and the jobs say of fires and of epochs."""
    logged = [line.split()[0] for path in folder.glob("runs-*") for line in path.read_text().splitlines()]
    came.jobs = len(logged)
    came.twice = [f"job of {fire}" for fire, number in Counter(logged).items() if number > 1]
    states = {row.fire_id: row.state for row in tx.execute(select(tables.fires.c.fire_id, tables.fires.c.state))}
    came.fires = len(states)
    judged = set(tx.scalars(select(tables.runs.c.fire_id)))
    came.score.losses += [f"run of {fire} is not judged" for fire in set(logged) - judged]
    came.score.losses += [f"fire {fire} is lost" for fire, state in states.items() if state in ("lost", "failed")]
    found = standing(tx)
    came.epochs = 0 if found is None else found.epoch
    came.written = tx.scalar(text("SELECT count(*) FROM audit")) or 0
    stale = tx.execute(text("SELECT place, said, stands FROM audit WHERE said <> stands"))
    came.stale = [f"{row.place}: written under {row.said!r} while {row.stands!r} stood" for row in stale]


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
    parser.add_argument("--acts", type=int, default=300, help="kills, pauses and cut connections in all")
    parser.add_argument("--pause", type=float, default=1.0, help="between them, as a factor")
    parser.add_argument("--mutate", choices=("fence",), help="take out what keeps an old epoch from writing")
    given = parser.parse_args()
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="herald-leaders-") as folder:
        came = storm(given.acts, given.seed, Path(folder), given.mutate, given.pause)
    return report(came, time.monotonic() - began)


def report(came: Came, seconds: float) -> int:
    print("acts: " + " ".join(f"{act.replace(' ', '-')}={number}" for act, number in sorted(came.acts.items())))
    print(f"fires: {came.fires}, jobs that ran: {came.jobs}, twice: {len(came.twice)}")
    print(f"incidents filed: {came.incidents}, deliveries: {came.delivered}, of them digests: {came.digests}")
    print(f"duplicates: {len(came.score.duplicates)}, losses: {len(came.score.losses)}")
    print(f"epochs: {came.epochs}, changes written under a lease: {came.written}, under a lost one: {len(came.stale)}")
    print(f"seconds: {seconds:.0f}")
    for what in (*came.twice[:20], *came.stale[:20], *came.score.duplicates[:20], *came.score.losses[:20]):
        print(f"  {what}", file=sys.stderr)
    if came.broken:
        print(f"broken: {came.broken} Heralds ended with an error", file=sys.stderr)
    return 0 if came.is_well else 1


if __name__ == "__main__":
    sys.exit(main())
