"""What `herald judge` gives programs: findings as plain numbers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeAlias

from bot.domain.judge import Finding
from bot.domain.judge.offline import Stretches
from bot.domain.judge.paired import Pairs
from bot.reports.judge_sentences import JudgeSentences

Plain: TypeAlias = Mapping[str, object]


def relative(change: float | None, level: float | None) -> float | None:
    return None if change is None or not level else change / abs(level)


def finding_as_json(finding: Finding, words: JudgeSentences) -> Plain:
    """Return a finding as plain numbers, the changes in the metric's unit and relative to the level before."""
    low, high, level = finding.change_low, finding.change_high, finding.baseline
    return {
        "outcome": finding.outcome.value,
        "reason": finding.reason.value,
        "value": finding.value,
        "baseline": level,
        "baseline_runs": finding.n_baseline,
        "change": finding.change,
        "change_95": None if low is None else [low, high],
        "relative": relative(finding.change, level),
        "relative_95": None if low is None or not level else [relative(low, level), relative(high, level)],
        "spread": finding.spread,
        "detectable": finding.detectable,
        "detectable_relative": relative(finding.detectable, level),
        "onset": None if finding.onset is None else int(finding.onset),
        "caveat": finding.caveat,
        "method": finding.method.value,
        "why": words.why(finding.method.value),
    }


def stretches_as_json(found: Stretches, words: JudgeSentences) -> Plain:
    return {
        "level": found.level,
        "values": found.runs,
        "spread": found.spread,
        "detectable": found.detectable,
        "changes": [
            {
                "onset": cut.at,
                "baseline": cut.before,
                "level": cut.after,
                "change": cut.change,
                "change_95": [cut.change_low, cut.change_high],
                "relative": relative(cut.change, cut.before),
                "relative_95": [relative(end, cut.before) for end in (cut.change_low, cut.change_high)]
                if cut.before
                else None,
            }
            for cut in found.cuts
        ],
        "method": "segmentation",
        "why": words.why("segmentation"),
    }


def pairs_as_json(found: Pairs, words: JudgeSentences) -> Plain:
    low, high = found.change_low, found.change_high
    return {
        "value": found.baseline + found.change,
        "baseline": found.baseline,
        "examples": found.n,
        "change": found.change,
        "change_95": [low, high],
        "relative": found.relative,
        "relative_95": [relative(low, found.baseline), relative(high, found.baseline)] if found.baseline else None,
        "p": found.p,
        "detectable": found.detectable,
        "detectable_relative": relative(found.detectable, found.baseline),
        "method": "paired_t",
        "why": words.why("paired_t"),
    }
