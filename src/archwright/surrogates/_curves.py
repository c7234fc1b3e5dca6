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

_RATIOS = np.array([0.05, 0.2, 0.6, 2.0])  # deviation of the noise of a point, in units of the wander's
_SCALES = np.array([0.05, 0.12, 0.3])  # how much the slope wanders in a unit of the clock
_CENTRE, _COVARIANCE = np.array([0.0, 0.3]), np.diag([1.0, 0.25])  # prior mean and covariance of level and slope
_TRUST = 4.0  # how many curves the prior covariance counts as
_DOUBT = 0.3  # deviation of the factor by which what a curve is still to gain is misjudged
_FAR = 9.0  # squared distance, in deviations, from which on a curve counts less
_HIGH, _LOW, _RANGE = 90, 30, 2.2  # percentiles, and how many deviations are between them
_ROUNDING = 1e-12  # a range below this share of its ends is rounding
_MARGIN = 0.02  # the least distance of the ceiling from the best value, in units of the range
_JITTER = 1e-10
_LONG, _BINS = 64, 32  # where a curve has more points, as many intervals of the steps' logarithm are its points
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
    clocks, a level, a slope that wears off as the clock goes on, a slope that wanders (an integrated
    Ornstein-Uhlenbeck process: the trend of now counts, and the further ahead the less sure), and noise. Which clock,
    how much wander and how much noise is averaged over for each curve by how well it explains what was seen; how
    frequent each of them is, and which levels and slopes are usual, is learnt from all curves by expectation
    maximisation (empirical Bayes). What a curve is still to gain is doubted in proportion to it, because the ceiling
    is a guess.

    Nothing about it is random. The unit and the zero point of the values do not matter, nor does the order of the
    curves, nor how bad the worst are. Curves that were seen at the same steps share their matrices, and long ones are
    thinned out.

    Args:
        damping: How fast a slope wears off, above 0: less trusts trends for longer.
        rounds: Rounds of expectation maximisation.
    """

    damping: float = 0.4
    rounds: int = 4

    def __post_init__(self) -> None:
        """Check the settings.

        Raises:
            StrategyError: One is out of its range.
        """
        if not (math.isfinite(self.damping) and self.damping > 0):
            raise StrategyError(f"CurveModel: damping must be a number above 0, not {self.damping!r}")
        if self.rounds < 0:
            raise StrategyError(f"CurveModel: rounds is 0 or more, not {self.rounds!r}")

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
        grids = _grids([(steps, scale.into(values)) for steps, values in checked], self.damping)
        order = np.argsort(np.concatenate([grid.curves for grid in grids]))
        products = np.concatenate([grid.products for grid in grids], axis=1)[:, order]
        volumes = np.concatenate([grid.volumes for grid in grids], axis=1)[:, order]
        return FittedCurves(checked, scale, grids, _pool(products, volumes, self.rounds))


@dataclass(frozen=True)
class FittedCurves:
    """Curves, and what was learnt from them."""

    curves: Sequence[tuple[Array, Array]]
    scale: _Scale
    grids: Sequence[_Grid]
    pooled: _Pooled

    def predict(self, step: int, which: Sequence[int] | None = None) -> tuple[Array, Array]:
        """Return what is expected of curves at a step.

        At a step that a curve has been at, that is the value it had there. Before the first step of all curves nothing
        else is expected than at that step.

        Args:
            step: The step, 1 or more.
            which: The numbers of the curves, from 0; all when not given.

        Returns:
            (n,) means and (n,) standard deviations above 0, in the unit of the values.

        Raises:
            DataError: The step is below 1.
        """
        chosen = np.arange(len(self.curves)) if which is None else np.asarray(which, dtype=np.intp)
        weights, (means, variances) = self.pooled.weights, self._expect(step)
        nodes = means[..., None] + np.sqrt(variances)[..., None] * _NODES
        values = self.scale.back(np.moveaxis(nodes, 1, -1))  # (settings, nodes, n)
        shares = weights[:, None] * _SHARES[:, None]
        mean = (shares * values).sum((0, 1))
        variance = (shares * (values - mean) ** 2).sum((0, 1))
        before, doubt, known, there = self._seen(step)
        variance += doubt**2 * (variance + (mean - before) ** 2)
        mean, variance = np.where(there, known, mean), np.where(there, 0.0, variance)
        deviation = np.maximum(np.sqrt(variance), self.scale.least)
        return mean[chosen] * self.scale.size, deviation[chosen] * self.scale.size

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
        parts, curves = self.pooled.weights.cumsum(0), np.arange(means.shape[1])
        chosen = (rng.random((count, 1, len(curves))) * parts[-1] > parts).sum(1)
        drawn = means[chosen, curves] + np.sqrt(variances[chosen, curves]) * rng.standard_normal(chosen.shape)
        before, doubt, known, there = self._seen(step)
        gain = (self.scale.back(drawn) - before) * (1 + doubt * rng.standard_normal(chosen.shape))
        return np.where(there, known, before + gain) * self.scale.size

    def _expect(self, step: int) -> tuple[Array, Array]:
        """Return (settings, n) means and variances at a step, on the scale of the model."""
        if step < 1:
            raise DataError(f"a step is 1 or more, not {step!r}")
        parts = np.zeros((4, *self.pooled.weights.shape))
        for grid in self.grids:
            parts[..., grid.curves] = grid.ahead(step)
        ones, falls, values, left = parts
        (level, slope), (levels, both, slopes) = self.pooled.means, self.pooled.covariances
        mean = values + ones * level + falls * slope
        return mean, left + ones**2 * levels + 2 * ones * falls * both + falls**2 * slopes

    def _seen(self, step: int) -> tuple[Array, Array, Array, NDArray[np.bool_]]:
        """Return (n,) last values, doubts about the gain from there, values at a step, and where those are known."""
        last = np.array([values[-1] for _, values in self.curves]) / self.scale.size
        doubt = np.array([_DOUBT * (step > steps[-1]) for steps, _ in self.curves])
        places = [int(np.searchsorted(steps[:-1], step)) for steps, _ in self.curves]
        known = [values[place] for place, (_, values) in zip(places, self.curves, strict=True)]
        there = [steps[place] == step for place, (steps, _) in zip(places, self.curves, strict=True)]
        return last, doubt, np.array(known) / self.scale.size, np.array(there)


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
        # Quantiles of the better part: by how much the worst are worse (some diverge) is not to matter.
        top, low = float(pool.max()), float(np.percentile(pool, _LOW))
        unit = next((top - end for end in (low, float(pool.min())) if top - end > _ROUNDING * max(top, -end)), 1.0)
        best = np.array([values.max() for _, values in curves]) / size
        gains = [
            most - float(values[steps <= steps[-1] / 2].max()) / size
            for most, (steps, values) in zip(best, curves, strict=True)
            if most >= np.percentile(best, _HIGH, method="higher") and steps[0] <= steps[-1] / 2
        ]
        # Where the best curves still rise, the ceiling is as far above the best value as they rose while the steps
        # doubled.
        ceiling = top + _MARGIN * unit + (float(np.mean(gains)) if gains else 0.2 * unit)
        seen = [-np.log((ceiling - values / size) / unit) for _, values in curves]
        every = np.concatenate(seen)
        high, low = np.percentile(every, [_HIGH, _LOW])
        spread = max(float(high - low) / _RANGE, 0.1 * float(every.std())) or 1.0
        centre = float(np.median([values[-1] for values in seen]))
        lowest = (np.array([values.min() for values in seen]) - centre) / spread
        floors = np.minimum(lowest, np.percentile(lowest, _LOW)) - 0.2
        return cls(size, _SMALL * unit, ceiling, unit, centre, spread, floors)

    def into(self, values: Array) -> Array:
        """Return values on the scale of the model."""
        return (-np.log((self.ceiling - values / self.size) / self.unit) - self.centre) / self.spread

    def back(self, values: Array) -> Array:
        """Return (..., n) values of the scale of the model as shares of the size."""
        logs = self.centre + self.spread * np.maximum(values, self.floors)
        return np.asarray(self.ceiling - self.unit * np.exp(-logs))


@dataclass(frozen=True)
class _Grid:
    """Curves that were seen at the same steps, as far as each has come: they share their matrices.

    A setting is a clock, a ratio and a scale.
    """

    curves: NDArray[np.intp]
    """(n,) Their numbers."""
    clocks: Array
    """(3, length)"""
    mask: NDArray[np.bool_]
    """(n, length)"""
    first: float
    last: Array
    """(3,) What the clocks show at the last step of the study, where the level is the level."""
    damping: float
    roots: Array
    """(3, ratios, length, length) Inverse Cholesky factors; the first rows and columns are those of shorter curves."""
    solved: Array
    """(3, ratios, n, length, 3) Ones, worn clocks and values, whitened."""
    volumes: Array
    """(settings, n) Logarithms of the determinants' roots."""

    @classmethod
    def of(cls, curves: Sequence[int], rows: Sequence[_Row], first: float, last: float, damping: float) -> _Grid:
        """Return the grid of curves, the longest of which comes first."""
        longest = rows[0]
        clocks, ends = _clocks(longest.steps, first), _clocks(np.array([last]), first)
        mask = np.arange(len(longest.steps)) < np.array([[len(row.steps)] for row in rows])
        values = np.zeros(mask.shape)
        values[mask] = np.concatenate([row.values for row in rows])
        noise = _RATIOS[:, None] ** 2 / longest.counts
        wander = _wander(clocks[:, :, None], clocks[:, None, :], damping)[:, None]
        noise = noise + _JITTER * _wander(ends, ends, damping)[:, None]
        lower = np.linalg.cholesky(wander + noise[..., None] * np.eye(len(longest.steps)))
        roots = np.linalg.inv(lower)
        fall = _worn(clocks, damping) - _worn(ends, damping)
        columns = np.stack(np.broadcast_arrays(mask, fall[:, None] * mask, values), axis=-1)
        solved = roots[:, :, None] @ columns[:, None] * mask[..., None]
        size = np.log(np.diagonal(lower, axis1=-2, axis2=-1)) @ mask.T
        volumes = size[:, :, None] + mask.sum(1) * np.log(_SCALES)[:, None]
        return cls(np.array(curves), clocks, mask, first, ends, damping, roots, solved, volumes.reshape(-1, len(rows)))

    @property
    def products(self) -> Array:
        """(settings, n, 3, 3) Products of ones, worn clocks and values, whitened."""
        products = np.swapaxes(self.solved, -1, -2) @ self.solved
        return np.asarray(products[:, :, None] / _SCALES[:, None, None, None] ** 2).reshape(-1, len(self.curves), 3, 3)

    def ahead(self, step: float) -> tuple[Array, Array, Array, Array]:
        """Return what a value at a step is made of: (settings, n) each.

        Returns:
            How much of the level, how much of the slope, what the values add, and the variance that is left.
        """
        own = _clocks(np.array([step]), self.first)
        cross = (self.roots @ _wander(own, self.clocks, self.damping)[:, None, :, None])[..., 0]
        cross = cross[:, :, None] * self.mask  # (clocks, ratios, n, length)
        ones, falls, values = np.moveaxis((cross[..., None] * self.solved).sum(-2), -1, 0)
        fall = (_worn(own, self.damping) - _worn(self.last, self.damping))[..., None]
        left = _wander(own, own, self.damping)[..., None] - (cross**2).sum(-1) + _RATIOS[:, None] ** 2
        same = np.ones((len(_SCALES), 1))
        parts = (1 - ones, same), (fall - falls, same), (values, same), (left, _SCALES[:, None] ** 2)
        first, second, third, fourth = ((part[:, :, None] * by).reshape(-1, len(self.curves)) for part, by in parts)
        return first, second, third, fourth


