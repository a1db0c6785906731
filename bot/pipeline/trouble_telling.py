"""What is told of a rerun that failed: the last words of its log, without what is nobody's business."""

from __future__ import annotations

import re

from bot.config.pipeline import JobSection
from bot.domain.rerun_troubles import RerunTrouble, TroubleKind
from bot.errors import abridge
from bot.runtime.log import journal
from bot.text.escape import storable

_LONGEST = 160  # characters
_SECRET = re.compile(r"token|password|passwd|secret|credential|(^|_)(key|pass|pwd|auth)($|_)", re.IGNORECASE)
_STRUCK_OUT = "…"


def last_words(log_tail: str) -> str:
    """Return the last line of a log that says something: of most programs what ended them."""
    lines = (line.strip() for line in log_tail.splitlines())
    return next((line for line in reversed([*lines]) if any(map(str.isalnum, line))), "")


def told_trouble(kind: TroubleKind, said: str, exit_code: int | None, job: JobSection | None) -> RerunTrouble:
    """Say in one line why a rerun shows nothing, without Herald's secrets and those of the job's environment."""
    line = " ".join(storable(said).split())
    for name, value in ({} if job is None else job.environment).items():
        if _SECRET.search(name) and value:
            line = line.replace(value, _STRUCK_OUT)
    return RerunTrouble(kind, abridge(journal.mask(line), _LONGEST), exit_code)
