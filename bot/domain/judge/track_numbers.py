"""A track as plain numbers, as it is kept between runs."""

from __future__ import annotations

from dataclasses import replace

from bot.domain.judge.track import Fall, Track

_FORM = -2.0  # no track of the first form begins with less than nothing


def to_numbers(track: Track) -> tuple[float, ...]:
    """Return *track* as plain numbers, to be kept between runs."""
    return tuple(map(float, (_FORM, *_told(track))))


def _told(track: Track) -> list[float]:
    numbers = [track.seen, track.returns, len(track.values), *track.values, track.fall is not None]
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
    return _read(list(reversed(numbers[1:])))


def _read(left: list[float]) -> Track:
    """Read a track off the end of *left*, which holds its numbers backwards."""

    def take(count: float) -> tuple[float, ...]:
        return tuple(left.pop() for _ in range(int(count)))

    seen, returns, runs = take(3)
    track = Track(int(seen), take(runs), int(returns))
    if not left.pop():
        return track
    level, low, sd, onset, balance, good, runs = take(7)
    fall = Fall(level, low, sd, int(onset), balance, int(good), take(runs), Track())
    return replace(track, fall=replace(fall, below=_read(left)))


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
