"""Where learning curves go: what is expected of them at later steps, and how sure that is."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from archwright.errors import DataError, StrategyError

__all__ = ["CurveModel", "FittedCurves"]

Array: TypeAlias = NDArray[np.float64]

_RATIOS = np.array([0.02, 0.1, 0.4, 2.0])  # deviation of the noise of a point, in units of the wander's
_SCALES = np.array([0.05, 0.12, 0.3])  # deviations of the wander after a unit of the clock, in units of the spread
_LEVEL = np.diag([1.0, 0.25])  # prior covariance of level and slope, and their prior mean
_CENTRE = np.array([0.0, 0.3])
_TRUST = 4.0  # how many curves the prior covariance counts as
_FAR = 9.0  # squared distance, in deviations, from which on a curve counts less
_MARGIN = 0.02  # the least distance of the ceiling from the best value, in units of the range
_BIN = math.log(1.06)  # steps that are closer than this are seen as one
_SMALL = 1e-3  # the least deviation, in units of the range
_NODES, _SHARES = np.polynomial.hermite_e.hermegauss(9)
_SHARES = _SHARES / _SHARES.sum()


@dataclass(frozen=True)
class CurveModel:
    """Extrapolates the learning curves of one study together, each with its uncertainty.

    As in freeze-thaw optimisation (Swersky, Snoek and Adams, "Freeze-thaw Bayesian optimization", 2014) each curve is
    a Gaussian process over steps, and what the curves have in common is learnt from all of them. A value is seen as
    the logarithm of its distance from a ceiling a little above the best value of the study, on which scale the usual
    families of learning curves (Domhan, Springenberg and Hutter, "Speeding up automatic hyperparameter optimization
    of deep neural networks by extrapolation of learning curves", IJCAI 2015) are lines: a power law over the logarithm
    of the steps, an exponential over the steps, a stretched one over their root. So a curve has one of these three
    clocks, a level, a slope that wears off as the clock goes on, and a slope that wanders (an integrated
    Ornstein-Uhlenbeck process: the trend of now counts, and the further ahead the less sure), and noise. Which clock,
    how much wander and how much noise is averaged over for each curve by how well it explains what was seen; how
    frequent each of them is, and which levels and slopes are usual, is learnt from all curves by expectation
    maximisation (empirical Bayes).

    Nothing about it is random. The unit and the zero point of the values do not matter, nor does the order of the
    curves. Cost grows with the number of curves and with the logarithm of their lengths.

    Args:
        damping: How fast a slope wears off, above 0: less trusts trends for longer.
        rounds: Rounds of expectation maximisation.
    """

    damping: float = 0.5
    rounds: int = 4

    def __post_init__(self) -> None:
        """Check the settings.

        Raises:
            StrategyError: One is out of its range.
        """
        if not (math.isfinite(self.damping) and self.damping > 0):
            raise StrategyError(f"CurveModel: damping is a number above 0, not {self.damping!r}")
        if not isinstance(self.rounds, int) or isinstance(self.rounds, bool) or self.rounds < 0:
            raise StrategyError(f"CurveModel: rounds is an integer of 0 or more, not {self.rounds!r}")

    def fit(self, curves: Sequence[Sequence[tuple[int, float]]]) -> FittedCurves:
        """Learn from curves, as far as they have come.

        Args:
            curves: At least one; each holds (step, value) pairs, at least one, with steps that ascend from 1 or more.
                Greater values are better.

        Raises:
            DataError: There is no curve, or one is empty, or its steps do not ascend, or a value is not finite.
        """
        checked = [_checked(number, curve) for number, curve in enumerate(curves)]
        if not checked:
            raise DataError("there is no curve to learn from; give at least one")
        scale = _Scale.of(checked)
        seen = _Seen.of([(steps, scale.into(values)) for steps, values in checked])
        clocks = _clocks(seen.steps, seen.first)
        last = clocks.max(axis=(1, 2), keepdims=True)
        fall = _worn(clocks, self.damping) - _worn(last, self.damping)
        wander = _wander(clocks[..., :, None], clocks[..., None, :], self.damping) * seen.pairs
        noise = np.where(seen.mask, _RATIOS[:, None, None] ** 2 / seen.counts, 1.0)
        kernel = wander[:, None] + noise[..., None] * np.eye(seen.steps.shape[1])
        lower = np.linalg.cholesky(kernel)
        roots = np.linalg.inv(lower)
        columns = np.stack(np.broadcast_arrays(seen.mask, fall * seen.mask, seen.values), axis=-1)[:, None]
        solved = roots @ columns
        weight = 1 / _SCALES[:, None] ** 2
        gram = np.swapaxes(solved, -1, -2) @ solved  # (clocks, ratios, n, 3, 3)
        precisions = (gram[:, :, None] * weight[..., None, None]).reshape(-1, len(checked), 3, 3)
        size = np.log(np.diagonal(lower, axis1=-2, axis2=-1)).sum(-1)[:, :, None]
        sizes = (size + seen.mask.sum(1) * np.log(_SCALES)[:, None]).reshape(-1, len(checked))
        return FittedCurves(
            tuple(checked), scale, seen, self.damping, last, roots, solved, _pool(precisions, sizes, self.rounds)
        )


@dataclass(frozen=True)
class FittedCurves:
    """Curves, and what was learnt from them."""

    _curves: tuple[tuple[Array, Array], ...]
    _scale: _Scale
    _seen: _Seen
    _damping: float
    _last: Array
    _roots: Array
    _solved: Array
    _pooled: _Pooled

    def predict(self, step: int, which: Sequence[int] | None = None) -> tuple[Array, Array]:
        """Return what is expected of curves at a step.

        At a step that a curve has been at, that is the value it had there.

        Args:
            step: The step, 1 or more.
            which: The numbers of the curves, from 0; all when not given.

        Returns:
            (n,) means and (n,) standard deviations above 0, in the unit of the values.

        Raises:
            DataError: The step is below 1.
        """
        chosen = np.arange(len(self._curves)) if which is None else np.asarray(which, dtype=np.intp)
        means, variances = self._expect(step)
        weights, means, variances = self._pooled.weights[:, chosen], means[:, chosen], variances[:, chosen]
        nodes = self._scale.back(means[..., None] + np.sqrt(variances)[..., None] * _NODES, chosen[:, None])
        shares = weights[..., None] * _SHARES
        mean = (shares * nodes).sum((0, 2))
        deviation = np.sqrt((shares * (nodes - mean[:, None]) ** 2).sum((0, 2)))
        known, there = self._known(step)
        mean = np.where(there[chosen], known[chosen], mean)
        deviation = np.where(there[chosen], 0.0, deviation)
        return mean * self._scale.size, np.maximum(deviation, self._scale.least) * self._scale.size

    def draw(self, step: int, rng: np.random.Generator, count: int) -> Array:
        """Return (count, n) values of all curves at a step, drawn from what is expected of them.

        Args:
            step: The step, 1 or more.
            rng: The only source of randomness.
            count: How many of each curve.

        Raises:
            DataError: The step is below 1.
        """
        means, variances = self._expect(step)
        curves = np.arange(means.shape[1])
        parts = self._pooled.weights.cumsum(0)
        chosen = (rng.random((count, 1, len(curves))) * parts[-1] > parts).sum(1).clip(max=len(parts) - 1)
        drawn = means[chosen, curves] + np.sqrt(variances[chosen, curves]) * rng.standard_normal(chosen.shape)
        known, there = self._known(step)
        return np.where(there, known, self._scale.back(drawn, curves)) * self._scale.size

    def _expect(self, step: int) -> tuple[Array, Array]:
        """Return (settings, n) means and variances at a step, on the scale of the model."""
        if step < 1:
            raise DataError(f"a step is 1 or more, not {step!r}")
        own, clocks = _clocks(np.array([[step]]), self._seen.first), _clocks(self._seen.steps, self._seen.first)
        fall = (_worn(own, self._damping) - _worn(self._last, self._damping))[..., 0]
        cross = (_wander(own, clocks, self._damping) * self._seen.mask)[:, None, :, :, None]
        cross = (self._roots @ cross)[..., 0]  # (clocks, ratios, n, length)
        ones, falls, values = np.moveaxis((cross[..., None] * self._solved).sum(-2), -1, 0)
        left = _wander(own, own, self._damping)[..., 0][:, None] - (cross**2).sum(-1) + _RATIOS[:, None] ** 2
        ones, falls, values, left = (
            np.repeat(part[:, :, None], len(_SCALES), 2)
            for part in np.broadcast_arrays(1 - ones, fall[:, None] - falls, values, left)
        )
        left = left * _SCALES[:, None] ** 2
        ones, falls, values, left = (part.reshape(-1, part.shape[-1]) for part in (ones, falls, values, left))
        (level, slope), (levels, both, slopes) = self._pooled.means, self._pooled.covariances
        mean = values + ones * level + falls * slope
        return mean, left + ones**2 * levels + 2 * ones * falls * both + falls**2 * slopes

    def _known(self, step: int) -> tuple[Array, NDArray[np.bool_]]:
        """Return (n,) values at a step, and where they are known."""
        known, there = np.zeros(len(self._curves)), np.zeros(len(self._curves), dtype=bool)
        for number, (steps, values) in enumerate(self._curves):
            place = int(np.searchsorted(steps, step))
            if place < len(steps) and steps[place] == step:
                known[number], there[number] = values[place] / self._scale.size, True
        return known, there


@dataclass(frozen=True)
class _Scale:
    """The scale of the model: minus the logarithm of the distance from a ceiling, standardised."""

    size: float
    least: float
    ceiling: float
    unit: float
    centre: float
    spread: float
    floors: Array
    """(n,) On the scale of the model: what each curve is not expected to fall below."""

    @classmethod
    def of(cls, curves: Sequence[tuple[Array, Array]]) -> _Scale:
        """Return the scale for curves."""
        size = max(float(np.abs(values).max()) for _, values in curves) or 1.0
        pool = np.concatenate([values / size for _, values in curves])
        top = float(pool.max())
        unit = top - float(np.percentile(pool, 10)) or top - float(pool.min()) or 1.0
        best = np.array([values.max() for _, values in curves]) / size
        gains = [
            max(0.0, best_one - values[steps <= steps[-1] / 2].max() / size)
            for best_one, (steps, values) in zip(best, curves, strict=True)
            if best_one >= np.percentile(best, 90) and steps[0] <= steps[-1] / 2
        ]
        # Where the best curves still rise, the ceiling is as far above the best value as they rose while the steps
        # doubled.
        ceiling = top + _MARGIN * unit + (float(np.mean(gains)) if gains else 0.2 * unit)
        seen = [-np.log((ceiling - values / size) / unit) for _, values in curves]
        spread = float(np.concatenate(seen).std()) or 1.0
        centre = float(np.median([values[-1] for values in seen]))
        lowest = (np.array([values.min() for values in seen]) - centre) / spread
        floors = np.minimum(lowest, np.percentile(lowest, 10)) - 0.1
        return cls(size, _SMALL * unit, ceiling, unit, centre, spread, floors)

    def into(self, values: Array) -> Array:
        """Return values on the scale of the model."""
        return (-np.log((self.ceiling - values / self.size) / self.unit) - self.centre) / self.spread

    def back(self, values: Array, curves: NDArray[np.intp]) -> Array:
        """Return values of the scale of the model as shares of the size."""
        logs = self.centre + self.spread * np.maximum(values, self.floors[curves])
        return np.asarray(self.ceiling - self.unit * np.exp(-logs))


@dataclass(frozen=True)
class _Seen:
    """Curves as rows of one length; what is close together is one point, and a mask says what is there."""

    steps: Array
    values: Array
    counts: Array
    mask: NDArray[np.bool_]
    first: float

    @classmethod
    def of(cls, curves: Sequence[tuple[Array, Array]]) -> _Seen:
        """Return curves as rows."""
        rows = []
        for steps, values in curves:
            logs = np.log(steps)
            # Bins begin at the end, so that what was seen last stands alone or with its nearest.
            _, places = np.unique(np.ceil((logs - logs[-1]) / _BIN), return_inverse=True)
            counts = np.bincount(places)
            rows.append((np.exp(np.bincount(places, logs) / counts), np.bincount(places, values) / counts, counts))
        shape = len(rows), max(len(counts) for _, _, counts in rows)
        first = min(float(steps[0]) for steps, _, _ in rows)
        seen = cls(np.full(shape, first), np.zeros(shape), np.ones(shape), np.zeros(shape, dtype=bool), first)
        for number, (steps, values, counts) in enumerate(rows):
            held = slice(0, len(counts))
            seen.steps[number, held], seen.values[number, held] = steps, values
            seen.counts[number, held], seen.mask[number, held] = counts, True
        return seen

    @property
    def pairs(self) -> NDArray[np.bool_]:
        """(n, length, length) where both are there."""
        return self.mask[:, :, None] & self.mask[:, None, :]


@dataclass(frozen=True)
class _Pooled:
    """How probable each setting is for each curve, and what its level and slope are there."""

    weights: Array
    """(settings, n)"""
    means: tuple[Array, Array]
    covariances: tuple[Array, Array, Array]


def _pool(precisions: Array, sizes: Array, rounds: int) -> _Pooled:
    """Learn what curves have in common, and what each is by that.

    Args:
        precisions: (settings, n, 3, 3) products of ones, worn clock and values, whitened.
        sizes: (settings, n) logarithms of the normal density's volume.
        rounds: Rounds of expectation maximisation.
    """
    settings, n = sizes.shape
    ones, crossed, falls = precisions[..., 0, 0], precisions[..., 0, 1], precisions[..., 1, 1]
    level_seen, slope_seen, squares = precisions[..., 0, 2], precisions[..., 1, 2], precisions[..., 2, 2]
    centre, covariance, shares = _CENTRE, _LEVEL, np.full(settings, 1 / settings)
    for round_ in range(rounds + 1):
        prior = np.linalg.inv(covariance)
        pull = prior @ centre
        first, both, second = prior[0, 0] + ones, prior[0, 1] + crossed, prior[1, 1] + falls
        one, other = pull[0] + level_seen, pull[1] + slope_seen
        determinant = first * second - both**2
        levels, cross, slopes = second / determinant, -both / determinant, first / determinant
        level, slope = levels * one + cross * other, cross * one + slopes * other
        evidence = 0.5 * (one * level + other * slope - np.log(determinant) - squares) - sizes + np.log(shares)[:, None]
        weights = np.exp(evidence - evidence.max(0))
        weights /= weights.sum(0)
        if round_ == rounds:
            break
        shares = (weights.sum(1) + 1) / (n + settings)
        # A curve far from all others says little about them.
        off_level, off_slope = level - centre[0], slope - centre[1]
        far = prior[0, 0] * off_level**2 + 2 * prior[0, 1] * off_level * off_slope + prior[1, 1] * off_slope**2
        counted = weights * np.minimum(1.0, _FAR / np.maximum((weights * far).sum(0), _FAR))
        total = counted.sum()
        found = (np.array([(counted * level).sum(), (counted * slope).sum()]) + _CENTRE) / (total + 1)
        off_level, off_slope = level - found[0], slope - found[1]
        mixed = (counted * (off_level * off_slope + cross)).sum()
        spread = np.array(
            [[(counted * (off_level**2 + levels)).sum(), mixed], [mixed, (counted * (off_slope**2 + slopes)).sum()]]
        )
        drift = np.outer(found - _CENTRE, found - _CENTRE)
        centre, covariance = found, (spread + _TRUST * _LEVEL + drift) / (total + _TRUST)
    return _Pooled(weights, (level, slope), (levels, cross, slopes))


def _clocks(steps: Array, first: float) -> Array:
    """Return (3, ...) what each clock shows at steps: logarithm, root and the steps themselves, 0 at the first."""
    ratio = steps / first
    return np.stack([np.log(ratio), np.sqrt(ratio) - 1, (ratio - 1) / 10])


def _worn(clock: Array, damping: float) -> Array:
    """Return how far a slope of 1 has come when it wears off."""
    return np.asarray((1 - np.exp(-damping * clock)) / damping)


def _wander(one: Array, other: Array, damping: float) -> Array:
    """Return the covariance of an integrated Ornstein-Uhlenbeck process that starts at rest."""
    early, late = np.minimum(one, other), np.maximum(one, other)
    between = np.exp(-damping * (late - early))
    rest = (1 + between - np.exp(-damping * early) - np.exp(-damping * late)) / damping
    return np.asarray((early - rest + (between - np.exp(-damping * (late + early))) / (2 * damping)) / damping**2)


def _checked(number: int, curve: Sequence[tuple[int, float]]) -> tuple[Array, Array]:
    """Return the steps and the values of a curve.

    Raises:
        DataError: It is none.
    """
    if not len(curve):
        raise DataError(f"curve {number} is empty; leave out curves of which nothing was seen")
    pairs = np.array([(float(step), float(value)) for step, value in curve])
    steps, values = pairs[:, 0], pairs[:, 1]
    if not np.isfinite(values).all():
        bad = int(np.flatnonzero(~np.isfinite(values))[0])
        raise DataError(
            f"curve {number} has the value {values[bad]} at step {steps[bad]:g}; values are finite: leave the point out"
        )
    if not (np.isfinite(steps).all() and steps[0] >= 1 and (np.diff(steps) > 0).all()):
        raise DataError(f"curve {number} has the steps {steps.tolist()}; steps are 1 or more and ascend")
    return steps, values
