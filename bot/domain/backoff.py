"""How long to wait before something is tried again; decisions only, without a clock."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

_MOMENT = timedelta(seconds=10)  # by which threads may see the clock at different times


def is_held(since: datetime | None, until: datetime, now: datetime) -> bool:
    """Say whether what was closed at *since* still is; not where the clock went back behind that: nobody knows."""
    return now < until and (since is None or since - _MOMENT <= now)


@dataclass(frozen=True, slots=True)
class Backoff:
    """How long to wait before something is tried again, in seconds."""

    first: float = 2.0
    longest: float = 600.0
    shortest_asked: float = 1.0  # a gateway that says 0 would be hammered
    longest_asked: float = 600.0  # one that says an hour is looked at again after this
    longest_hold: float = 60.0  # of a whole service that fails: one effect asks it again after this
    longest_refusal: float = 300.0  # the same of one that refuses our account

    def before_retry(self, tries: int, asked: float | None, draw: float) -> float:
        """Return the seconds before the next try, after *tries* earlier ones.

        Doubles with each try, less a random share (*draw*, from 0 to 1, decides) so that many do not come back at
        once; never shorter than what the service *asked* for, within reason.
        """
        doubled = self.first * 2.0 ** min(tries, 64)
        own = min(doubled, self.longest) * (0.5 + 0.5 * draw)
        if asked is None:
            return own
        return max(own, min(max(asked, self.shortest_asked), self.longest_asked))

    def before_asking_again(self, refusals: int, draw: float) -> timedelta:
        """Return how long an account is left alone that was refused so often in a row."""
        doubled = min(self.first * 2.0 ** min(refusals, 64), self.longest_refusal)
        return timedelta(seconds=doubled * (0.75 + 0.25 * draw))

    def of_the_refused(self, held_for: timedelta, gate: timedelta) -> timedelta:
        """Return how long the effect itself waits that met a refusal, while others find out whether that is over.

        Longer than the *gate* is held, so that an effect that alone is refused never stands in front of the others;
        and the longer, the longer it has been *held_for* already.
        """
        return max(gate * 1.5, min(held_for / 2, timedelta(seconds=self.longest)))
