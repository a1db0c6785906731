"""Runs in a row: the first bad run is suspicious, a second one confirms it, a good one ends it."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace

from bot.domain.judge.findings import Finding, Outcome, Reason, Streak

SAYS_NOTHING = (Outcome.INVALID, Outcome.NO_BASELINE, Outcome.INSUFFICIENT_DATA)


def follow_streaks(
    streaks: Mapping[str, Streak], findings: Sequence[Finding], run_id: str, accepted: Collection[str]
) -> tuple[tuple[Finding, ...], dict[str, Streak]]:
    """Settle what each bad run is in its row of bad runs; rows whose runs a person *accepted* are forgotten."""
    after = {key: streak for key, streak in streaks.items() if streak.onset not in accepted}
    settled = []
    for finding in findings:
        if finding.outcome is Outcome.SUSPICIOUS:
            streak = lengthen(after.get(finding.key), run_id)
            after[finding.key] = streak
            settled.append(settle(finding, streak))
            continue
        if finding.outcome not in SAYS_NOTHING:
            after.pop(finding.key, None)
        settled.append(finding)
    return tuple(settled), after


def lengthen(streak: Streak | None, run_id: str) -> Streak:
    if streak is None:
        return Streak(onset=run_id, length=1, confirmed=False)
    return Streak(onset=streak.onset, length=streak.length + 1, confirmed=True)


def settle(finding: Finding, streak: Streak) -> Finding:
    if streak.confirmed:
        return replace(finding, outcome=Outcome.REGRESSED, reason=Reason.CONFIRMED, onset=streak.onset)
    return replace(finding, onset=streak.onset)
