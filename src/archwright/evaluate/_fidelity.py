"""Fidelities: reducible resources of an evaluation."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace

from archwright._scalars import is_number, keep_scalars
from archwright.errors import EvaluationError

LONGER = 3
"""How many times the epochs of a trial the final training has, where neither is given."""

ENOUGH = 500
"""Validation samples below which networks are compared by their loss: an accuracy has few different values."""

Spent = Mapping[str, float]
"""How much an evaluation gets, by name: `{"epochs": 3}`. What is not named is given in full."""


@dataclass(frozen=True)
class Fidelity:
    """The range of a resource of an evaluation, such as epochs; less of it makes evaluations cheaper and less accurate.

    Args:
        least: The lowest useful value; above 0.
        full: The value of a full evaluation, at least `least`.
        whole: Whether values are integers.
        power: The exponent of the cost of an evaluation: 1 for linear, 2 for quadratic.
        values: The allowed values, ascending from `least` to `full`, for tabular benchmarks.
        most: The maximum, such as all of the data; infinite for epochs.

    Raises:
        EvaluationError: The range is reversed, or a value is out of range.

    Example:
        >>> from archwright.evaluate import Fidelity
        >>> epochs = Fidelity(1, 27, whole=True)
        >>> [epochs.at(share) for share in (0, 1 / 3, 2 / 3, 1)]
        [1, 3, 9, 27]
    """

    least: float
    full: float
    whole: bool = False
    power: float = 1.0
    values: tuple[float, ...] = ()
    most: float = math.inf

    def __post_init__(self) -> None:
        keep_scalars(self, "least", "full", "values", "most")
        for value in (self.least, self.full, *self.values):
            if not is_number(value) or not 0 < value < math.inf:
                raise EvaluationError(f"a fidelity goes from a number above 0 to another, not {value!r}")
        if self.least > self.full:
            raise EvaluationError(
                f"a fidelity goes from the least to the greatest value: {self.least:g} to {self.full:g} is reversed"
            )
        if self.whole and any(value != int(value) for value in (self.least, self.full)):
            raise EvaluationError(f"{self.least:g} to {self.full:g} are not whole numbers, as those of this fidelity")
        if self.values and self.values != tuple(sorted({self.least, *self.values, self.full})):
            raise EvaluationError(
                f"a fidelity's values ascend from {self.least:g} to {self.full:g}, not {_listed(self.values)}"
            )

    def at(self, share: float) -> float:
        """Return the value at a share of the range, on a logarithmic scale.

        Args:
            share: From 0, the least, to 1, the full value; both ends are exact.
        """
        ends = (self.least, self.full)
        value = ends[share >= 1] if not 0 < share < 1 else self.least * (self.full / self.least) ** share
        if self.values:
            return min(self.values, key=lambda known: (abs(math.log(known / value)), known))
        if self.whole:
            return round(value)
        return value if value in ends else min(max(self.least, float(f"{value:.3g}")), self.full)

    def between(self, low: float, high: float) -> Fidelity:
        """Return the fidelity with another range.

        Raises:
            EvaluationError: The range is empty or reversed, exceeds the maximum, or contains fewer than two of the
                allowed values.
        """
        asked = Fidelity(low, high)
        low, high = asked.least, asked.full
        if high > self.most:
            raise EvaluationError(f"the range {low:g} to {high:g} goes beyond {self.most:g}, which is all there is")
        if low == high:
            raise EvaluationError(f"the range {low:g} to {high:g} is empty: the first is the less")
        if self.values:
            kept = tuple(value for value in self.values if low <= value <= high)
            if len(kept) < 2:
                raise EvaluationError(
                    f"between {low:g} and {high:g} there are not two of the values {_listed(self.values)}"
                )
            return replace(self, least=kept[0], full=kept[-1], values=kept)
        given_whole = isinstance(low, int) and isinstance(high, int)
        whole = given_whole or (self.whole and low == int(low) and high == int(high))
        return replace(asked, whole=whole, power=self.power, most=self.most)


def _listed(values: tuple[float, ...]) -> str:
    return ", ".join(f"{value:g}" for value in values)


def standard_error(accuracy: float, samples: int) -> float:
    """Return the standard error of an accuracy p over n samples: sqrt(p (1 - p) / n).

    For it p is at least 1 / (n + 2), and at most 1 less that: an accuracy of 1 over few samples is not certain.

    Args:
        accuracy: The accuracy, in 0..1.
        samples: The number of samples, at least 1.

    Example:
        >>> from archwright.evaluate import standard_error
        >>> standard_error(0.9, 100)
        0.03
    """
    share = min(max(accuracy, 1 / (samples + 2)), 1 - 1 / (samples + 2))
    return math.sqrt(share * (1 - share) / samples)
