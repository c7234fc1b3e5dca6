"""A forest fitted to the trials of a study, and what it says of shares of variance."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from archwright.errors import Inconclusive, StudyError
from archwright.explain._columns import Array, Columns
from archwright.explain._forest import Forest
from archwright.explain._sample import Sample
from archwright.space import Space

INTERVAL = (0.05, 0.95)
"""The quantiles that bound an interval."""

_DIGITS = 9


@dataclass(frozen=True, eq=False)
class Share:
    """A share of the variance with its interval.

    Args:
        share: The mean over the bootstrap samples.
        low: The lower end of the interval, which contains the mean.
        high: The upper end.
        noise: Whether the interval reaches down to the share of a random dummy.
    """

    share: float
    low: float
    high: float
    noise: bool


class Fit:
    """The columns of a space and a forest that was fitted to a sample of trials.

    Args:
        space: The space.
        sample: The trials.
        seed: The random seed.

    Raises:
        SpaceError: The space decides nothing.
        Inconclusive: All trials have the same value.
    """

    def __init__(self, space: Space, sample: Sample, seed: int) -> None:
        check_varied(sample)
        self.space, self.sample = space, sample
        self.columns = Columns(space)
        self.codes: NDArray[np.int64] = self.columns.codes([trial.architecture for trial in sample.trials])
        size = float(np.abs(sample.values).max())  # squares of what is near the largest float would overflow
        self.centre, self.scale = (size * float(each(sample.values / size)) for each in (np.mean, np.std))
        # Rounded, so that the unit of the metric decides nothing between splits that are equally good.
        standard = np.round(sample.values / self.scale - self.centre / self.scale, _DIGITS)
        self.forest = Forest(self.columns, self.codes, standard, np.random.default_rng(seed))
        self._mains = {index: self._shares(self.forest.main(index)) for index in range(len(self.columns.columns))}
        self._pairs: dict[tuple[int, int], Array] = {}
        self._null = {kind: self._shares(self.forest.main(at)) for kind, at in self.forest.dummies.items()}

    def main(self, index: int) -> Share:
        """Return the share of the variance that the main effect of a column explains."""
        return _compared(self._mains[index], float(self._null[self._kind(index)].mean()))

    def means(self, index: int) -> Array:
        """Return (bootstrap samples, levels) mean predictions by level, in the unit of the metric."""
        return np.asarray(self.centre + self.scale * self.forest.marginal(index))

    def interaction(self, first: int, second: int) -> Share:
        """Return the share of the variance that the interaction of two columns explains."""
        null = [self._pair(a, self.forest.dummies[self._kind(b)]) for a, b in ((first, second), (second, first))]
        # Noise in the effects of two decisions looks like an interaction, more so than in that of one and a dummy.
        return _compared(self._pair(first, second), max(float(np.quantile(each, INTERVAL[1])) for each in null))

    def _pair(self, first: int, second: int) -> Array:
        if (first, second) not in self._pairs:
            self._pairs[first, second] = self._shares(self.forest.interaction(first, second))
        return self._pairs[first, second]

    def leading(self, count: int) -> list[int]:
        """Return the columns with the largest main effects, the largest first."""
        order = sorted(self._mains, key=lambda index: (-self._mains[index].mean(), index))
        return order[:count]

    def trials(self, index: int) -> int:
        """Return the number of trials in which a column is active."""
        return int((self.codes[:, index] >= 0).sum())

    def _kind(self, index: int) -> tuple[int, bool]:
        column = self.columns.columns[index]
        return len(column.weights), column.ordered

    def _shares(self, variance: Array) -> Array:
        total = self.forest.total
        return np.divide(variance, total, out=np.zeros_like(total), where=total > 0)


def check_varied(sample: Sample) -> None:
    """Check that trials differ in their value.

    Raises:
        Inconclusive: They do not.
    """
    if np.ptp(sample.values) == 0:
        raise Inconclusive(
            f"all {len(sample.trials):,} trials have the same {sample.metric}, {sample.values[0]:g}: there is no "
            "difference to explain"
        )


def _compared(found: Array, chance: float) -> Share:
    mean = float(found.mean())
    low, high = np.quantile(found, INTERVAL)
    # One bootstrap sample of many may have nearly the whole mean: the interval reaches up to it.
    return Share(mean, min(mean, float(low)), max(mean, float(high)), bool(low <= chance))


def as_index(columns: Columns, names: Any) -> list[int]:
    """Return the columns of decisions, given by name.

    Raises:
        StudyError: The space has no such decision.
    """
    found = []
    for name in names:
        held = [i for i, column in enumerate(columns.columns) if name in (column.name, column.decision)]
        if not held:
            known = ", ".join(repr(column.name) for column in columns.columns)
            raise StudyError(f"the space has no decision {name!r} with two or more values; it has {known}")
        found += held
    return found
