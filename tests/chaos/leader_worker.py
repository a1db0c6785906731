"""One of three Heralds on one PostgreSQL, as if each were on a machine of its own; its times are short."""

from __future__ import annotations

import faulthandler
import os
import signal
import sys
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import structlog
from sqlalchemy import Connection, text

from bot.app import Herald, Surroundings, make_herald
from bot.config.models import Config
from bot.delivery import dispatcher
from bot.domain.runs import DataCard, Release, Run, RunResult, RunStatus
from bot.errors import StateError
from bot.pipeline import jobs, lease
from bot.ports import Experiment, Selection
from bot.serve import background, leading, loop
from bot.serve.loop import Orders, Server
from bot.serve.shutdown import STOP_SECONDS, end_within, leave_at_once
from bot.store import Database, fences, leadership, postgres
from bot.store.leadership import LeaderFence
from bot.store.leases import LeaseFence
from bot.store.owners import Life, Owner
from tests.chaos.falls import NAMES, Falls
from tests.chaos.worker import BACKOFF
from tests.memory_runs import LooksBySince

PIPELINES = 4  # with jobs
GOOD, BAD = 14, 6  # runs, in turn
PLACES = ("leader before", "leader behind", "lease before", "lease behind")
ASKED, STANDS = "stand-still", "stands-"  # files by which the storm and a Herald speak
LEADS, HOLDS = timedelta(seconds=2), timedelta(seconds=4)


@dataclass(frozen=True)
class LeaderOrder:
    """What one Herald is to do."""

    url: str
    config: Config
    folder: Path
    mutation: str | None = None


@dataclass(frozen=True, slots=True)
class FallingRuns(LooksBySince):
    """Runs as jobs have logged them, by pipeline: the first are good, then some are bad, and so on."""

    folder: Path

    def _of(self, name: str) -> Iterator[Run]:
        path = self.folder / f"runs-{name}"
        for number, line in enumerate(path.read_text().splitlines() if path.exists() else ()):
            fire, seconds = line.split()
            ended = datetime.fromtimestamp(float(seconds), UTC)
            value = (0.5 if number % (GOOD + BAD) >= GOOD else 0.8) + 0.001 * (number * 7 % 5)
            yield Run(f"run-{fire}", fire, RunStatus.FINISHED, ended, ended, {"ndcg": value})

    def experiments(self, patterns: Sequence[str]) -> Sequence[Experiment]:
        return [Experiment(name, name, datetime(2020, 1, 1, tzinfo=UTC)) for name in patterns]

    def present(self, experiment_ids: Sequence[str], run_ids: Sequence[str]) -> frozenset[str]:  # noqa: ARG002
        return frozenset(run_ids)

    def runs_since(self, experiment: Experiment, since: datetime | None, selection: Selection) -> Iterator[Run]:  # noqa: ARG002
        if experiment.name in NAMES:
            yield from (run for run in Falls(self.folder).of(experiment.name) if since is None or run.ended >= since)

    def named(self, experiment_ids: Sequence[str], run_ids: Sequence[str], taken: str) -> Sequence[Run]:  # noqa: ARG002
        return [run for name in experiment_ids for run in Falls(self.folder).of(name) if run.run_id in run_ids]

    def has_children(self, experiment: Experiment, run_id: str) -> bool:  # noqa: ARG002
        return False

    def run_of_fire(self, experiment: str, fire_id: str, started: datetime | None) -> Run | None:  # noqa: ARG002
        return next((run for run in self._of(experiment) if run.name == fire_id), None)

    def released(self, release: Release) -> Run | None:
        names = (f"search{number}" for number in range(PIPELINES))
        return next((run for name in names for run in self._of(name) if run.run_id == release.run_id), None)

    def load(self, run: Run, card: DataCard | None = None) -> RunResult:  # noqa: ARG002
        return RunResult(run)

    def attach_log(self, run_id: str, log: Path) -> None:
        pass