@dataclass(frozen=True)
class _Row:
    """A curve on the scale of the model; in a long one a point is the mean of some."""

    steps: Array
    values: Array
    counts: Array

    @classmethod
    def of(cls, steps: Array, values: Array, first: float, width: float) -> _Row:
        """Return a curve whose points are means of those whose steps' logarithms are in one interval of a width."""
        if width == 0:
            return cls(steps, values, np.ones(len(steps)))
        _, places = np.unique(np.floor(np.log(steps / first) / width), return_inverse=True)
        counts = np.bincount(places).astype(np.float64)
        return cls(np.exp(np.bincount(places, np.log(steps)) / counts), np.bincount(places, values) / counts, counts)

    def starts(self, other: _Row) -> bool:
        """Return whether this is as far as another curve has come at some time."""
        held = len(self.steps)
        return np.array_equal(self.steps, other.steps[:held]) and np.array_equal(self.counts, other.counts[:held])


def _grids(curves: Sequence[tuple[Array, Array]], damping: float) -> list[_Grid]:
    """Return the grids of curves."""
    first, last = min(float(steps[0]) for steps, _ in curves), max(float(steps[-1]) for steps, _ in curves)
    width = math.log(last / first) / _BINS if max(len(steps) for steps, _ in curves) > _LONG else 0.0
    rows = [_Row.of(steps, values, first, width) for steps, values in curves]
    together: list[list[int]] = []
    for number in sorted(range(len(rows)), key=lambda number: -len(rows[number].steps)):
        for group in together:
            if rows[number].starts(rows[group[0]]):
                group.append(number)
                break
        else:
            together.append([number])
    return [_Grid.of(group, [rows[number] for number in group], first, last, damping) for group in together]


