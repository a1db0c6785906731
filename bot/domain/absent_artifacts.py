"""What a run lacks that the runs before it brought: a lost folder lists nothing, as one does that never held any."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from bot.domain.job_protocol import CARD_FILE, TABLE_FILE
from bot.domain.judged_run import JudgedRun
from bot.domain.runs import RunResult, Trouble, Unread

_FEWEST = 3  # runs that brought one, before it is missed


def with_absent(result: RunResult, earlier: Sequence[JudgedRun]) -> RunResult:
    """Name the data card or table that a run lacks, where most of the runs that it is held against brought one."""
    if any(each.trouble is Trouble.NOT_HAD for each in result.unread):
        return result
    brought = {
        CARD_FILE: (bool(result.card), sum(bool(each.card) for each in earlier)),
        TABLE_FILE: (result.examples is not None, sum(_had_table(each) for each in earlier)),
    }
    known = {each.artifact for each in result.unread}
    absent = tuple(
        Unread(artifact, Trouble.ABSENT, "")
        for artifact, (is_there, times) in brought.items()
        if not is_there and artifact not in known and times >= _FEWEST and 2 * times > len(earlier)
    )
    return replace(result, unread=(*result.unread, *absent)) if absent else result


def _had_table(judged: JudgedRun) -> bool:
    return any(finding.n_examples for finding in judged.findings)
