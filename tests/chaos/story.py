"""A week of one pipeline, told by processes that are killed: `python -m tests.chaos.story FOLDER PART/PARTS WHICH`.

The outside world lies in files, so that it outlives the process: runs in a log that real jobs write, services pickled
after each call. The story is told once without a kill, and once more for every step of this part: there the process
ends itself, and another goes on until all is done. WHICH is "every" step, or "each" that has a name of its own, once,
but for what a service is only asked for: who dies there has changed nothing, as who dies before has not.
Prints the steps and how each world looked in the end, as JSON.
"""

from __future__ import annotations

import gc
import json
import os
import pickle
import shutil
import signal
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import structlog

from bot.app import ConfiguredWording, Herald, Surroundings, make_herald
from bot.config.models import Config
from bot.delivery import attachments
from bot.delivery.services import Services
from bot.domain.incidents import IncidentState
from bot.domain.job_protocol import FIRE_TAG
from bot.domain.runs import Run, RunStatus
from bot.services.memory.chat import MemoryChat
from bot.services.memory.tracker import MemoryTracker
from bot.services.memory.wiki import MemoryWiki
from bot.store import Database, incidents, outbox, runs
from tests.compiled_statements import share_compiled_statements
from tests.durability import wait_for_no_disk
from tests.memory_runs import MemoryRunStore

CHANGES = {"create", "comment", "move", "link", "attach", "label", "replace_section", "post", "edit"}
LOGGED_BY_HAND = (0.80, 0.81, 0.805)
FALLS, STAYS, RECOVERS = 0.60, 0.59, 0.80
TRAINED = (FALLS, 0.61, STAYS, RECOVERS)  # by the number of the fire: the second confirms the first
DUE = [datetime(2026, 3, day, 3, tzinfo=UTC) for day in (2, 3, 4)]
JOB = 'echo "$HERALD_FIRE_ID $(sed -n "$HERALD_SEED"p values) $(date +%s%N)" >> runs'
DONE, LIMIT = 0, 12
PIPELINE = "search"


@dataclass
class Steps:
    """Counts steps, and ends the process at one of them."""

    kill_at: int | None
    taken: list[str] = field(default_factory=list)

    def __call__(self, step: str) -> None:
        self.taken.append(step)
        if len(self.taken) == self.kill_at:
            os.kill(os.getpid(), signal.SIGKILL)


@dataclass
class Kept:
    """A service of memory that lies in a file: whoever dies during a call either changed it or did not."""

    path: Path
    make: Callable[[], Any]
    step: Callable[[str], None]

    def load(self) -> Any:
        return pickle.loads(self.path.read_bytes()) if self.path.exists() else self.make()

    def __getattr__(self, name: str) -> Any:
        service = self.load()
        member = getattr(service, name)
        return self._calling(service, name) if callable(member) else member

    def _calling(self, service: Any, name: str) -> Callable[..., Any]:
        def call(*args: Any) -> Any:
            changes = name in CHANGES
            if changes:
                self.step(f"service.{self.path.name}.{name}-asked")
            answer = getattr(service, name)(*args)
            part = self.path.with_suffix(".part")
            part.write_bytes(pickle.dumps(service))
            part.replace(self.path)
            if changes:
                self.step(f"service.{self.path.name}.{name}-done")
            return answer

        return call


