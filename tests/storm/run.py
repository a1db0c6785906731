"""Breaks a real Herald, and counts what came of it: `python -m tests.storm.run --help`.

Two `herald serve` share one PostgreSQL and watch a real MLflow server, in which runs fall and recover while Jira (Cloud
and Data Center), Trello, Confluence (both), Slack and two webhooks misbehave after a seeded plan, the two are killed
again and again, and the machine's clock is set. Then what stands in the services is held against what an undisturbed
Herald makes of the same runs. Ends with 1 where anything stands twice or not at all.
"""

from __future__ import annotations

import argparse
import logging
import signal
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import structlog
from sqlalchemy import func, select

from bot.sandbox import serve
from bot.store import Database
from bot.store.tables import contacts
from tests.chaos.run import place_of
from tests.chaos.world import SEED, Score, Seen
from tests.storm.heralds import Clock, Reaper, Serving, find_faketime
from tests.storm.house import SEARCH_LAG, STARTS, House, secrets
from tests.storm.reckoning import Outbox, Witness, count_jobs, quiet_lag, read_outbox, reckon
from tests.storm.tracking import TrackingServer, Writer, plan_runs
from tests.storm.weather import Weather

FIRST_LOOK_SECONDS = 300
START_SECONDS = 3.0  # of `herald serve`, on a machine that has little else to do
SAY_EVERY = 10.0  # seconds


@dataclass(frozen=True)
class Plan:
    """What a storm is to be."""

    seed: int
    kills: int
    pace: float
    pipelines: int
    runs: int  # of each pipeline, at least
    rate: float
    patience: float
    mutation: str | None
    steps_clocks: bool
    poison: bool

    @property
    def seconds(self) -> float:
        """Tell about how long it rages: of the two, one starts while the other is at work."""
        return max(self.kills, 1) * (self.pace + START_SECONDS) / 2


@dataclass
class Tally:
    """What it came to."""

    outbox: Outbox = field(default_factory=Outbox)
    score: Score = field(default_factory=Score)
    ends: Counter[str] = field(default_factory=Counter)
    lives: int = 0
    faults: Counter[str] = field(default_factory=Counter)
    happened: Counter[str] = field(default_factory=Counter)
    broken: list[str] = field(default_factory=list)
    filed: tuple[int, int] = (0, 0)  # incidents that the plan of runs holds, and tickets of the undisturbed Herald
    fires: int = 0  # of the pipeline with a job
    seconds: float = 0.0


