"""Constraints on metrics."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from archwright.errors import StudyError
from archwright.trials._objective import canonical


@dataclass(frozen=True)
class Constraint:
    """A bound on a metric.

    Args:
        metric: The metric's name.
        bound: The value.
        at_most: Whether the bound is an upper one.

    Example:
        >>> from archwright.trials import Constraint
        >>> Constraint.parse("latency_ms <= 10").keeps({"latency_ms": 12.5})
        False
    """

    metric: str
    bound: float
    at_most: bool = True

    @classmethod
    def parse(cls, text: str | Constraint) -> Constraint:
        """Return the constraint that a text such as "parameters <= 1e6" or "accuracy >= 0.9" describes.

        Raises:
            StudyError: The text cannot be parsed.
        """
        if isinstance(text, Constraint):
            return text
        match = re.fullmatch(r"\s*(\w+)\s*(<=|>=)\s*(\S+)\s*", str(text))
        try:
            bound = float(match[3]) if match else math.nan
        except ValueError:
            bound = math.nan
        if match is None or not math.isfinite(bound):
            raise StudyError(f'constraint {text!r}: write "parameters <= 1e6" or "accuracy >= 0.9"')
        return cls(canonical(match[1]), bound, match[2] == "<=")

    def keeps(self, metrics: Mapping[str, float]) -> bool:
        """Tell whether metrics satisfy the constraint; NaN does not.

        Raises:
            KeyError: The metric is missing.
        """
        value = metrics[self.metric]
        return value <= self.bound if self.at_most else value >= self.bound

    def violation(self, metrics: Mapping[str, float]) -> float:
        """Return the violation relative to the bound; 0 if the constraint is satisfied, infinity for NaN.

        Raises:
            KeyError: The metric is missing.
        """
        value = metrics[self.metric]
        beyond = value - self.bound if self.at_most else self.bound - value
        if math.isnan(beyond):
            return math.inf
        return max(0.0, beyond) / (abs(self.bound) or 1.0)

    def __str__(self) -> str:
        """Return the text that `parse` reads."""
        return f"{self.metric} {'<=' if self.at_most else '>='} {self.bound:g}"


def parse_constraints(given: str | Constraint | Iterable[str | Constraint]) -> tuple[Constraint, ...]:
    """Return one or several constraints, parsed by `Constraint.parse`.

    Raises:
        StudyError: A constraint cannot be parsed.

    Example:
        >>> from archwright.trials import parse_constraints
        >>> [constraint.bound for constraint in parse_constraints(["latency_ms <= 10", "params <= 1e6"])]
        [10.0, 1000000.0]
    """
    several = given if isinstance(given, Iterable) and not isinstance(given, str) else [given]
    return tuple(map(Constraint.parse, several))
