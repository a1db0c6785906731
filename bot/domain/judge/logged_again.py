"""Whether a run is news at all, or the result of the run before, logged again."""

from __future__ import annotations

import hashlib
import json

from bot.domain.judge.findings import SeriesState
from bot.domain.judge.spread import is_coarse
from bot.domain.judge.track_numbers import from_numbers
from bot.domain.policy import Policies, settle
from bot.domain.runs import RunResult


def made_by(run: RunResult) -> str:
    """Tell the run's parameters from others; empty where it has none."""
    if not run.run.params:
        return ""
    told = json.dumps(sorted(run.run.params.items()), ensure_ascii=False)
    return hashlib.sha256(told.encode()).hexdigest()[:12]


def is_logged_again(run: RunResult, state: SeriesState, policies: Policies) -> bool:
    """Say whether a run that follows a bad one has the very values of the run before it: one result, logged twice.

    Metrics that take few values repeat themselves without being logged again, and a third run like two before is news.
    So is a run of other parameters: another seed that comes to the very same value, as where all is broken, is no copy.
    """
    if not state.streaks or any(streak.length > 1 for streak in state.streaks.values()):
        return False
    if made_by(run) != state.made_by:
        return False
    there = [policy for policy in policies.metrics if policy.name in run.run.metrics]
    known = [(policy, from_numbers(state.memory.get(policy.name, ()))) for policy in there]
    if any(track.fall is not None for _, track in known):
        return False
    runs = [
        (policy.direction.sign * settle(run.run.metrics[policy.name]), track.values)
        for policy, track in known
        if track.values
    ]
    is_same = all(values[-1] == value for value, values in runs)
    return is_same and any(not is_coarse(values[:-1]) for _, values in runs)