class Storm:
    """One storm, from first contact to the count."""

    def __init__(self, plan: Plan, folder: Path, stack: ExitStack) -> None:
        self._plan = plan
        self._stack = stack
        self._house = House(plan.pipelines)
        self._planned = [plan_runs(plan.seed, name, plan.runs, poison=plan.poison) for name in self._house.names]
        self.tally = Tally(filed=(sum(each.filed for each in self._planned), 0))
        self._kept = folder / "storm" / "services.db"
        for name in ("storm", "witness", "mlflow"):
            (folder / name).mkdir()
        self._tracking = TrackingServer(folder / "mlflow")
        stack.callback(self._tracking.kill)
        self._tracking.start()
        self._writer = Writer(self._tracking, self._planned, plan.seconds * 0.9)
        self._url = stack.enter_context(place_of("postgresql", folder))
        self._database = Database(self._url)
        stack.callback(self._database.close)
        self._database.migrate()
        self._box = stack.enter_context(serve(self._kept, seed=SEED))
        quiet_lag(self._box, SEARCH_LAG)
        self._witness = Witness(self._house, folder / "witness", self._tracking.uri, stack)
        stack.callback(self._witness.close)
        self._servings = self._make_servings(folder / "storm")

    def _make_servings(self, folder: Path) -> tuple[Serving, Serving]:
        library = find_faketime() if self._plan.steps_clocks else None
        if library is None:
            say("clocks are not stepped: libfaketime is not to be had (Debian: apt install faketime)")
        clock = Clock(folder / "clock", library)  # one machine, one clock
        clock.step(0)
        config = self._house.write(folder, self._box, self._tracking.uri, self._writer.experiments)
        self._starts = folder / STARTS
        around = secrets(self._box, self._url)
        first, second = (Serving(name, config, around, clock, self._plan.mutation) for name in ("one", "two"))
        self._stack.callback(first.end)
        self._stack.callback(second.end)
        return first, second

    def run(self) -> Tally:
        began = time.monotonic()
        self._meet()
        self._rage()
        self._settle()
        self._count()
        self.tally.seconds = time.monotonic() - began
        return self.tally

    def _meet(self) -> None:
        """Let everybody see the empty experiments, so that no run belongs to the past."""
        self._witness.look()
        for serving in self._servings:
            serving.start()
        wait_until(lambda: self._number(contacts) >= len(self._house.all), FIRST_LOOK_SECONDS, "the first look")

    def _rage(self) -> None:
        plan, stop = self._plan, threading.Event()
        reaper = Reaper(self._servings, plan.seed, plan.kills, plan.pace)
        weather = self._make_weather()
        works = (lambda: self._writer.write(stop), lambda: weather.rage(stop), lambda: reaper.reap(stop))
        threads = [Worker(work) for work in works]
        for thread in threads:
            thread.start()
        try:
            while reaper.killed < plan.kills and not any(thread.failure for thread in threads):
                self._say("storm", reaper.killed)
                time.sleep(SAY_EVERY if plan.kills > 20 else 1.0)
        finally:
            stop.set()
            for thread in threads:
                thread.join()
        for thread in threads:
            if thread.failure:
                raise thread.failure
        weather.calm()
        self.tally.happened = weather.happened

    def _make_weather(self) -> Weather:
        def restart() -> None:
            with self._writer.hand:
                self._tracking.restart()

        clocks = [self._servings[0].clock] if self._servings[0].clock.library else []
        return Weather(self._box, self._plan.seed, self._plan.rate, clocks, restart)

    def _settle(self) -> None:
        """Wait until every run is judged and nothing is owed."""
        wanted, deadline = len(self._writer.finished), time.monotonic() + self._plan.patience
        while time.monotonic() < deadline:
            told = read_outbox(self._database)
            if told.judged >= wanted and told.pending == 0:
                return
            self._say("calm", self._plan.kills)
            time.sleep(2.0)
        say(f"after {self._plan.patience:.0f} s of calm something is still owed")

    def _count(self) -> None:
        for serving in self._servings:
            serving.stop()
            self.tally.ends += serving.ends
            self.tally.lives += serving.lives
            self.tally.broken += serving.broken
        self.tally.faults = Counter(str(one.fault) for one in self._box.requests() if one.fault)
        self.tally.outbox = told = read_outbox(self._database)
        self.tally.score.losses += [f"parked: {each}" for each in told.parked]
        self.tally.score.losses += ["still owed"] * told.pending
        missing = len(self._writer.finished) - told.judged
        self.tally.score.losses += ["run that was never judged"] * missing
        self.tally.fires = count_jobs(self._database, self._starts, self.tally.score)
        say("an undisturbed Herald judges the same runs")
        self._witness.look()
        expected = self._witness.tell()
        tickets = sum(marker.endswith("-0-1") for marker in expected.tickets)
        self.tally.filed = (self.tally.filed[0], tickets)
        reckon(expected, Seen(self._kept), self.tally.score)

    def _number(self, table: object) -> int:
        with self._database.begin() as tx:
            return tx.scalar(select(func.count()).select_from(table)) or 0  # type: ignore[arg-type]

    def _say(self, when: str, killed: int) -> None:
        told, plan = read_outbox(self._database), self._plan
        say(
            f"seed {plan.seed} {when}: kills {killed}/{plan.kills}, runs {self._writer.logged}/{self._writer.total} "
            f"(judged {told.judged}), delivered {told.delivered}, owed {told.pending}, parked {len(told.parked)}"
        )


