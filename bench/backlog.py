"""What a full state costs: `python bench/backlog.py`.

Fills a state with open incidents, each with a run, and owes a ticket and a message for each. Then each command that
looks is started as a process of its own, all that is owed is delivered to services in memory, and all that was made is
found again by `reconcile`. Printed are the seconds of computing beyond what `herald status` of an empty state takes,
and the lines. Ends with 1 where a command that shows a page takes more than a second beyond that, or where the last
tenth of the deliveries takes half as long again as the first.

    python bench/backlog.py                          # SQLite, 5,000 incidents, 10,000 owed
    python bench/backlog.py --postgresql URL         # an empty database
"""

from __future__ import annotations

import argparse
import compileall
import os
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from datetime import timedelta
from functools import cache
from pathlib import Path
from time import perf_counter, process_time

ROOT = Path(__file__).resolve().parents[1]
sys.path.pop(0)  # this folder has a requests.py of its own
sys.path.insert(0, str(ROOT))

import structlog  # noqa: E402

from bot.app import Herald, Surroundings, make_herald  # noqa: E402
from bot.config.file import load_config  # noqa: E402
from bot.delivery.drain_report import DrainReport  # noqa: E402
from bot.delivery.reconciliation import look, repair  # noqa: E402
from bot.delivery.services import Services  # noqa: E402
from bot.services.memory.chat import MemoryChat  # noqa: E402
from bot.services.memory.tracker import MemoryTracker  # noqa: E402
from bot.store import Database  # noqa: E402
from tests.memory_runs import MemoryRunStore  # noqa: E402
from tests.unit.backlogs import fill, many  # noqa: E402
from tests.unit.state_samples import NOON  # noqa: E402

LIMIT = 1.0  # seconds of computing beyond the start
STEEPEST = 1.5
PAGES = (("status",), ("outbox",), ("outbox", "--page", "100"), ("digest",))
WHOLE = (("status", "--json"), ("status", "--all"), ("outbox", "--json"), ("outbox", "--all"), ("backup", "{folder}/b"))


@dataclass(frozen=True, slots=True)
class Cost:
    seconds: float  # of computing
    lines: int
    waited: float  # seconds by the wall


@cache
def compile_all() -> None:
    """Compile Herald's modules, as installing it does."""
    compileall.compile_dir(ROOT / "bot", quiet=2)


def configure(folder: Path, url: str, pipelines: int) -> None:
    text = f'instance = "test"\n[store]\nurl = "{url}"\n[tracker.jira]\nurl = "http://127.0.0.1:1"\nproject = "SR"\n'
    text += '[chat.slack]\nkind = "slack"\n'
    for number in range(pipelines):
        name = f"search{number:03}"
        text += f'[pipeline.{name}]\nexperiment = "x"\ntracker = "jira"\nchat = "slack"\nchannel = "C1"\n'
        text += f"[pipeline.{name}.metrics.ndcg]\n"
    (folder / "config.toml").write_text(text)
    os.environ |= {"HERALD_TRACKER__JIRA__TOKEN": "x", "HERALD_CHAT__SLACK__TOKEN": "x"}


def cost_of(folder: Path, *command: str) -> Cost:
    """Run a command in a process of its own."""
    compile_all()
    words = [word.format(folder=folder) for word in command]
    code = "from bot.cli.main import main; main()"
    with tempfile.TemporaryFile() as printed:
        env = {**os.environ, "PYTHONPATH": str(ROOT)}
        began = perf_counter()
        process = subprocess.Popen([sys.executable, "-c", code, *words], cwd=folder, env=env, stdout=printed)
        _, status, used = os.wait4(process.pid, 0)
        waited = perf_counter() - began
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            raise SystemExit(f"{' '.join(words)} ended with {process.returncode}")
        printed.seek(0)
        lines = len(printed.read().splitlines())
    return Cost(used.ru_utime + used.ru_stime, lines, waited)


def in_memory(folder: Path, database: Database, tracker: MemoryTracker) -> Herald:
    services = Services({"jira": tracker}, {}, {"slack": MemoryChat(clock=lambda: NOON)})
    around = Surroundings(clock=lambda: NOON + timedelta(days=30), pause=lambda _: None)
    config = load_config(folder / "config.toml", None)
    return make_herald(config, folder, around=around, services=services, run_store=MemoryRunStore(), database=database)


def drain(herald: Herald) -> list[float]:
    """Deliver all that is owed; return the milliseconds of computing a delivery, for each tenth."""
    times, report = [], DrainReport()
    began = process_time()
    while herald.dispatcher.deliver_next(report):
        times.append(process_time() - began)
        began = process_time()
    assert not report.failures, report.failures[:3]
    tenth = max(len(times) // 10, 1)
    return [
        1000 * sum(some) / len(some) for start in range(0, len(times), tenth) if (some := times[start : start + tenth])
    ]


def reconcile(herald: Herald) -> tuple[float, float]:
    """Forget what tickets there are, and learn it again; return the seconds of looking and of repairing."""
    from sqlalchemy import delete

    from bot.store.tables import objects

    with herald.database.begin() as tx:
        tx.execute(delete(objects))
    began = perf_counter()
    looked = look(herald.reconciliation)
    between = perf_counter()
    repair(herald.reconciliation, looked.repairs)
    return between - began, perf_counter() - between


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--incidents", type=int, default=5000)
    parser.add_argument("--pipelines", type=int, default=20)
    parser.add_argument("--postgresql", metavar="URL", help="an empty database, instead of a SQLite file")
    given = parser.parse_args()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(50))
    with tempfile.TemporaryDirectory(prefix="herald-bench-") as place:
        folder = Path(place)
        url = given.postgresql or f"sqlite:///{folder / 'state.db'}"
        configure(folder, url, given.pipelines)
        database = Database(url)
        database.migrate()
        start = cost_of(folder, "status")  # of an empty state: its imports, and opening it
        fill(database, many(given.incidents, given.pipelines), owed=True, have_tickets=False)
        print(f"start: {start.seconds:.2f} s")
        worst = 0.0
        for command in (*PAGES, *WHOLE):
            cost = cost_of(folder, *command)
            beyond = cost.seconds - start.seconds
            worst = max(worst, beyond if command in PAGES else 0.0)
            print(f"{' '.join(command):<20} {beyond:6.2f} s, {cost.lines:7,} lines")
        herald = in_memory(folder, database, MemoryTracker())
        tenths = drain(herald)
        print("ms a delivery, by tenths:", " ".join(f"{each:.1f}" for each in tenths))
        looking, repairing = reconcile(herald)
        print(f"reconcile with {given.incidents:,} tickets: {looking:.1f} s to look, {repairing:.1f} s to repair")
        database.close()
    return 1 if worst > LIMIT or tenths[-1] > STEEPEST * tenths[0] else 0


if __name__ == "__main__":
    sys.exit(main())
