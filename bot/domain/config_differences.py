"""Where Heralds that share a state have configurations that differ in what one of them does for all."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

_NAMED = 3  # in a sentence


@dataclass(frozen=True, slots=True)
class ConfigDifference:
    """One Herald beside the one that leads."""

    herald: str
    leader: str
    only_here: tuple[str, ...]  # parts that the leader does not have: nobody does them
    only_there: tuple[str, ...]  # parts that only the leader has
    otherwise: tuple[str, ...]  # parts that both have, and not the same

    @property
    def parts(self) -> tuple[str, ...]:
        return (*self.only_here, *self.only_there, *self.otherwise)

    @property
    def named(self) -> str:
        """Name what differs, without a word."""
        return _named(self.parts, more=" …")

    @property
    def said(self) -> str:
        """Name what differs, without the Heralds."""
        pieces = (
            ("the leader does not have", self.only_here),
            ("only the leader has", self.only_there),
            ("otherwise with the leader:", self.otherwise),
        )
        return "; ".join(f"{words} {_named(names)}" for words, names in pieces if names)


def compare(known: Mapping[str, Mapping[str, str]], leader: str) -> Sequence[ConfigDifference]:
    """Hold the digests of every Herald to those of the one that leads; nothing where that has noted none yet."""
    led = known.get(leader)
    if led is None:
        return ()
    found = [
        ConfigDifference(
            herald,
            leader,
            only_here=tuple(sorted(own.keys() - led.keys())),
            only_there=tuple(sorted(led.keys() - own.keys())),
            otherwise=tuple(sorted(name for name in own.keys() & led.keys() if own[name] != led[name])),
        )
        for herald, own in known.items()
    ]
    return [each for each in found if each.parts]


def _named(names: Sequence[str], more: str = "") -> str:
    left = len(names) - _NAMED
    return ", ".join(names[:_NAMED]) + ((more or f" and {left:,} more") if left > 0 else "")
