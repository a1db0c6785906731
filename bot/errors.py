"""Everything Herald raises on purpose.

HeraldError
+-- ConfigError            the configuration cannot be used
+-- StateError             Herald's own database cannot be used
|   +-- RowRefusedError    ... for what one row holds; others it takes
|   +-- LeaseLostError     ... by whoever lost the lease under which it would write
+-- RunStoreError          MLflow cannot be read
|   +-- NoStoreError       ... since there is none yet at its address
|   +-- RefusedError       ... answers, and refuses what was asked: something else it may give
|   +-- ArtifactsAwayError ... answers, but what a run keeps there cannot be had just now
+-- JobError               a job cannot be started or found again
+-- ExecutorAwayError      what runs jobs cannot be asked just now: nothing is known of them
+-- TemplateError          a template does not render, or renders what a service would refuse
+-- IntegrationError       a tracker, wiki or chat did not do what was asked
    +-- RetryableError     ... and may do it later
    |   +-- AccountError   ... once it takes our account again
    |       +-- MissingError  ... once what config names is there, open, and shown to us
    +-- PermanentError     ... and never will, as asked
        +-- GoneError      ... of what it should change or add to: that is gone, or closed to changes for good
        +-- FullError      ... since a ticket takes no more comments
        +-- FieldsRefusedError ... for some fields of a new ticket that it may do without
        +-- CannotTellError ... or it did, and nobody can be asked
"""

from __future__ import annotations

import html
import re
from collections.abc import Mapping
from enum import StrEnum

from bot.domain.rerun_troubles import TroubleKind
from bot.runtime.shown_addresses import strike_out_addresses
from bot.text.escape import storable

_LONGEST = 400  # characters of another's words
_LEFT_OUT, _CUT = " … ", "…"
_SENTENCE = re.compile(r".+?(?:[.!?]\s+(?![a-z])|[。！？]|$)", re.DOTALL)
_FOR_PROGRAMMERS = ("[parameters:", "(Background on this error", "Traceback (", 'File "', "Stack trace:")
_QUERY = re.compile(r"^\s*\[SQL:.*", re.DOTALL | re.MULTILINE)  # it may have many lines, and is the end of what is said
_PAGE = re.compile(r"<(?:!doctype\s+html|html|head|body)\b", re.IGNORECASE)
_TAG = re.compile(r"<(script|style)\b.*?</\1\s*>|<!--.*?-->|</?[a-z!][^<>]*>", re.DOTALL | re.IGNORECASE)


class HeraldError(Exception):
    """Base of all errors whose message is meant for a person."""


class ConfigError(HeraldError):
    pass


class StateError(HeraldError):
    pass


class RowRefusedError(StateError):
    pass


class LeaseLostError(StateError):
    """Another Herald holds the lease that this work was done under: nothing of the transaction is written."""


class RunStoreError(HeraldError):
    """MLflow cannot be read; *advises* where the sentence itself says what to do about it."""

    def __init__(self, message: str, *, advises: bool = False) -> None:
        super().__init__(message)
        self.advises = advises


class NoStoreError(RunStoreError):
    pass


class RefusedError(RunStoreError):
    """MLflow answers, and refuses what was asked of it; something else it may give."""


class HistoryError(HeraldError):
    """A pipeline's history does not say what was asked of it, or could not be read to its end."""


class BrokenOffError(HistoryError):
    """MLflow went away while a history was read; the next call goes on there."""


class ArtifactsAwayError(RunStoreError):
    pass


class JobError(HeraldError):
    """A job cannot be started, set or found again; *said* are the words of whoever refused."""

    def __init__(self, message: str, trouble: TroubleKind = TroubleKind.NOT_STARTED, *, said: str = "") -> None:
        super().__init__(message)
        self.trouble, self.said = trouble, said or message

    def of(self, trouble: TroubleKind) -> JobError:
        """Return the same error, as one of a kind that only its caller knows."""
        return JobError(str(self), trouble, said=self.said)


