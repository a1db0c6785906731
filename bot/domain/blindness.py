"""Whether a pipeline's runs could be looked at: since when not, and when that is news of its own."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from bot.domain.judge.findings import Finding, Outcome, Reason

A_DAY = timedelta(days=1)  # how long a pipeline without a cadence may be out of sight before people are told


@dataclass(frozen=True, slots=True)
class Look:
    """How the looks at a pipeline's runs have gone."""

    pipeline: str
    seen_at: datetime | None = None  # the last one that saw all there was
    failing_since: datetime | None = None  # the first of those that failed since; None where none did
    said: str = ""  # why the latest failed, in the words of whoever was asked

    @property
    def unseen_since(self) -> datetime | None:
        """Since when nothing was seen: the last look that saw, or the first that failed where none ever did."""
        return None if self.failing_since is None else self.seen_at or self.failing_since


class Visibility(StrEnum):
    """What can be said of a span of time: these are four different sentences."""

    SEEN = "seen"  # looked, whatever was found
    UNSEEN = "unseen"  # could not look
    NOT_LOOKED = "not_looked"  # did not try, and did before
    NEVER = "never"  # has not looked yet


def saw(look: Look, now: datetime) -> Look:
    return Look(look.pipeline, now)


def missed(look: Look, now: datetime, said: str) -> Look:
    return Look(look.pipeline, look.seen_at, look.failing_since or now, said)


def visibility(look: Look | None, since: datetime) -> Visibility:
    """Say whether a pipeline was in sight at some moment since *since*, and still is as far as is known."""
    if look is not None and look.failing_since is not None:
        return Visibility.UNSEEN
    if look is None or look.seen_at is None:
        return Visibility.NEVER
    return Visibility.NOT_LOOKED if look.seen_at < since else Visibility.SEEN


def find_blindness(look: Look, patience: timedelta, now: datetime) -> Finding | None:
    """Return the finding that looks have failed for longer than *patience*.

    Its value is how long nothing was seen, in seconds: that may be longer, where nobody looked before.
    """
    if look.unseen_since is None or look.failing_since is None or now - look.failing_since <= patience:
        return None
    return Finding("looks", Outcome.BLIND, Reason.UNSEEN, value=(now - look.unseen_since).total_seconds())
