"""What the looks of the doctor at several services share."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime

from bot.domain.checks import Check
from bot.errors import AccountError, IntegrationError, PermanentError
from bot.services.clocks import CLOCKS_MAY_DIFFER

_UNAUTHORIZED, _FORBIDDEN = 401, 403
_UNASKABLE = {_FORBIDDEN, 404, 405, 410, 501}  # how servers refuse a question that they or our account know nothing of
PROBE = "herald-doctor"  # what is looked for where nothing is to be found


@dataclass(frozen=True, slots=True)
class TicketWants:
    """What the pipelines of a tracker set on its tickets."""

    labels: tuple[str, ...] = ()
    priorities: tuple[str, ...] = ()
    components: tuple[str, ...] = ()
    assignees: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Examined:
    """Everything that was looked at in one place, `tracker.jira`."""

    place: str
    checks: tuple[Check, ...] = field(default=())

    def masked(self, mask: Callable[[str], str]) -> Examined:
        """Return the same with what *mask* takes out of what was said: servers repeat what they were sent."""
        return Examined(self.place, tuple(replace(each, said=mask(each.said)) for each in self.checks))


def walled(
    name: str, look: Callable[[], Iterable[Check]], remedy: str = "", *, asks: str | None = None
) -> Iterator[Check]:
    """Pass on what a look finds; what goes wrong in it is one check of that *name*, and keeps nothing else from sight.

    *remedy* is for a refusal: silence and odd answers say nothing of our account.
    With *asks*, the name of the service, it only asks what Herald never does: a server that refuses the question does
    not say, and that is no fault.
    """
    try:
        yield from look()
    except IntegrationError as error:
        if asks is not None and _is_unaskable(error):
            yield unsaid(name, asks, str(error))
        else:
            yield Check(name, ok=False, said=str(error), remedy=_remedy_for(error, remedy))
    except Exception as error:  # noqa: BLE001 - a server that answers as nobody foresaw is what a doctor is for
        said = f"could not be looked at: {type(error).__name__}: {error}"
        yield Check(name, ok=False, said=said, remedy="Tell Herald's authors what the service answered.")


def unsaid(name: str, service: str, why: str = "the first use will show it") -> Check:
    return Check(name, ok=True, said=f"{service} does not say; {why}")


def _is_unaskable(error: IntegrationError) -> bool:
    if not isinstance(error, AccountError | PermanentError):
        return False
    from bot.services.refusals import lacks_scope

    return error.status in _UNASKABLE or lacks_scope(error)


def _remedy_for(error: IntegrationError, of_refusal: str) -> str:
    if isinstance(error, AccountError | PermanentError):
        return of_refusal or "Mend what the sentence names."
    return "Look whether the service answers, and run `herald doctor` again; if it stays, ask its admin."


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
    if timedelta(seconds=seconds) <= CLOCKS_MAY_DIFFER:
        return Check("clock", ok=True, said=f"within {seconds:.0f} s of ours")
    side = "ahead of" if apart > timedelta(0) else "behind"
    said = f"ours is {seconds:.0f} s {side} theirs"
    return Check("clock", ok=False, said=said, remedy="Let this machine keep its time by NTP.")


def listed(names: Sequence[str]) -> str:
    return ", ".join(names) or "none"
