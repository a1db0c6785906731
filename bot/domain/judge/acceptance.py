"""What it means for a series that bad runs were accepted: their level is the normal one from now on."""

from __future__ import annotations

from dataclasses import replace

from bot.domain.judge.findings import SeriesState
from bot.domain.judge.streaks import forget_accepted
from bot.domain.judge.track import accept_fall
from bot.domain.judge.track_numbers import from_numbers, to_numbers
from bot.domain.policy import Policies
from bot.domain.runs import Baseline


def heed_acceptance(state: SeriesState, baseline: Baseline, policies: Policies) -> SeriesState:
    """Take the level of bad runs that were accepted (they are in the baseline) for the new one.

    A metric whose fall was not told over time yet is remembered anew, from the accepted runs. A run whose metric is
    accepted says nothing of the slices in which it fell, unless that metric had fallen with them.
    """
    if not state.streaks:
        return state
    accepted = {result.run_id for result in baseline.accepted}
    whole = {policy.name: state.streaks[policy.name] for policy in policies.metrics if policy.name in state.streaks}
    gone = {key: whole[key].onset for key in whole.keys() - forget_accepted(whole, accepted).keys()}
    if not gone:
        return state
    slices = tuple(f"{metric} [" for metric in gone)
    streaks = {key: each for key, each in state.streaks.items() if key not in gone and not key.startswith(slices)}
    unfit = {key: each for key, each in state.unfit.items() if not key.startswith(slices)}
    memory = dict(state.memory)
    for metric in gone.keys() & memory.keys():
        track = from_numbers(memory[metric])
        memory[metric] = to_numbers(accept_fall(track)) if track.fall is not None else ()
    levels = {metric: numbers for metric, numbers in state.levels.items() if metric not in gone}
    level_from = {**state.level_from, **gone}
    return replace(state, streaks=streaks, memory=memory, level_from=level_from, levels=levels, unfit=unfit)


def baseline_since(baseline: Baseline, run_id: str | None) -> Baseline:
    """Return the baseline from the accepted run *run_id* on, if it is still among them."""
    if run_id is None:
        return baseline
    ids = [result.run_id for result in baseline.recent]
    if run_id not in ids:
        return baseline
    return replace(baseline, recent=baseline.recent[ids.index(run_id) :])
