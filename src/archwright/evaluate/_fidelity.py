"""How much is spent on an evaluation."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from archwright.errors import EvaluationError

__all__ = ["Fidelity", "Spent"]

Spent = Mapping[str, float]
"""How much an evaluation gets, by name: `{"epochs": 3}`. What is not named is given in full."""


@dataclass(frozen=True)
class Fidelity:
    """Something that an evaluation can be given less of, such as epochs: it is cheaper then, and says less.

    Args:
        least: The least that still says something; above 0.
        full: What a full evaluation gets; more than `least`, or the same where there is no less of it.
        whole: Whether it comes in whole numbers.
        power: How the cost of an evaluation grows with it: in proportion (1), or with the square (2).
        values: The only values that there are, ascending, for what is looked up in a table.

    Raises:
        EvaluationError: The range is empty or reversed, or a value is out of range.
    """

    least: float
    full: float
    whole: bool = False
    power: float = 1.0
    values: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        """Check the range."""
        ends: tuple[object, ...] = (self.least, self.full)
        for value in ends:
            if not isinstance(value, int | float) or not 0 < value < math.inf:
                raise EvaluationError(f"a fidelity goes from a number above 0 to another, not {value!r}")
        if self.least > self.full:
            raise EvaluationError(
                f"a fidelity goes from the least to the greatest value: {self.least:g} to {self.full:g} is reversed"
            )

    def at(self, share: float) -> float:
        """Return the value at a share of the way from the least to the full one, on a logarithmic scale.

        Args:
            share: From 0, the least, to 1, the full value; both ends are exact.
        """
        value = self.full if share >= 1 else self.least * (self.full / self.least) ** max(0.0, share)
        if self.values:
            return min(self.values, key=lambda known: (abs(math.log(known / value)), known))
        return round(value) if self.whole else float(f"{value:.3g}")

    def between(self, low: float, high: float) -> Fidelity:
        """Return the same with another range, in whole numbers where it is given by them.

        Raises:
            EvaluationError: The range is empty or reversed, or holds fewer than two of the values that there are.
        """
        if not low < high:
            raise EvaluationError(
                f"the range {low:g} to {high:g} is {'empty' if low == high else 'reversed'}: the first is the less"
            )
        if self.values:
            kept = tuple(value for value in self.values if low <= value <= high)
            if len(kept) < 2:
                known = ", ".join(f"{value:g}" for value in self.values)
                raise EvaluationError(f"between {low:g} and {high:g} there are not two of the values {known}")
            return Fidelity(kept[0], kept[-1], self.whole, self.power, kept)
        given_whole = isinstance(low, int) and isinstance(high, int)
        return Fidelity(low, high, given_whole or (self.whole and low == int(low) and high == int(high)), self.power)
