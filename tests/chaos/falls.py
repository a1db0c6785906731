"""Runs that others log while three Heralds watch: their metric falls again and again, each pipeline's at its own time."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from sqlalchemy import Connection, select

from bot.domain.effects import ReopenTicket
from bot.domain.incidents import IncidentState, Turn
from bot.domain.runs import Run, RunStatus
from bot.store.effect_json import load_effect
from bot.store.incidents import of_pipeline
from bot.store.tables import outbox

NAMES = tuple(f"watched{number}" for number in range(8))
HISTORY, GOOD, BAD = 16, 14, 5  # runs: before the first Herald begins, and then in turn
APART = 4  # runs, from one pipeline's fall to the next one's
SURELY = 3  # bad runs in a row of which people must be told


@dataclass(frozen=True)
class Falls:
    """The runs of the watched pipelines, as lines of files that every Herald reads."""

    folder: Path

    def begin(self) -> None:
        long_ago = datetime.now(UTC) - timedelta(hours=1)
        for name in NAMES:
            for number in range(HISTORY):
                self._log(name, number, long_ago + timedelta(minutes=number))

    def log_one_each(self) -> None:
        for name in NAMES:
            self._log(name, self._count(name), datetime.now(UTC))

    def of(self, name: str) -> Iterator[Run]:
        for number, line in enumerate(self._lines(name)):
            run_id, seconds = line.split()
            ended = datetime.fromtimestamp(float(seconds), UTC)
            value = (0.5 if _is_bad(name, number) else 0.8) + 0.001 * (number * 7 % 5)
            yield Run(run_id, run_id, RunStatus.FINISHED, ended, ended, {"ndcg": value})

    def ids(self) -> set[str]:
        return {run.run_id for name in NAMES for run in self.of(name)}

    def those_to_tell(self) -> Iterator[tuple[str, ...]]:
        """Yield the bad runs of each fall of which people must hear, and hear once."""
        for name in NAMES:
            fall: list[str] = []
            for number, run in enumerate([*self.of(name)]):
                if _is_bad(name, number):
                    fall.append(run.run_id)
                elif fall:
                    yield tuple(fall)
                    fall = []
            if len(fall) >= SURELY:
                yield tuple(fall)

    def _log(self, name: str, number: int, ended: datetime) -> None:
        with (self.folder / f"runs-{name}").open("a") as file:
            file.write(f"{name}-{number} {ended.timestamp()}\n")

    def _count(self, name: str) -> int:
        return len(self._lines(name))

    def _lines(self, name: str) -> list[str]:
        path = self.folder / f"runs-{name}"
        return path.read_text().splitlines() if path.exists() else []


def _is_bad(name: str, number: int) -> bool:
    since = number - HISTORY - NAMES.index(name) * APART % (GOOD + BAD)
    return since >= 0 and since % (GOOD + BAD) < BAD


def count_told(tx: Connection, falls: Falls) -> Iterator[tuple[str, int]]:
    """Yield each fall by its first run, and how often its runs opened an incident that people were told of, or one anew.

    What falls again soon after it was resolved is the same ticket, which is opened again.
    """
    incidents = [each for name in NAMES for each in of_pipeline(tx, name, *IncidentState)]
    told = [each.opened_by for each in incidents if each.told_at is not None] + list(_opened_again(tx))
    for fall in falls.those_to_tell():
        yield fall[0], sum(run_id in fall for run_id in told)


def _opened_again(tx: Connection) -> Iterator[str]:
    """Yield the runs by which tickets were opened again."""
    for effect in tx.scalars(select(outbox.c.effect).where(outbox.c.kind == ReopenTicket.kind)):
        run_id, _, turn = load_effect(effect).cause.rpartition("/")
        if turn == Turn.RETURNED:
            yield run_id
