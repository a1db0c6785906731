"""Settings tried on the same history: what each would have caught and cost, and which one to take."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import product

from bot.domain.backtest.figures import Catch, Rate, caught
from bot.domain.backtest.walk import Settings
from bot.domain.policy import MinEffect, Preset

MOST_FALSE = 1.0  # tickets a month that a team puts up with


@dataclass(frozen=True, slots=True)
class Variant:
    """A setting that is tried; None: as it is configured."""

    min_effect: MinEffect | None = None
    preset: Preset | None = None

    def applied(self, settings: Settings) -> Settings:
        policies = settings.policies
        if self.min_effect is not None:
            metrics = tuple(replace(metric, min_effect=self.min_effect) for metric in policies.metrics)
            policies = replace(policies, metrics=metrics)
        if self.preset is not None:
            policies = replace(policies, preset=self.preset)
        return replace(settings, policies=policies)


@dataclass(frozen=True, slots=True)
class TriedSetting:
    """What a setting would have come to."""

    variant: Variant
    catches: tuple[Catch, ...]
    false: Rate
    tickets: int  # on the history as it is

    @property
    def caught(self) -> float:
        return caught(self.catches)


def variants(effects: Sequence[MinEffect], presets: Sequence[Preset]) -> list[Variant]:
    """Return every combination of what is to be tried."""
    unless_given: tuple[None] = (None,)
    return [Variant(effect, preset) for effect, preset in product(effects or unless_given, presets or unless_given)]


def choose(tried: Sequence[TriedSetting]) -> TriedSetting | None:
    """Choose the setting that catches most at no more than one false ticket a month; else the one with the fewest.

    None where no drop could be planted under any of them: what they catch is not known then.
    """
    if not any(each.catches for each in tried):
        return None
    bearable = [each for each in tried if each.false.a_month <= MOST_FALSE]
    if bearable:
        return max(bearable, key=lambda each: (round(each.caught, 3), -each.false.count))
    return min(tried, key=lambda each: (each.false.count, -each.caught))
