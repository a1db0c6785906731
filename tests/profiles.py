"""How hypothesis draws its examples: the same ones in every run, or fresh ones for whoever asks.

`make test` takes the first profile, with CI set or not, so that a red run is everybody's. Whoever names a seed or a
profile gets what was named; `make fuzz` names a seed and takes a hundred times the examples.
"""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, settings

REPEATED, FRESH = "repeated", "fresh"

# How long an example takes says how busy the machine is. Nothing is kept between runs: a file of failures that one
# person has would make his runs others than everybody's.
settings.register_profile(REPEATED, derandomize=True, database=None, deadline=None, print_blob=True)
settings.register_profile(FRESH, derandomize=False, database=None, deadline=None, print_blob=True)


def choose(profile: str | None, seed: str | None) -> str | None:
    """Name the profile to load; None where hypothesis loads the one that was asked for."""
    if profile is not None:
        return None
    return REPEATED if seed is None else FRESH


def adapt(chosen: settings, *, times: int, is_seeded: bool) -> settings:
    """Return what a test chose for itself, with so many times its examples.

    A seed that was named must count, and hypothesis lets it count only where it does not derandomize.
    """
    return settings(
        chosen,
        max_examples=chosen.max_examples * times,
        derandomize=chosen.derandomize and not is_seeded,
        suppress_health_check={*chosen.suppress_health_check, HealthCheck.too_slow},
    )


def adapt_test(item: pytest.Item, *, times: int, is_seeded: bool) -> None:
    """Adapt the settings of one test, of functions and of state machines alike."""
    test = getattr(item, "obj", None)
    if not getattr(test, "is_hypothesis_test", False):
        return
    machine = getattr(getattr(item, "cls", None), "settings", None)
    if isinstance(machine, settings):
        item.cls.settings = _once(machine, item.cls, times=times, is_seeded=is_seeded)
        return
    function = getattr(test, "__func__", test)
    chosen = function._hypothesis_internal_use_settings
    function._hypothesis_internal_use_settings = _once(chosen, function, times=times, is_seeded=is_seeded)


_adapted: dict[int, object] = {}


def _once(chosen: settings, owner: object, *, times: int, is_seeded: bool) -> settings:
    """Adapt settings that several items share, the cases of a parametrized test, only once."""
    if id(owner) in _adapted:
        return chosen
    _adapted[id(owner)] = owner
    return adapt(chosen, times=times, is_seeded=is_seeded)
