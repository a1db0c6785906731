"""A track as plain numbers, as it is kept between runs."""

from __future__ import annotations

from dataclasses import replace

from bot.domain.judge.track import Fall, Track

_FORM = -2.0  # no track of the first form begins with less than nothing


def to_numbers(track: Track) -> tuple[float, ...]:
    """Return *track* as plain numbers, to be kept between runs."""
    return tuple(map(float, (_FORM, *_told(track))))


def _told(track: Track) -> list[float]:
    numbers: list[float] = [track.seen, track.returns, len(track.values), *track.values, track.fall is not None]
    fall = track.fall
    if fall is not None:
        numbers += [fall.level, fall.low, fall.sd, fall.onset, fall.balance, fall.good, len(fall.since), *fall.since]
        numbers += _told(fall.below)
    return numbers


def from_numbers(numbers: tuple[float, ...]) -> Track:
    """Return the track that :func:`to_numbers` wrote down, also in its first form; an empty one for no numbers."""
    if not numbers:
        return Track()
    if numbers[0] != _FORM:
        return _from_first_form(numbers)
    return _read(numbers, 1)


def _read(numbers: tuple[float, ...], at: int) -> Track:
    """Read the track that begins *at* a place of *numbers* and goes on to their end."""
    seen, returns, runs = numbers[at : at + 3]
    at += 3 + int(runs)
    values = numbers[at - int(runs) : at]
    if not numbers[at]:
        return Track(int(seen), values, int(returns))
    level, low, sd, onset, balance, good, runs = numbers[at + 1 : at + 8]
    at += 8 + int(runs)
    since = numbers[at - int(runs) : at]
    fall = Fall(level, low, sd, int(onset), balance, int(good), since, below=_read(numbers, at))
    return Track(int(seen), values, int(returns), fall)


def _from_first_form(numbers: tuple[float, ...]) -> Track:
    """Read what was written before falls within falls were watched: each run stood there with two marks."""
    seen, _, _, returns, runs = numbers[:5]
    size = int(runs)
    track = Track(int(seen), numbers[5 : 5 + size], int(returns))
    rest = numbers[5 + 3 * size :]
    if not rest:
        return track
    level, low, sd, onset, balance, good = rest[:6]
    below = Track(int(seen), rest[6:])
    return replace(track, fall=Fall(level, low, sd, int(onset), balance, int(good), rest[6:], below))