class Worker(threading.Thread):
    """A thread whose failure is not lost."""

    def __init__(self, work: object) -> None:
        super().__init__(daemon=True)
        self._work = work
        self.failure: BaseException | None = None

    def run(self) -> None:
        try:
            self._work()  # type: ignore[operator]
        except BaseException as error:  # noqa: BLE001  raised again by whoever waits for it
            self.failure = error


def wait_until(holds: object, seconds: float, what: str) -> None:
    deadline = time.monotonic() + seconds
    while not holds():  # type: ignore[operator]
        if time.monotonic() > deadline:
            raise RuntimeError(f"{what} did not come within {seconds:.0f} s")
        time.sleep(0.2)


def say(words: str) -> None:
    print(f"{time.strftime('%H:%M:%S')} {words}", flush=True)


@contextmanager
def place(kept: Path | None) -> Iterator[Path]:
    if kept is not None:
        kept.mkdir(parents=True)
        yield kept
        return
    with tempfile.TemporaryDirectory(prefix="herald-storm-") as folder:
        yield Path(folder)


def report(seed: int, tally: Tally) -> bool:
    """Print what a storm came to; say whether all is well."""
    told, score = tally.outbox, tally.score
    print(f"seed: {seed}")
    print(f"runs judged: {told.judged}")
    print(f"deliveries: {told.delivered}")
    print("ends: " + _listed(tally.ends) + f" lives={tally.lives}")
    print(f"faults: {tally.faults.total()} " + _listed(tally.faults))
    print("and: " + _listed(tally.happened, ", "))
    print(f"incidents: planned={tally.filed[0]} filed={tally.filed[1]}")
    print(f"jobs: {tally.fires}")
    print(f"duplicates: {len(score.duplicates)}")
    print(f"losses: {len(score.losses)}")
    print(f"at most once: given-up={told.given_up} unheard={score.unheard}; at least once: repeated={score.repeated}")
    print(f"seconds: {tally.seconds:.0f}")
    for what in (*score.duplicates[:30], *score.losses[:30], *tally.broken[:30]):
        print(f"  {what}", file=sys.stderr)
    right = tally.filed[0] == tally.filed[1]
    return right and not (score.duplicates or score.losses or tally.broken)


def _listed(counted: Counter[str], between: str = " ") -> str:
    return between.join(f"{name.replace(' ', '-')}={number}" for name, number in sorted(counted.items()))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--pace", type=float, default=4.0, help="seconds at work before a kill, on average")
    parser.add_argument("--pipelines", type=int, default=8)
    parser.add_argument("--runs", type=int, default=24, help="of each pipeline")
    parser.add_argument("--rate", type=float, default=0.10, help="share of requests that go wrong")
    parser.add_argument("--patience", type=float, default=600, help="seconds to wait for what is owed in the end")
    parser.add_argument("--mutate", choices=("search", "lease"), help="take out what keeps deliveries single")
    parser.add_argument("--keep-clocks", action="store_true", help="set no clock")
    parser.add_argument("--no-poison", action="store_true", help="log no artifact that cannot be read")
    parser.add_argument("--keep", type=Path, help="an empty folder for logs and databases, which stays")
    given = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))  # so that nothing is left running
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    well = True
    for seed in given.seeds:
        plan = Plan(
            seed,
            given.kills,
            given.pace,
            given.pipelines,
            given.runs,
            given.rate,
            given.patience,
            given.mutate,
            not given.keep_clocks,
            not given.no_poison,
        )
        with place(given.keep / str(seed) if given.keep else None) as folder, ExitStack() as stack:
            tally = Storm(plan, folder, stack).run()
            well = report(seed, tally) and well
    return 0 if well else 1


if __name__ == "__main__":
    sys.exit(main())
