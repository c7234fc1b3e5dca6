"""What every predictor is."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from archwright.space import Architecture, Space

__all__ = ["Fitted", "Predictor"]


class Fitted(ABC):
    """A predictor that has learnt from measured architectures of one space."""

    @abstractmethod
    def predict(self, architectures: Sequence[Architecture]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return what is expected of architectures.

        Returns:
            (n,) means and (n,) standard deviations, in the unit of the scores.
        """

    def draw(self, architectures: Sequence[Architecture], rng: np.random.Generator) -> NDArray[np.float64]:
        """Return (n,) scores drawn independently from the predictions: independent Thompson sampling."""
        mean, deviation = self.predict(architectures)
        return mean + deviation * rng.standard_normal(len(mean))


class Predictor(ABC):
    """Predicts the score of an architecture from those that were measured. A frozen dataclass of its settings."""

    @abstractmethod
    def fit(
        self,
        space: Space,
        architectures: Sequence[Architecture],
        scores: NDArray[np.float64],
        rng: np.random.Generator,
    ) -> Fitted:
        """Learn from measured architectures.

        Args:
            space: The space that they belong to.
            architectures: At least one.
            scores: (n,) finite numbers; greater is better.
            rng: The only source of randomness.
        """
