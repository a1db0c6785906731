"""Runs in a row: the first bad run is suspicious, a second one confirms it, a good one ends it."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace

from bot.domain.judge.findings import Finding, Outcome, Reason, Streak

BAD = (Outcome.SUSPICIOUS, Outcome.REGRESSED)
SAYS_NOTHING = (Outcome.INVALID, Outcome.NO_BASELINE, Outcome.INSUFFICIENT_DATA)


def follow_streaks(
    streaks: Mapping[str, Streak], findings: Sequence[Finding], run_id: str
) -> tuple[tuple[Finding, ...], dict[str, Streak]]:
    """Settle what each bad run is in its row of bad runs."""
    after = dict(streaks)
    settled = []
    for finding in findings:
        if finding.outcome in BAD:
            streak = lengthen(after.get(finding.key), run_id, finding)
            after[finding.key] = streak
            settled.append(settle(finding, streak))
            continue
        if finding.outcome not in SAYS_NOTHING:
            after.pop(finding.key, None)
        settled.append(finding)
    return tuple(settled), after


def forget_accepted(streaks: Mapping[str, Streak], accepted: Collection[str]) -> dict[str, Streak]:
    """Return the streaks whose first run nobody has accepted."""
    return {key: streak for key, streak in streaks.items() if streak.onset not in accepted}


def lengthen(streak: Streak | None, run_id: str, finding: Finding) -> Streak:
    """Add a bad run. A slice is one of many, of which some are low twice by chance: only its level confirms a fall."""
    confirmed = finding.outcome is Outcome.REGRESSED
    if finding.part is not None:
        began = streak.onset if streak is not None else run_id
        onset = finding.onset if confirmed and finding.onset and not (streak and streak.confirmed) else began
        length = streak.length + 1 if streak is not None else max(finding.n_since, 1)
        return Streak(onset, length, confirmed=confirmed or (streak is not None and streak.confirmed))
    if streak is None:
        return Streak(onset=run_id, length=1, confirmed=confirmed)
    confirmed = streak.confirmed or confirmed or finding.confirms
    return Streak(onset=streak.onset, length=streak.length + 1, confirmed=confirmed)


def settle(finding: Finding, streak: Streak) -> Finding:
    if finding.outcome is Outcome.REGRESSED:
        return finding
    if streak.confirmed:
        reason = Reason.DECAYED if finding.reason is Reason.DECAYED else Reason.CONFIRMED
        return replace(finding, outcome=Outcome.REGRESSED, reason=reason, onset=streak.onset)
    return replace(finding, onset=streak.onset)
