"""How a series stands once people have said that a level is expected, or that a fall was noise."""

from __future__ import annotations

import sys
from collections.abc import Collection
from dataclasses import replace

from bot.domain.judge.findings import SeriesState, whole_of
from bot.domain.judge.track import WINDOW, Track
from bot.domain.judge.track_numbers import from_numbers, to_numbers


def expect_level(state: SeriesState, keys: Collection[str], last_run: str) -> SeriesState:
    """Take the level to which *keys* had fallen by *last_run* for the normal one; a later fall stays a fall.

    What was not told over time yet is remembered anew, from the runs that are baseline then.
    """
    state = _forget_streaks(state, keys)
    memory, levels = dict(state.memory), dict(state.levels)
    for metric in _whole(keys) & memory.keys():
        track = from_numbers(memory[metric])
        until = _number_of(last_run, state.watched.get(metric, ()), track)
        memory[metric] = to_numbers(_accept_falls(track, until)) if track.fall is not None else ()
        levels.pop(metric, None)
    return replace(state, memory=memory, levels=levels)


def forget_falls(state: SeriesState, keys: Collection[str]) -> SeriesState:
    """Take the runs since *keys* had fallen for some like all before: they only show how far such runs scatter."""
    state = _forget_streaks(state, keys)
    memory = dict(state.memory)
    for metric in _whole(keys) & memory.keys():
        memory[metric] = to_numbers(_join(from_numbers(memory[metric])))
    return replace(state, memory=memory)


def forget_series(state: SeriesState) -> SeriesState:
    """Begin anew with the next run: what was before says nothing of it."""
    return SeriesState(judged=state.judged, made_by=state.made_by)


def _whole(keys: Collection[str]) -> set[str]:
    return {key for key in keys if whole_of(key) == key}


def _forget_streaks(state: SeriesState, keys: Collection[str]) -> SeriesState:
    """Forget that runs were bad in *keys*, and in the slices of those metrics, which fell with them."""

    def is_meant(key: str) -> bool:
        return key in keys or whole_of(key) in keys

    streaks = {key: each for key, each in state.streaks.items() if not is_meant(key)}
    unfit = {key: each for key, each in state.unfit.items() if not is_meant(key)}
    return replace(state, streaks=streaks, unfit=unfit)


def _number_of(run_id: str, watched: tuple[str, ...], track: Track) -> int:
    """Return the number that a run has in its track; past all others where it was not watched."""
    if run_id not in watched:
        return sys.maxsize
    return track.seen - len(watched) + watched.index(run_id)


def _accept_falls(track: Track, until: int) -> Track:
    if track.fall is None or track.fall.onset > until:
        return track
    return replace(_accept_falls(track.fall.below, until), seen=track.seen, returns=track.returns)


def _join(track: Track) -> Track:
    if track.fall is None:
        return track
    since = _join(track.fall.below).values
    return replace(track, values=(*track.values, *since)[-WINDOW:], fall=None)
