"""How fast owed effects go out: `python bench/delivery.py`.

500 effects over 100 incidents and 10 channels (a page, a ticket, a link, a comment and a message each) to stand-ins
that take 50 ms a request and one message a second a channel, in a process of their own. Ends with 1 where it took more
than 30 s, where something is left over, or where two messages of a channel came within a second.
"""

import argparse
import multiprocessing
import sqlite3
import sys
import tempfile
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from multiprocessing.connection import Connection
from pathlib import Path
from time import perf_counter

sys.path.pop(0)  # this folder has a requests.py of its own
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from bot.config.models import Config
from bot.domain.effects import CommentTicket, Effect, LinkTicket, OpenTicket, PublishPage, TellChannel
from bot.domain.views import RunPageView, View
from bot.sandbox import SandboxSeed, Service, serve
from bot.sandbox.seed import Channel
from tests.chaos.world import Told, configuration

CHANNELS = tuple(f"C0BENCH{number:02d}" for number in range(10))
HOOKS = ("C0ATMOST1", "C0ATLEAST")
SEED = SandboxSeed(channels=tuple(Channel(name, name.lower()) for name in (*CHANNELS, *HOOKS)))
LIMIT = 30.0  # seconds
WANTED = (
    PublishPage.kind,
    OpenTicket.kind,
    LinkTicket.kind,
    CommentTicket.kind,
    TellChannel.kind,
)


class Spread(Told):
    """An incident whose message goes to one of ten channels."""

    @property
    def channel(self) -> str:
        return CHANNELS[self.number % len(CHANNELS)]

    def five(self) -> Iterator[tuple[Effect, View | None]]:
        """Yield one effect of each kind, none of which waits for another incident's."""
        seen: set[str] = set()
        for effect, view in self.effects():
            if effect.kind not in WANTED or effect.kind in seen:
                continue
            seen.add(effect.kind)
            if isinstance(view, RunPageView):
                yield replace(effect, needs=()), replace(view, links={})
            else:
                yield effect, view


def stand_in(kept: Path, seconds: float, pipe: Connection) -> None:
    with serve(kept, seed=SEED) as box:
        box.slow(seconds)
        box.change(Service.SLACK, one_message_a_second=True)
        pipe.send(configuration(box, timeout=timedelta(seconds=20)))
        pipe.recv()
        pipe.send((len(box.requests()), sum(one.status == 429 for one in box.requests())))


def shortest_gap(kept: Path) -> float:
    """Return the seconds between the two messages of one channel that came closest."""
    with closing(sqlite3.connect(kept)) as db:
        rows = db.execute("SELECT channel, CAST(ts AS REAL) FROM message ORDER BY channel, ts").fetchall()
    return min(
        (later[1] - earlier[1] for earlier, later in pairwise(rows) if earlier[0] == later[0]),
        default=float("inf"),
    )


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--incidents", type=int, default=100)
    parser.add_argument("--request-seconds", type=float, default=0.05)
    given = parser.parse_args()
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    with tempfile.TemporaryDirectory(prefix="herald-bench-") as folder:
        kept = Path(folder) / "services.db"
        process = context.Process(target=stand_in, args=(kept, given.request_seconds, theirs), daemon=True)
        process.start()
        owed, left, seconds, failures = deliver(ours.recv(), Path(folder), given.incidents)
        ours.send(None)
        requests, refused = ours.recv()
        process.join()
        gap = shortest_gap(kept)
    print(f"effects: {owed}\nleft over: {left}\nseconds: {seconds:.1f}\nrequests: {requests}")
    print(f"answers 429: {refused}\ntries that failed: {failures}\nshortest gap in a channel: {gap:.2f} s")
    return 1 if left or seconds > LIMIT or gap < 1.0 else 0


def deliver(config: Config, folder: Path, incidents: int) -> tuple[int, int, float, int]:
    """Deliver all as `herald serve` would; return what was owed, what is left, the seconds, and the failed tries."""
    import structlog

    from bot.app import make_herald
    from bot.store import Database, outbox
    from tests.memory_runs import MemoryRunStore

    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(50))
    database = Database(f"sqlite:///{folder / 'state.db'}")
    database.migrate()
    effects = [pair for number in range(incidents) for pair in Spread(f"B{number:05d}", number).five()]
    with database.begin() as tx:
        outbox.owe(tx, "bench", effects, datetime.now(UTC))
    herald = make_herald(config, folder, run_store=MemoryRunStore(), database=database)
    began = perf_counter()
    report = herald.dispatcher.drain(timedelta(minutes=2))
    seconds = perf_counter() - began
    with database.begin() as tx:
        left = len(outbox.outstanding(tx))
    database.close()
    return len(effects), left, seconds, len(report.failures)


if __name__ == "__main__":
    sys.exit(main())
