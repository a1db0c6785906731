"""What reruns say of each hypothesis: both levels are learnt on the way, and the noise is taken large."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from bot.domain.diagnosis.hypotheses import Hypotheses, Setting
from bot.domain.runs import Floats

CAUTION = 0.20  # how likely the true spread is above the one that is believed
FEWEST = 3
CLEAREST = 20  # spreads that a fall is believed to have at most
ELSEWHERE = 20.0  # spreads that both levels together may lie elsewhere where reruns see a cut of the data
RESIZED = 0.25  # of the fall, that it may be larger or smaller there


@dataclass(frozen=True, slots=True)
class TwoLevels:
    """Where runs lie with everything as it was and with everything as it is, as accepted and bad runs show it."""

    before: float
    since: float
    runs_before: int
    runs_since: int
    spread: float  # of one rerun, as large as the accepted runs let it be
    freedom: int  # how many degrees of freedom that spread rests on
    share: float = 1.0  # of the data, that reruns see: below one, their levels are others, and have to be learnt

    @property
    def spread_of_run(self) -> float:
        """The spread of a run that sees all the data."""
        return self.spread * math.sqrt(self.share)

    def covariance(self) -> Floats:
        """Return how little is known of both levels as reruns have them, in squares of their spread."""
        known = np.diag([self.share / self.runs_before, self.share / self.runs_since])
        if self.share >= 1:
            return known
        resized = RESIZED * abs(self.before - self.since) / self.spread
        return np.asarray(known + ELSEWHERE**2 + np.diag([0.0, resized**2]))


@dataclass(frozen=True, slots=True)
class RerunResult:
    """What came of one rerun."""

    setting: Setting
    value: float


@dataclass(frozen=True, slots=True)
class Posterior:
    """How likely each hypothesis is, and where it puts the two levels."""

    probability: Floats  # of each hypothesis
    means: Floats  # hypotheses x 2: before, since
    covariances: Floats  # hypotheses x 2 x 2, in squares of the spread

    def sizes(self) -> tuple[Floats, Floats]:
        """Return the size of the fall under each hypothesis in the metric's unit, and its standard error in spreads."""
        variances = self.covariances[:, 0, 0] + self.covariances[:, 1, 1] - 2 * self.covariances[:, 0, 1]
        return np.abs(self.means[:, 0] - self.means[:, 1]), np.sqrt(variances)


def levels_of(accepted: Sequence[float], bad: Sequence[float], share: float = 1.0) -> TwoLevels:
    """Return the levels, with the spread at the upper 80 % limit of its estimate.

    A spread believed too small accuses the innocent: at two thirds of the true one several times as often
    (`bench/diagnose.py`), where one that is too large costs a rerun more. Runs that do not differ at all, as of a
    program without chance, are taken to by a twentieth of the fall. Reruns that see a *share* of the data are noisier.

    Raises:
        ValueError: with fewer than three accepted runs, without a bad one, or where there is no fall at all.
    """
    from scipy.special import chdtri

    if len(accepted) < FEWEST or not bad:
        raise ValueError(f"a diagnosis needs {FEWEST} accepted runs and a bad one, not {len(accepted)} and {len(bad)}")
    freedom = len(accepted) - 1
    first = accepted[0]  # what is equal stays equal, whatever sums round to
    of_accepted, of_bad = np.asarray(accepted) - first, np.asarray(bad) - first
    squares = float(np.sum((of_accepted - of_accepted.mean()) ** 2))
    spread = (squares / float(chdtri(freedom, 1 - CAUTION))) ** 0.5
    before, since = first + float(of_accepted.mean()), first + float(of_bad.mean())
    spread = max(spread / math.sqrt(share), abs(before - since) / CLEAREST)
    if not spread > 0:
        raise ValueError(f"there is nothing to diagnose: the bad runs lie at {since:g}, as the accepted ones do")
    return TwoLevels(before, since, len(accepted), len(bad), spread, freedom, share)


def believe(hypotheses: Hypotheses, levels: TwoLevels, reruns: Sequence[RerunResult]) -> Posterior:
    """Return what is believed after some reruns.

    A run lies between the two levels by the share of the fall that a hypothesis expects of its setting. Both levels
    are normal around what is known of them, and every run moves them (Bayesian linear regression); a value's chance is
    that of a t around what is expected of it, so that no odd run decides alone.
    """
    count = len(hypotheses.all)
    means = np.tile([levels.before, levels.since], (count, 1))
    covariances = np.tile(levels.covariance(), (count, 1, 1))
    log_weight = np.log(hypotheses.prior)
    settings = np.array([one.setting for one in reruns], dtype=bool).reshape(len(reruns), hypotheses.components)
    for rerun, share in zip(reruns, hypotheses.shares_of_fall(settings).T, strict=True):
        design = np.stack([1 - share, share], axis=1)
        gain = np.einsum("hij,hj->hi", covariances, design)
        variance = 1 + (design * gain).sum(axis=1)
        miss = rerun.value - (design * means).sum(axis=1)
        far = (miss / levels.spread) ** 2 / variance / levels.freedom
        log_weight = log_weight - 0.5 * np.log(variance) - (levels.freedom + 1) / 2 * np.log1p(far)
        means = means + gain * (miss / variance)[:, None]
        covariances = covariances - gain[:, :, None] * gain[:, None, :] / variance[:, None, None]
    weight = np.exp(log_weight - log_weight.max())
    return Posterior(weight / weight.sum(), means, covariances)
