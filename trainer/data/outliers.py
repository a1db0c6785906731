"""Medians and deviations of any number of values in memory that does not grow: a histogram of logarithms."""

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]

BINS_A_FACTOR_OF_TEN = 200  # a bin is 1.2 % wide: finer than any threshold needs
LOWEST, HIGHEST = -9, 15  # powers of ten
NORMAL = 1.4826  # MAD to standard deviation of a normal distribution


class LogHistogram:
    """Counts positive values; the rest is for another rule."""

    def __init__(self) -> None:
        self.counts = np.zeros((HIGHEST - LOWEST) * BINS_A_FACTOR_OF_TEN, dtype=np.int64)

    def add(self, values: Floats) -> None:
        """Count some values, those that are positive numbers."""
        # Logarithms: amounts and prices are skewed; a fence on their own scale would cut the dear half of any shop.
        known = values[np.isfinite(values) & (values > 0)]
        place = ((np.log10(known) - LOWEST) * BINS_A_FACTOR_OF_TEN).astype(np.int64)
        self.counts += np.bincount(np.clip(place, 0, len(self.counts) - 1), minlength=len(self.counts))

    def fence(self, deviations: float) -> float:
        """Give the value that lies so many robust deviations of the logarithm above the median; inf without any.

        Median and MAD (Hampel 1974): no outlier, however far, moves them. At least a tenth of a factor of ten counts
        as one deviation: where most values are equal the MAD is zero and everything else would be an outlier.
        """
        if not self.counts.any():
            return float("inf")
        logs = LOWEST + (np.arange(len(self.counts)) + 0.5) / BINS_A_FACTOR_OF_TEN
        centre = _weighted_median(logs, self.counts)
        spread = max(NORMAL * _weighted_median(np.abs(logs - centre), self.counts), 0.1)
        return float(10.0 ** (centre + deviations * spread))


def _weighted_median(values: Floats, counts: npt.NDArray[np.int64]) -> float:
    order = np.argsort(values, kind="stable")
    reached = np.cumsum(counts[order])
    return float(values[order][np.searchsorted(reached, reached[-1] / 2)])
