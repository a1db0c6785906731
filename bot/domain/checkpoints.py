"""How a series stood after some of its runs: from there it is judged anew where a run comes late."""

from __future__ import annotations

from dataclasses import dataclass, field

from bot.domain.incidents import Incident, Kind
from bot.domain.judge.findings import SeriesState
from bot.domain.ruled_state import RuledState

REPLAYED = 60  # runs after the one that came late, at most: what is later still is put on record alone
MARK_EVERY = 10  # runs from one checkpoint to the next
OF_RUNS = (Kind.REGRESSED, Kind.BREACHED, Kind.INVALID, Kind.FAILED)  # kinds of incidents that runs open and end


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """How a series stood after one of its runs."""

    state: SeriesState = field(default_factory=SeriesState)
    standing: tuple[Incident, ...] = ()
    ruled: RuledState | None = None  # under the rules that held


def is_marked(state: SeriesState) -> bool:
    """Say whether a checkpoint is kept of a series in this state."""
    return state.judged % MARK_EVERY == 1