class ExecutorAwayError(HeraldError):
    """A cluster cannot be asked: it is away, or refuses who asks; a job that was submitted there may well go on.

    *retry_after*: seconds that it asked to be left alone for.
    """

    def __init__(self, message: str, *, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class NoInquiry(StrEnum):
    """Why an incident gives reruns nothing to find out."""

    NOT_CONFIGURED = "not_configured"
    OTHER_KIND = "other_kind"  # it is not about a metric that got worse
    NO_RUNS = "no_runs"  # none of its runs is on record with a whole metric that fell
    NOTHING_TO_SET = "nothing_to_set"
    UNKNOWN_NOISE = "unknown_noise"  # too few accepted runs


class DiagnosisError(HeraldError):
    """An incident gives nothing to ask about, or config does not say how what differs is set."""

    def __init__(self, message: str, reason: NoInquiry) -> None:
        super().__init__(message)
        self.reason = reason


class TemplateError(HeraldError):
    pass


class IntegrationError(HeraldError):
    """A service did not do what was asked; the message holds its own words."""


class RetryableError(IntegrationError):
    """The service may do it later.

    *doubtful*: the request may have been carried out all the same (a timeout, a dropped connection, a 5xx after
    sending), so it must be looked for before it is sent again. *retry_after*: seconds the service asked to wait.
    """

    def __init__(
        self, message: str, *, doubtful: bool, retry_after: float | None = None, status: int | None = None
    ) -> None:
        super().__init__(message)
        self.status = status
        self.doubtful = doubtful
        self.retry_after = retry_after


class Reach(StrEnum):
    """How much of a service a refusal of our account closes."""

    SERVICE = "service"
    CHANNEL = "channel"  # of a chat
    KIND = "kind"  # effects of one kind: a permission or a scope is missing
    EFFECT = "effect"  # the one effect: what became of it cannot be looked up


class AccountError(RetryableError):
    """The service refuses our account; no fault of what was asked.

    *reach* is how much is refused. A person mends it, and until then nothing is given up.
    """

    def __init__(
        self,
        message: str,
        *,
        reach: Reach = Reach.SERVICE,
        doubtful: bool = False,
        status: int | None = None,
        fields: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(message, doubtful=doubtful, status=status)
        self.reach = reach
        self.fields = dict(fields or {})


class MissingError(AccountError):
    """Our account is taken, but what config names is gone from the service, closed there, or hidden from us."""


class PermanentError(IntegrationError):
    """The service refused and will refuse again; *fields* holds its complaint field by field.

    *about_access*: it may refuse who asks rather than what is asked, so that is looked into before it is believed.
    *from_gateway*: a page for people came, so that something between us and the service may have refused.
    """

    def __init__(
        self,
        message: str,
        *,
        status: int | None = None,
        fields: Mapping[str, str] | None = None,
        about_access: bool = False,
        from_gateway: bool = False,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.fields = dict(fields or {})
        self.about_access = about_access
        self.from_gateway = from_gateway


class GoneError(PermanentError):
    """What should be changed or added to is gone, or nobody changes it any more: it can be made afresh."""


class FullError(PermanentError):
    """A ticket has as many comments as its tracker lets it have; all else of it can still be changed."""


class FieldsRefusedError(PermanentError):
    """The tracker refuses fields of a new ticket, nothing else of it, and made none.

    *fields* holds its words and *values* what was to be set, by the field: `priority`, `assignee`, `components`,
    `labels`, or the tracker's own name of one that config adds.
    """

    def __init__(
        self, message: str, *, values: Mapping[str, str], fields: Mapping[str, str], status: int | None
    ) -> None:
        super().__init__(message, status=status, fields=fields)
        self.values = dict(values)


class CannotTellError(PermanentError):
    """A request may have been carried out, and the service cannot be asked: a person decides about the next."""


def own_words(error: IntegrationError) -> str:
    """Return a service's own words, without ours before them: `Jira did not create the ticket (400): its words`."""
    return str(error).partition("): ")[2] or str(error)


def in_short(error: BaseException) -> str:
    """Return an error's words in one line for people, or its name where it has none: no query, frames or tags."""
    said = strike_out_addresses(_QUERY.sub("", storable(str(error))))
    if _PAGE.search(said):  # of a server that is not the one that was meant
        said = " ".join(html.unescape(_TAG.sub(" ", said)).split())
    lines = (line.strip() for line in said.splitlines())
    words = " ".join(line for line in lines if line and not line.startswith(_FOR_PROGRAMMERS))
    return abridge(words or type(error).__name__, _LONGEST)


def abridge(text: str, limit: int) -> str:
    """Cut *text* to *limit* characters between sentences: its beginning says what is, its end what helps.

    A sentence that alone is too long is cut between words.
    """
    if len(text) <= limit:
        return text
    first, *others = (sentence.strip() for sentence in _SENTENCE.findall(text))
    if not others:
        return _shortened(text, limit)
    begin = _shortened(first, limit * 2 // 3)
    end = _shortened(others.pop(), limit - len(begin) - len(_LEFT_OUT))
    room = min(limit // 2, limit - len(begin)) - len(_LEFT_OUT)
    while others and len(others[-1]) + 1 + len(end) <= room:
        end = f"{others.pop()} {end}"
    while others and len(begin) + 1 + len(others[0]) + len(_LEFT_OUT) + len(end) <= limit:
        begin = f"{begin} {others.pop(0)}"
    return f"{begin.removesuffix(_CUT)}{_LEFT_OUT}{end}"


def _shortened(text: str, limit: int) -> str:
    if len(text) <= limit:
        return text
    head = text[: limit - 1]
    return (head.rpartition(" ")[0] if " " in head[limit // 2 :] else head).rstrip() + _CUT