class LoggedRuns(MemoryRunStore):
    """Runs as jobs have logged them to a file: fire, value, nanoseconds."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self._path = path
        self.create(PIPELINE)

    def _runs(self, experiment: str) -> list[Run]:
        for line in self._path.read_text().splitlines():
            fire, value, nanoseconds = line.split()
            ended = datetime.fromtimestamp(int(nanoseconds) / 1e9, UTC)
            tags = {} if fire.startswith("by-hand") else {FIRE_TAG: fire}
            run = Run(f"run-{fire}", fire, RunStatus.FINISHED, ended, ended, {"ndcg": float(value)}, {}, tags)
            self.add(experiment, run)
        return super()._runs(experiment)


def memory_tracker() -> MemoryTracker:
    return MemoryTracker(clock=now)


def memory_chat() -> MemoryChat:
    return MemoryChat(clock=now)


def now() -> datetime:
    return datetime.now(UTC)


@dataclass
class Clock:
    """The time of day, except that waiting is quick; who comes after a kill finds it no earlier than it was.

    Else what the dead had claimed would be theirs for as long as they had waited, which on a busy machine is minutes.
    """

    path: Path
    ahead: timedelta = timedelta(0)

    def __post_init__(self) -> None:
        if self.path.exists():
            self.ahead = timedelta(seconds=float(self.path.read_text()))

    def __call__(self) -> datetime:
        return now() + self.ahead

    def pause(self, seconds: float) -> None:
        time.sleep(0.005)
        self.ahead += timedelta(seconds=seconds)
        self.path.write_text(str(self.ahead.total_seconds()))


def configuration() -> Config:
    address = "http://127.0.0.1:1"
    return Config.model_validate(
        {
            "instance": "test",
            "store": {"url": "sqlite:///state.db"},
            "tracker": {"jira": {"url": address, "project": "SR", "token": "x"}},
            "wiki": {"confluence": {"url": address, "space": "SR", "token": "x"}},
            "chat": {"slack": {"kind": "slack", "token": "x"}},
            "pipeline": {
                PIPELINE: {
                    "experiment": PIPELINE,
                    "tracker": "jira",
                    "wiki": "confluence",
                    "chat": "slack",
                    "channel": "C1",
                    "job": {"command": ["sh", "-c", JOB]},
                    "confirm": {"reruns": 1},
                    "tickets": {"comment_every": "0s"},
                    "recovery": {"runs": 1},
                    "metrics": {"ndcg": {}},
                }
            },
        }
    )


WORDING = ConfiguredWording(configuration(), Path())  # shared, so that templates are compiled once, before any fork


def set_stage(folder: Path, state: Path) -> None:
    """Prepare a world in which a plain script has logged the first runs, and a *state* that knows nothing yet."""
    folder.mkdir(parents=True)
    shutil.copyfile(state, folder / "state.db")
    began = time.time_ns() - 60 * 10**9
    lines = [f"by-hand-{i} {value} {began + i * 10**9}\n" for i, value in enumerate(LOGGED_BY_HAND)]
    (folder / "runs").write_text("".join(lines))
    (folder / "values").write_text("".join(f"{value}\n" for value in TRAINED))


def services_in(folder: Path, step: Callable[[str], None]) -> Services:
    return Services(
        {"jira": Kept(folder / "tracker", memory_tracker, step)},
        {"confluence": Kept(folder / "wiki", MemoryWiki, step)},
        {"slack": Kept(folder / "chat", memory_chat, step)},
    )


def make(folder: Path, steps: Steps) -> Herald:
    clock = Clock(folder / "ahead")
    around = Surroundings(clock=clock, pause=clock.pause, on_step=steps)
    runs_log = LoggedRuns(folder / "runs")
    services = services_in(folder, steps)
    herald = make_herald(configuration(), folder, around=around, services=services, run_store=runs_log)
    return replace(herald, dispatcher=replace(herald.dispatcher, wording=WORDING))


def tell(folder: Path, steps: Steps) -> None:
    """Run what is due and deliver what is owed, as `herald serve` does."""
    herald = make(folder, steps)
    for due in DUE:
        herald.cycle(PIPELINE).run(due)
        herald.dispatcher.drain(timedelta(minutes=2))


def write_state(path: Path) -> Path:
    """Migrate the state that every story begins with: most of what a story would take."""
    database = Database(f"sqlite:///{path}")
    database.migrate()
    database.close()
    return path


def tell_until_done(folder: Path, state: Path, kill_at: int) -> int:
    """Tell in processes of their own, the first of which dies at its *kill_at*-th step; return how many it took."""
    set_stage(folder, state)
    for attempt in range(1, LIMIT):
        child = os.fork()
        if child == 0:
            tell_and_exit(folder, Steps(kill_at if attempt == 1 else None))
        _, status = os.waitpid(child, 0)
        if os.waitstatus_to_exitcode(status) == DONE:
            return attempt
        if os.waitstatus_to_exitcode(status) != -signal.SIGKILL:
            raise SystemExit(f"killed at step {kill_at}, the next process broke: see {folder}")
    raise SystemExit(f"killed at step {kill_at}, it never ended")


def tell_and_exit(folder: Path, steps: Steps) -> None:
    try:
        tell(folder, steps)
    except BaseException:  # noqa: BLE001  a forked child must never run on into its parent's work
        import traceback

        traceback.print_exc()
        os._exit(1)
    os._exit(DONE)


def outcome(folder: Path) -> dict[str, Any]:
    """Read how the world and the state look."""
    steps = Steps(None)
    herald = make(folder, steps)
    services = services_in(folder, steps)
    with herald.database.begin() as tx:
        owed = outbox.outstanding(tx)
        known = incidents.of_pipeline(tx, PIPELINE, *IncidentState)
        judged = runs.count(tx, PIPELINE)
    tracker, wiki, chat = (
        services.trackers["jira"].load(),
        services.wikis["confluence"].load(),
        services.chats["slack"].load(),
    )
    herald.database.close()
    return {
        "jobs": len((folder / "runs").read_text().splitlines()) - len(LOGGED_BY_HAND),
        "judged": judged,
        "owed": [effect.effect.effect_id for effect in owed],
        "incidents": [[incident.state, len(incident.bad_runs)] for incident in known],
        "tickets": [
            {
                "state": ticket.state,
                "comments": len(ticket.comments),
                "distinct comments": len({mark for mark, _ in ticket.comments}),
                "links": len(ticket.links),
                "attachments": len(ticket.attachments),
            }
            for ticket in tracker.tickets.values()
        ],
        "pages": len(wiki.pages),
        "distinct pages": len({page.draft.title for page in wiki.pages.values()}),
        "pages with a chart": sum(bool(page.attachments) for page in wiki.pages.values()),
        "pages with labels": sum("herald" in page.labels for page in wiki.pages.values()),
        "messages": [message.text.splitlines()[0] for message in chat.messages],
        "says pending": any("pending" in message.text for message in chat.messages),
    }


def undisturbed(folder: Path, state: Path) -> list[str]:
    """Tell without a kill; return the steps."""
    set_stage(folder, state)
    steps = Steps(None)
    tell(folder, steps)
    return steps.taken


def report(folder: Path, state: Path, kills: Iterable[int]) -> Iterator[dict[str, Any]]:
    for kill_at in kills:
        place = folder / f"killed-at-{kill_at}"
        attempts = tell_until_done(place, state, kill_at)
        yield {"kill": kill_at, "processes": attempts, "outcome": outcome(place)}


def of_each_name(steps: list[str]) -> list[int]:
    """Return the numbers of the first steps of their name, from 1; without those at which a service was only asked."""
    return sorted(steps.index(name) + 1 for name in set(steps) if not name.endswith("-asked"))


def kills_among(steps: list[str], share: str, which: str) -> list[int]:
    """Return the numbers of the steps to die at, from 1: those of one part of so many."""
    part, parts = map(int, share.split("/"))
    kills = of_each_name(steps) if which == "each" else list(range(1, len(steps) + 1))
    return kills[part::parts]


def main() -> None:
    wait_for_no_disk()
    share_compiled_statements()  # before any fork
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(50))
    attachments.draw_history = lambda chart: chart.filename.encode()  # drawing takes most of the time, and is no step
    folder, share, which = sys.argv[1:]
    place = Path(folder) / "undisturbed"
    state = write_state(Path(folder) / "migrated.db")
    steps = undisturbed(place, state)
    kills = kills_among(steps, share, which)
    gc.collect()
    gc.freeze()  # or every child would copy what its collections of garbage look through
    told = {"steps": steps, "undisturbed": outcome(place), "killed": list(report(Path(folder), state, kills))}
    print(json.dumps(told))  # noqa: T201


if __name__ == "__main__":
    main()
