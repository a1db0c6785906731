"""Why a rerun shows nothing, or something cannot be set: as a kind, and in a few words of others."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class TroubleKind(StrEnum):
    NO_COMMIT = "no_commit"  # it cannot be checked out
    COMMIT_GONE = "commit_gone"  # it is not in the repository, or not any more
    NO_LOCK = "no_lock"  # the file that says what is installed cannot be read
    NOT_INSTALLED = "not_installed"
    NO_PATH = "no_path"  # a file or folder that config says it needs
    NOT_STARTED = "not_started"
    FAILED = "failed"
    TIMED_OUT = "timed_out"
    LOST = "lost"
    NO_RUN = "no_run"  # the job ended well, and left no run that is finished
    NO_METRIC = "no_metric"
    NOT_AS_SET = "not_as_set"  # its run says so of itself
    RAN_OTHER = "ran_other"  # its run says that it had something else than the bad run, that nobody set
    STOPPED = "stopped"  # by a person
    LACKS = "lacks"  # a run does not have what config sets it by
    ONE_SIDED = "one_sided"  # one of both sides does not have it at all
    SAME_WORDS = "same_words"  # config sets it by the same words on both sides


@dataclass(frozen=True, slots=True)
class RerunTrouble:
    """What stood in the way of a rerun."""

    kind: TroubleKind
    said: str = ""  # by git, by the job's log or by its run: one line
    exit_code: int | None = None
    component: str = ""  # that was another than in the bad run
    wanted: str = ""  # what it was in the bad run
