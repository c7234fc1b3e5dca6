"""Acquisition functions."""

from __future__ import annotations

from itertools import pairwise
from typing import TypeAlias

import numpy as np
import scipy
from numpy.typing import NDArray

Array: TypeAlias = NDArray[np.float64]

_TAIL = -1.0  # below this many deviations the closed form loses digits


def expected_improvement(mean: Array, deviation: Array, best: float) -> Array:
    """Return the expected improvement of normally distributed scores over the best: (n,) numbers, 0 or more.

    EI = E[max(f - best, 0)] = deviation × (z Phi(z) + phi(z)), with z = (mean - best) / deviation (Jones, Schonlau and
    Welch, "Efficient global optimization of expensive black-box functions", 1998).

    Args:
        mean: (n,) expected scores.
        deviation: (n,) standard deviations above 0.
        best: The best score so far.

    Example:
        >>> aw.surrogates.expected_improvement(np.array([0.0, 1.0]), np.array([1.0, 1.0]), best=1.0).round(3)
        array([0.083, 0.399])
    """
    return np.exp(log_expected_improvement(mean, deviation, best))


def log_expected_improvement(mean: Array, deviation: Array, best: float) -> Array:
    """Return log EI, accurate where the expected improvement itself underflows to 0.

    Ament et al., "Unexpected improvements to expected improvement for Bayesian optimization", NeurIPS 2023. Arguments
    are those of `expected_improvement`.

    Example:
        >>> aw.surrogates.log_expected_improvement(np.array([0.0, -99.0]), np.array([1.0, 1.0]), best=1.0).round(2)
        array([-2.49000e+00, -5.01013e+03])
    """
    z = (mean - best) / deviation
    worth = np.log(deviation)
    above = z > _TAIL
    near, far = z[above], z[~above]
    worth[above] += np.log(np.exp(-near * near / 2) / np.sqrt(2 * np.pi) + near * scipy.special.ndtr(near))
    # phi(z) (1 + z Phi(z) / phi(z)); the quotient by `erfcx`, and by its limit 1 / z**2 where that cancels.
    rest = 1 + far * np.sqrt(np.pi / 2) * scipy.special.erfcx(-far / np.sqrt(2))
    rest = np.where(far > -1e4, np.maximum(rest, np.finfo(float).tiny), far**-2)
    worth[~above] += -far * far / 2 - np.log(2 * np.pi) / 2 + np.log(rest)
    return np.asarray(worth)


def upper_confidence_bound(mean: Array, deviation: Array, width: float = 2.0) -> Array:
    """Return mean + width x deviation (Srinivas et al., "Gaussian process optimization in the bandit setting", 2010).

    Args:
        mean: (n,) expected scores.
        deviation: (n,) standard deviations.
        width: The weight of the deviation, above 0.

    Example:
        >>> aw.surrogates.upper_confidence_bound(np.array([0.5, 0.25]), np.array([0.125, 0.5]))
        array([0.75, 1.25])
    """
    return mean + width * deviation


def expected_hypervolume_improvement(mean: Array, deviation: Array, front: Array, reference: Array) -> Array:
    """Return the expected hypervolume improvement of two normally distributed scores: (n,) numbers, 0 or more.

    EHVI = E[HV(front + f) - HV(front)]: the sum, over the strips between the points of the front, of products of two
    expected improvements (Emmerich, Deutz and Klinkenberg, "Hypervolume-based expected improvement: monotonicity
    properties and exact computation", 2011). Values below about 1e-12 are inaccurate;
    `log_expected_hypervolume_improvement` is accurate, at four times the cost.

    Args:
        mean: (n, 2) expected scores; greater is better.
        deviation: (n, 2) standard deviations above 0.
        front: (k, 2) mutually non-dominated points.
        reference: (2,) the reference point, a lower bound of the dominated region.

    Example:
        >>> mean, deviation, front = np.array([[2.0, 2.0], [0.0, 0.0]]), np.full((2, 2), 0.01), np.array([[1.0, 1.0]])
        >>> aw.surrogates.expected_hypervolume_improvement(mean, deviation, front, np.array([0.0, 0.0])).round(2)
        array([3., 0.])
    """
    left, height = _strips(front, reference)
    # The expected width of a strip is that of all to the right of its left edge, less that of its right edge.
    wide = [*(_improvement(mean[:, 0], deviation[:, 0], edge) for edge in left), np.zeros(len(mean))]
    high = (_improvement(mean[:, 1], deviation[:, 1], low) for low in height)
    worth = np.zeros(len(mean))
    for (one, beyond), over in zip(pairwise(wide), high, strict=True):
        worth += (one - beyond) * over
    return worth


def log_expected_hypervolume_improvement(mean: Array, deviation: Array, front: Array, reference: Array) -> Array:
    """Return log EHVI, accurate where the expected hypervolume improvement itself underflows to 0.

    Arguments are those of `expected_hypervolume_improvement`.

    Example:
        >>> mean, deviation, front = np.array([[0.5, 0.5]]), np.full((1, 2), 0.01), np.array([[1.0, 1.0]])
        >>> aw.surrogates.log_expected_hypervolume_improvement(mean, deviation, front, np.array([0.0, 0.0])).round(1)
        array([-1263.3])
    """
    left, height = _strips(front, reference)
    wide = np.array([log_expected_improvement(mean[:, 0], deviation[:, 0], float(edge)) for edge in left])
    high = np.array([log_expected_improvement(mean[:, 1], deviation[:, 1], float(edge)) for edge in height])
    beyond = np.vstack([wide[1:], np.full((1, len(mean)), -np.inf)])
    with np.errstate(divide="ignore"):
        widths = wide + np.log(-np.expm1(np.minimum(beyond - wide, 0.0)))
    return np.asarray(scipy.special.logsumexp(widths + high, axis=0))


def _strips(front: Array, reference: Array) -> tuple[Array, Array]:
    """Return (k + 1,) left edges of the strips between the points of a front, and how high each is dominated."""
    front = front[np.all(front > reference, axis=1)]
    front = front[np.argsort(front[:, 0], kind="stable")]
    return np.r_[reference[0], front[:, 0]], np.r_[front[:, 1], reference[1]]


def _improvement(mean: Array, deviation: Array, best: float) -> Array:
    """Return the expected improvement, to within rounding of the deviation."""
    z = (mean - best) / deviation
    return np.asarray(deviation * np.maximum(np.exp(-z * z / 2) / np.sqrt(2 * np.pi) + z * scipy.special.ndtr(z), 0.0))
