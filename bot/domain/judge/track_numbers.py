"""A track as plain numbers, as it is kept between runs."""

from __future__ import annotations

from dataclasses import replace

from bot.domain.judge.track import Fall, Track

_FORM = -3.0  # no track of the first form begins with less than nothing
_SECOND_FORM = -2.0  # with what the evidence for a recovery was, and the runs since


def to_numbers(track: Track) -> tuple[float, ...]:
    """Return *track* as plain numbers, to be kept between runs."""
    return (_FORM, *_told(track))


def _told(track: Track) -> list[float]:
    values, fall = track.values, track.fall
    counts = float(track.seen), float(track.returns), float(len(values))
    numbers = [*counts, *values, float(fall is not None)]
    if fall is not None:
        numbers += [fall.level, fall.low, fall.sd, float(fall.onset)]
        numbers += _told(fall.below)
    return numbers


def from_numbers(numbers: tuple[float, ...]) -> Track:
    """Return the track that :func:`to_numbers` wrote down, also in its earlier forms; an empty one for no numbers."""
    if not numbers:
        return Track()
    if numbers[0] not in {_FORM, _SECOND_FORM}:
        return _from_first_form(numbers)
    return _read(numbers, 1, numbers[0])


def _read(numbers: tuple[float, ...], at: int, form: float) -> Track:
    """Read the track that begins *at* a place of *numbers* and goes on to their end."""
    seen, returns, runs = numbers[at : at + 3]
    at += 3 + int(runs)
    values = numbers[at - int(runs) : at]
    if not numbers[at]:
        return Track(int(seen), values, int(returns))
    level, low, sd, onset = numbers[at + 1 : at + 5]
    at += 5 if form == _FORM else 8 + int(numbers[at + 7])
    fall = Fall(level, low, sd, int(onset), below=_read(numbers, at, form))
    return Track(int(seen), values, int(returns), fall)


def _from_first_form(numbers: tuple[float, ...]) -> Track:
    """Read what was written before falls within falls were watched: each run stood there with two marks."""
    seen, _, _, returns, runs = numbers[:5]
    size = int(runs)
    track = Track(int(seen), numbers[5 : 5 + size], int(returns))
    rest = numbers[5 + 3 * size :]
    if not rest:
        return track
    level, low, sd, onset = rest[:4]
    return replace(track, fall=Fall(level, low, sd, int(onset), Track(int(seen), rest[6:])))
