"""From raw outputs to chances that hold: two numbers fitted on the valid rows."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Calibration:
    """A straight line through a model's raw outputs, after which they are chances that hold."""

    slope: float = 1.0
    shift: float = 0.0

    def chances(self, output_N: Floats) -> Floats:
        """Give the chance of each output, between 0 and 1."""
        return logistic(self.slope * output_N + self.shift)

    def class_chances(self, output_NC: Floats) -> Floats:
        """Give (N, C) chances, a row's sum being 1; the shift moves all classes alike and plays no part."""
        raised = self.slope * output_NC
        # The largest becomes 1: the same shares, and no overflow.
        raised = np.exp(raised - raised.max(axis=1, keepdims=True))
        return np.asarray(raised / raised.sum(axis=1, keepdims=True))


def logistic(output_N: Floats) -> Floats:
    """Give the logistic function of each output."""
    # By tanh: exp overflows for outputs below -709.
    return np.asarray(0.5 * (1 + np.tanh(output_N / 2)))


def fit_logistic(output_N: Floats, wanted_N: Floats) -> Calibration:
    """Fit slope and shift to wanted chances from 0 to 1 (Platt 1999); grades may lie between."""
    from scipy.optimize import minimize

    def loss(numbers: Floats) -> float:
        # Cross-entropy in the outputs themselves: no logarithm of a chance that rounded to nought.
        line_N = numbers[0] * output_N + numbers[1]
        return float(np.mean(np.logaddexp(0, line_N) - wanted_N * line_N))

    # Convex in both numbers: any start ends in the one place.
    found = minimize(loss, np.array([1.0, 0.0]), method="BFGS").x
    return Calibration(float(found[0]), float(found[1]))


def fit_temperature(output_NC: Floats, class_N: Ints) -> Calibration:
    """Fit one temperature to classes (Guo et al. 2017)."""
    from scipy.optimize import minimize_scalar

    def loss(slope: float) -> float:
        chance_N = Calibration(slope).class_chances(output_NC)[np.arange(len(class_N)), class_N]
        return float(-np.mean(np.log(np.maximum(chance_N, 1e-12))))

    # One number for all classes: their order, and so accuracy, stays as it was. Beyond the bounds a model knows nothing
    # or everything, and few valid rows would send the slope there.
    return Calibration(float(minimize_scalar(loss, bounds=(0.05, 20.0), method="bounded").x))
