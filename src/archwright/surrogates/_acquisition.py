"""What another evaluation is worth, by what is expected of it."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.special import erfcx, logsumexp, ndtr

__all__ = [
    "expected_improvement",
    "log_expected_hypervolume_improvement",
    "log_expected_improvement",
    "upper_confidence_bound",
]

_TAIL = -1.0  # below this many deviations the closed form loses digits


def expected_improvement(mean: NDArray[np.float64], deviation: NDArray[np.float64], best: float) -> NDArray[np.float64]:
    """Return by how much normal scores are expected to pass the best: (n,) numbers of 0 or more.

    Jones, Schonlau and Welch, "Efficient global optimization of expensive black-box functions", 1998.

    Args:
        mean: (n,) expected scores.
        deviation: (n,) standard deviations above 0.
        best: The best score so far.
    """
    return np.exp(log_expected_improvement(mean, deviation, best))


def log_expected_improvement(
    mean: NDArray[np.float64], deviation: NDArray[np.float64], best: float
) -> NDArray[np.float64]:
    """Return the logarithm of the expected improvement, exact where the improvement itself is 0 in floating point.

    Ament et al., "Unexpected improvements to expected improvement for Bayesian optimization", NeurIPS 2023. Arguments
    are those of `expected_improvement`.
    """
    z = (mean - best) / deviation
    near, far = np.maximum(z, _TAIL), np.minimum(z, _TAIL)
    above = np.log(np.exp(-near * near / 2) / np.sqrt(2 * np.pi) + near * ndtr(near))
    # phi(z) (1 + z Phi(z) / phi(z)); the quotient by `erfcx`, and by its limit 1 / z**2 where that cancels.
    rest = 1 + far * np.sqrt(np.pi / 2) * erfcx(-far / np.sqrt(2))
    rest = np.where(far > -1e4, np.maximum(rest, np.finfo(float).tiny), far**-2)
    below = -far * far / 2 - np.log(2 * np.pi) / 2 + np.log(rest)
    return np.asarray(np.where(z > _TAIL, above, below) + np.log(deviation))


def upper_confidence_bound(
    mean: NDArray[np.float64], deviation: NDArray[np.float64], width: float = 2.0
) -> NDArray[np.float64]:
    """Return mean + width x deviation (Srinivas et al., "Gaussian process optimization in the bandit setting", 2010).

    Args:
        mean: (n,) expected scores.
        deviation: (n,) standard deviations.
        width: How many deviations, above 0.
    """
    return mean + width * deviation


def log_expected_hypervolume_improvement(
    mean: NDArray[np.float64],
    deviation: NDArray[np.float64],
    front: NDArray[np.float64],
    reference: NDArray[np.float64],
) -> NDArray[np.float64]:
    """Return the logarithm of how much more two normal scores are expected to dominate than a front does: (n,) numbers.

    What a point adds is a sum over the strips between the front's points, and in each strip a product of two expected
    improvements (Emmerich, Deutz and Klinkenberg, "Hypervolume-based expected improvement: monotonicity properties and
    exact computation", 2011).

    Args:
        mean: (n, 2) expected scores; greater is better.
        deviation: (n, 2) standard deviations above 0.
        front: (k, 2) points, none of which dominates another.
        reference: (2,) what everything dominated lies above.
    """
    front = front[np.all(front > reference, axis=1)]
    front = front[np.argsort(front[:, 0], kind="stable")]
    left = np.r_[reference[0], front[:, 0]]  # of each strip
    height = np.r_[front[:, 1], reference[1]]  # of what is dominated already
    wide = np.array([log_expected_improvement(mean[:, 0], deviation[:, 0], float(edge)) for edge in left])
    high = np.array([log_expected_improvement(mean[:, 1], deviation[:, 1], float(edge)) for edge in height])
    # The expected width of a strip is that of all to the right of its left edge, less that of its right edge.
    beyond = np.vstack([wide[1:], np.full((1, len(mean)), -np.inf)])
    with np.errstate(divide="ignore"):
        widths = wide + np.log(-np.expm1(np.minimum(beyond - wide, 0.0)))
    return np.asarray(logsumexp(widths + high, axis=0))