@dataclass(frozen=True)
class _Pooled:
    """How probable each setting is for each curve, and what its level and slope are there."""

    weights: Array
    """(settings, n)"""
    means: tuple[Array, Array]
    covariances: tuple[Array, Array, Array]


def _pool(products: Array, volumes: Array, rounds: int) -> _Pooled:
    """Learn what curves have in common, and what each is by that.

    Args:
        products: As `_Grid` has them, of all curves.
        volumes: As `_Grid` has them, of all curves.
        rounds: Rounds of expectation maximisation.
    """
    settings, n = volumes.shape
    ones, crossed, falls = products[..., 0, 0], products[..., 0, 1], products[..., 1, 1]
    level_seen, slope_seen, squares = products[..., 0, 2], products[..., 1, 2], products[..., 2, 2]
    centre, covariance, shares = _CENTRE, _COVARIANCE, np.full(settings, 1 / settings)
    for round_ in range(rounds + 1):
        prior = np.linalg.inv(covariance)
        pull = prior @ centre
        first, both, second = prior[0, 0] + ones, prior[0, 1] + crossed, prior[1, 1] + falls
        one, other = pull[0] + level_seen, pull[1] + slope_seen
        determinant = first * second - both**2
        levels, cross, slopes = second / determinant, -both / determinant, first / determinant
        level, slope = levels * one + cross * other, cross * one + slopes * other
        evidence = (
            0.5 * (one * level + other * slope - np.log(determinant) - squares) - volumes + np.log(shares)[:, None]
        )
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
        centre, covariance = found, (spread + _TRUST * _COVARIANCE + drift) / (total + _TRUST)
    return _Pooled(weights, (level, slope), (levels, cross, slopes))


def _clocks(steps: Array, first: float) -> Array:
    """Return (3, ...) what each clock shows at steps: logarithm, root and the steps themselves, 0 at the first."""
    ratio = np.maximum(steps / first, 1)
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
