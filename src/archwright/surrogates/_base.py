"""The base classes of predictors."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from archwright.errors import ArchwrightError, StrategyError
from archwright.space import Architecture, Space

_CONSTANT = 1e-12  # a spread below this share of the largest score is rounding


class Fitted(ABC):
    """A predictor that was fitted to measured architectures of one space.

    Example:
        >>> space, rng = aw.Space(x=aw.integer(0, 9)), np.random.default_rng(0)
        >>> predictor, measured = aw.surrogates.GaussianProcess("decisions"), list(space.enumerate())
        >>> fitted = predictor.fit(space, measured, np.arange(10.0), rng)
        >>> means, deviations = fitted.predict([aw.Architecture({"x": 2}), aw.Architecture({"x": 8})])
        >>> means.round(1)
        array([2., 8.])
    """

    @abstractmethod
    def predict(self, architectures: Sequence[Architecture]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return predictions for architectures.

        Returns:
            (n,) means and (n,) standard deviations of 0 or more, in the unit of the scores.
        """

    def draw(self, architectures: Sequence[Architecture], rng: np.random.Generator) -> NDArray[np.float64]:
        """Return (n,) independent samples of the predictive distributions."""
        mean, deviation = self.predict(architectures)
        return mean + deviation * rng.standard_normal(len(mean))


@dataclass(frozen=True)
class FittedMembers(Fitted):
    """Members whose mean is the prediction, and whose standard deviation is that of the prediction."""

    # Returns (members, n) standardised scores of n architectures.
    values: Callable[[Sequence[Architecture]], NDArray[np.float64]]
    centre: float  # the mean that the scores had
    spread: float  # their deviation

    def predict(self, architectures: Sequence[Architecture]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return (n,) means over the members and (n,) their standard deviations, in the unit of the scores."""
        values = self.values(architectures)
        return self.centre + self.spread * values.mean(0), self.spread * values.std(0)


class Predictor(ABC):
    """Base class of performance predictors: regression from architectures to scores.

    Example:
        >>> space, rng = aw.Space(x=aw.integer(0, 9)), np.random.default_rng(0)
        >>> predictor = aw.surrogates.PREDICTORS["gaussian-process"]()
        >>> fitted = predictor.fit(space, list(space.enumerate()), np.arange(10.0), rng)
        >>> int(fitted.draw([aw.Architecture({"x": 2}), aw.Architecture({"x": 8})], rng).argmax())
        1
    """

    settings_error: ClassVar[type[ArchwrightError]] = StrategyError

    @abstractmethod
    def fit(
        self, space: Space, architectures: Sequence[Architecture], scores: NDArray[np.float64], rng: np.random.Generator
    ) -> Fitted:
        """Fit the predictor to measured architectures.

        Args:
            space: Their space.
            architectures: At least one.
            scores: (n,) finite numbers; greater is better.
            rng: The only source of randomness.
        """

    def check(self, space: Space) -> None:  # noqa: B027 - most predictors serve every space
        """Check that the predictor has features in a space.

        Raises:
            StrategyError: It does not; the message names predictors that do.
        """


def standardise(scores: NDArray[np.float64]) -> tuple[NDArray[np.float64], float, float]:
    """Return (n,) finite scores with mean 0 and standard deviation 1, and the mean and the deviation that they had.

    Scores that are all equal become zeros, and their deviation counts as the size of the greatest.
    """
    size = float(np.abs(scores).max()) or 1.0  # squares of what is near the largest float would overflow
    centre, spread = float((scores / size).mean()), float((scores / size).std())
    if spread <= _CONSTANT:
        return np.zeros(len(scores)), centre * size, size
    return (scores / size - centre) / spread, centre * size, spread * size
