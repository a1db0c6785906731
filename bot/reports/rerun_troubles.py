"""Why a rerun shows nothing, in a sentence for a terminal; tickets and pages have it from the templates."""

from __future__ import annotations

from bot.domain.rerun_troubles import RerunTrouble, TroubleKind

_SENTENCES = {
    TroubleKind.NO_COMMIT: "the commit cannot be checked out",
    TroubleKind.COMMIT_GONE: "the commit is not in the repository",
    TroubleKind.NO_LOCK: "the lock file cannot be read",
    TroubleKind.NOT_INSTALLED: "what the lock file names does not install",
    TroubleKind.NO_PATH: "a path that it needs is not there",
    TroubleKind.NOT_STARTED: "the job could not be started",
    TroubleKind.FAILED: "the job failed",
    TroubleKind.TIMED_OUT: "the job took too long",
    TroubleKind.LOST: "the job was lost",
    TroubleKind.NO_RUN: "the job left no finished run",
    TroubleKind.NO_METRIC: "the run does not have that metric",
    TroubleKind.NOT_AS_SET: "the run says that something was not as it was set",
    TroubleKind.RAN_OTHER: "it had something else than the bad run",
    TroubleKind.STOPPED: "stopped by hand",
    TroubleKind.LACKS: "a run does not have what it is set by",
    TroubleKind.ONE_SIDED: "the run before or since does not have it",
    TroubleKind.SAME_WORDS: "it is set by the same words on both sides",
}


def say_trouble(trouble: RerunTrouble | None) -> str:
    """Say why a rerun shows nothing; of one that an older Herald made that is not on record."""
    if trouble is None:
        return "failed"
    if trouble.kind is TroubleKind.RAN_OTHER and trouble.component == "code":
        return f"it ran on commit {trouble.said}, not on {trouble.wanted} of the bad run"
    if trouble.kind is TroubleKind.RAN_OTHER:
        what = trouble.component.removeprefix("param.").replace("_", " ")
        return f"it ran with {what} {trouble.said}, not {trouble.wanted} of the bad run"
    code = "" if trouble.exit_code is None else f"exit code {trouble.exit_code}"
    detail = ": ".join(part for part in (code, trouble.said) if part)
    return _SENTENCES[trouble.kind] + (f" ({detail})" if detail else "")
