"""What the checks of several services share: who answered, and whether its clock agrees with ours."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime

from bot.checks import Check
from bot.errors import AccountError, IntegrationError, PermanentError

_CLOCKS_MAY_DIFFER = timedelta(minutes=2)
_UNAUTHORIZED, _FORBIDDEN = 401, 403


def unanswered(error: IntegrationError, base: str) -> Iterable[Check]:
    """Say what keeps a service from answering the first request: its address, or who we are."""
    if isinstance(error, AccountError | PermanentError) and error.status in (_UNAUTHORIZED, _FORBIDDEN):
        yield Check("address", ok=True, said=f"{base} answers")
        yield Check("credentials", ok=False, said=str(error), remedy="Make a new token and set it where config says.")
        return
    remedy = "Check url (and deployment), and that this machine may reach it."
    yield Check("address", ok=False, said=str(error), remedy=remedy)


def check_clock(headers: Mapping[str, str], now: datetime) -> Check | None:
    """Compare our clock with the date of an answer; None where it bears none."""
    try:
        theirs = parsedate_to_datetime(headers.get("Date", ""))
    except ValueError:
        return None
    apart = now - (theirs if theirs.tzinfo else theirs.replace(tzinfo=UTC))
    seconds = abs(apart.total_seconds())
    if timedelta(seconds=seconds) <= _CLOCKS_MAY_DIFFER:
        return Check("clock", ok=True, said=f"within {seconds:.0f} s of ours")
    side = "ahead of" if apart > timedelta(0) else "behind"
    said = f"ours is {seconds:.0f} s {side} theirs"
    return Check("clock", ok=False, said=said, remedy="Let this machine keep its time by NTP.")


def listed(names: Sequence[str]) -> str:
    return ", ".join(names) or "none"