def shorten() -> None:
    """Let everything that waits for a clock wait for seconds."""
    leadership.LEASE = LEADS
    leading._RENEWED_EVERY = LEADS.total_seconds() / 6
    lease.LEASE = jobs.LEASE = HOLDS
    dispatcher.LEASE = 2 * HOLDS
    dispatcher._TIME_FOR_ALL = HOLDS
    loop._BETWEEN_DELIVERIES = timedelta(seconds=1)
    loop._AFTER_BUSY = timedelta(seconds=1)
    postgres._PAUSED_SECONDS = 5  # a machine with other work takes seconds between two statements
    background.AFTER_TROUBLE = timedelta(seconds=3)


def live_apart() -> None:
    """Let no Herald see another's lock, as on machines of their own."""
    Owner.life_of = lambda mine, holder: Life.LIVES if holder == mine.name else Life.UNKNOWN


def write_down(*, is_fenced: bool) -> None:
    """Let each transaction say under which lease it writes: the database compares that with what stands at its end."""

    def around(
        check: Callable[[Any, Connection], None], says: Callable[[Any], str]
    ) -> Callable[[Any, Connection], None]:
        def check_and_say(fence: Any, tx: Connection) -> None:
            if is_fenced:
                check(fence, tx)
            tx.execute(text("SELECT set_config('herald.fence', :said, true)"), {"said": says(fence)})
            tx.execute(text("INSERT INTO passed (said) VALUES (:said)"), {"said": says(fence)})

        return check_and_say

    LeaderFence.check = around(LeaderFence.check, lambda fence: f"leader {fence.epoch}")
    LeaseFence.check = around(LeaseFence.check, lambda fence: f"{fence.name} {fence.holding}")


def stand_still_where_asked(folder: Path) -> None:
    """Let whoever comes first to the place that the storm names stand still there: before its fence, or behind it.

    Before means between what it read and the transaction in which it writes; behind, in the midst of that.
    """
    asked, opens = folder / ASKED, Database.begin

    def stop(state: Database, where: str) -> None:
        if not asked.exists() or not any(fenced is state for fenced, _ in fences._standing.get()):
            return
        whose = "leader" if any(isinstance(each, LeaderFence) for _, each in fences._standing.get()) else "lease"
        with suppress(FileNotFoundError):
            if asked.read_text() == f"{whose} {where}":
                asked.rename(folder / f"{STANDS}{os.getpid()}")
                os.kill(os.getpid(), signal.SIGSTOP)

    @contextmanager
    def begin(state: Database) -> Iterator[Connection]:
        stop(state, "before")
        with opens(state) as tx:
            stop(state, "behind")
            yield tx

    Database.begin = begin


def begin(order: LeaderOrder, around: Surroundings) -> Herald:
    """Begin; one that is cut off while it does ends with a sentence, and is started anew as by a supervisor."""
    runs = FallingRuns(order.folder)
    while True:
        try:
            return make_herald(order.config, order.folder, around=around, run_store=runs, database=Database(order.url))
        except StateError:
            time.sleep(0.2)


def serve_as_one_of_three(order: LeaderOrder) -> None:
    """Serve until stopped; ends the process, with 1 and a traceback where something broke."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(50))
    faulthandler.register(signal.SIGUSR1)
    try:
        shorten()
        live_apart()
        write_down(is_fenced=order.mutation != "fence")
        stand_still_where_asked(order.folder)
        orders = Orders()
        signal.signal(signal.SIGTERM, lambda *_: orders.ask_to_stop())
        end_within(STOP_SECONDS, [signal.SIGTERM], leave_at_once)  # as `herald serve` does
        around = Surroundings(stopping=orders.is_stopping, in_flight=timedelta(seconds=1))
        made = begin(order, around)
        herald = replace(made, dispatcher=replace(made.dispatcher, backoff=BACKOFF))
        Server(herald, orders, lambda old: old).run()
    except BaseException:  # noqa: BLE001  whoever reads the run must see it
        traceback.print_exc()
        sys.stderr.flush()
        os._exit(1)
    os._exit(0)
