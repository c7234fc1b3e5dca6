"""Kernel ridge regression over the architectures of a space."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from archwright.space import Architecture

_LARGEST = 700.0  # exponents above overflow


class Ridge:
    """Predicts numbers of architectures by kernel ridge regression from those of a few.

    Each number has a regression of its own: linear or quadratic, on one of several views of the architectures, of the
    number or of its logarithm, with one of several penalties: whichever predicts each of the few best from the others.

    Args:
        see: Returns views of n architectures by name, each (n, features).
        architectures: The few.
        values: (few, numbers); nan where an architecture has no such number.
        costs: Whether the numbers are 0 or more, and their logarithms are tried too.
        penalties: What may be added to the diagonal, as shares of its mean.
    """

    def __init__(
        self,
        see: Callable[[Sequence[Architecture]], Mapping[str, NDArray[np.float64]]],
        architectures: Sequence[Architecture],
        values: NDArray[np.float64],
        *,
        costs: bool,
        penalties: Sequence[float],
    ) -> None:
        self._see = see
        views = see(architectures)
        ways = list(itertools.product(views, (1, 2), (False, True) if costs else (False,), penalties))
        self._fits: list[_Fit] = []
        for column in values.T:
            there = ~np.isnan(column)
            fits = (
                _fit(name, views[name][there], degree, logarithm, penalty, column[there])
                for name, degree, logarithm, penalty in ways
            )
            self._fits.append(min(fits, key=lambda fit: fit.error))
        self._least = 0.0 if costs else -np.inf

    def predict(self, architectures: Sequence[Architecture]) -> NDArray[np.float64]:
        """Return (n, numbers) predictions."""
        views = self._see(architectures)
        columns = [np.maximum(fit.predict(views[fit.view]), self._least) for fit in self._fits]
        return np.stack(columns, axis=1) if columns else np.zeros((len(architectures), 0))


@dataclass(frozen=True)
class _Fit:
    """A regression of one number, and how far it is off when it predicts each from the others."""

    view: str
    rows: NDArray[np.float64]
    degree: int
    logarithm: bool
    centre: float
    weights: NDArray[np.float64]
    error: float

    def predict(self, rows: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return (n,) numbers from (n, features) rows of the view."""
        values = self.centre + (rows @ self.rows.T) ** self.degree @ self.weights
        return np.exp(np.minimum(values, _LARGEST)) if self.logarithm else values


def _fit(
    view: str, rows: NDArray[np.float64], degree: int, logarithm: bool, penalty: float, values: NDArray[np.float64]
) -> _Fit:
    if not len(values):
        return _Fit(view, rows, degree, False, 0.0, values, 0.0)
    target = np.log(np.maximum(values, 1.0)) if logarithm else values
    centre = float(target.mean())
    gram = (rows @ rows.T) ** degree
    inverse = np.linalg.inv(gram + penalty * np.trace(gram) / len(gram) * np.eye(len(gram)))
    weights = inverse @ (target - centre)
    others = target - weights / np.diag(inverse)
    predicted = np.exp(np.minimum(others, _LARGEST)) if logarithm else others
    return _Fit(view, rows, degree, logarithm, centre, weights, float(np.abs(predicted - values).mean()))
