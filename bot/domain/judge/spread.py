"""The spread between runs: a predictive t of one more run, with a prior while the runs are few."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

PRIOR_DF = 3.0  # how many runs' worth of knowledge the prior spread is
CLIP = 2.5  # a baseline run further out than this many spreads counts as just that far
MAD_TO_SD = 1.4826


@dataclass(frozen=True, slots=True)
class Spread:
    """Level and run-to-run standard deviation of accepted runs."""

    level: float
    sd: float
    df: float
    n: int

    @property
    def predictive_sd(self) -> float:
        """Return the standard deviation of one more run around the estimated level."""
        return self.sd * math.sqrt(1 + 1 / self.n)


def estimate_spread(values: Sequence[float], prior_sd: float) -> Spread:
    """Estimate level and spread, the prior counting as :data:`PRIOR_DF` runs and one odd run for little.

    Residuals around the median are clipped before mean and variance are taken (winsorised, after Huber), at a scale
    that leans on the prior while the runs are few; the variance then has a scaled inverse chi-square prior.
    """
    runs = np.asarray(values, dtype=float)
    median = float(np.median(runs))
    mad = MAD_TO_SD * float(np.median(np.abs(runs - median)))
    n = len(runs)
    scale = math.sqrt((PRIOR_DF * prior_sd**2 + n * mad**2) / (PRIOR_DF + n))
    residuals = np.clip(runs - median, -CLIP * scale, CLIP * scale)
    level = median + float(residuals.mean())
    squares = float(((residuals - residuals.mean()) ** 2).sum())
    df = PRIOR_DF + n - 1
    return Spread(level=level, sd=math.sqrt((PRIOR_DF * prior_sd**2 + squares) / df), df=df, n=n)


def p_below(change: float, sd: float, df: float) -> float:
    """Return the one-sided p value of a change this low; without any spread a change is certain and none is a coin."""
    from scipy.special import stdtr

    if sd == 0:
        return 0.5 if change == 0 else float(change > 0)
    return float(stdtr(df, change / sd))


def t_quantile(p: float, df: float) -> float:
    from scipy.special import stdtrit

    return float(stdtrit(df, p))
