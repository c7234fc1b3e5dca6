"""How much a search may spend."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from archwright.errors import BudgetError

__all__ = ["Budget"]


@dataclass(frozen=True)
class Budget:
    """How much a search may spend: it ends with whichever of these comes first.

    Args:
        trials: How many full evaluations may be spent, whatever becomes of them; at least 1. A trial that is given less
            (see `Study.scheduler`) takes its share of one.
        minutes: Minutes of wall-clock time, summed over resumes; more than 0. The final training is
            part of it.
        seconds: The same in seconds; both together are added.
        target: A value of the objective at which the search ends. A target alone may never be
            reached: then only a space in which everything has been tried ends the search.

    Raises:
        BudgetError: Nothing is given, or a value is out of range.
    """

    trials: int | None = None
    minutes: float | None = None
    seconds: float | None = None
    target: float | None = None

    def __post_init__(self) -> None:
        """Check the values."""
        given = {name: value for name, value in asdict(self).items() if value is not None}
        if not given:
            raise BudgetError("a budget needs at least one of trials, minutes, seconds, target: Budget(trials=100)")
        for name, value in given.items():
            if isinstance(value, bool) or not isinstance(value, int | float):
                raise BudgetError(f"budget: {name} is a number, not {value!r}")
            if not math.isfinite(value):
                raise BudgetError(f"budget: {name} is finite, not {value!r}")
            if name != "target" and value <= 0:
                raise BudgetError(f"budget: {name} is more than 0, not {value!r}")
        if not isinstance(self.trials, int | None):
            raise BudgetError(f"budget: trials is a whole number, not {self.trials!r}")

    @property
    def time(self) -> float:
        """All the time there is, in seconds; infinity where time is no part of the budget."""
        if self.minutes is None and self.seconds is None:
            return math.inf
        return 60 * (self.minutes or 0) + (self.seconds or 0)

    def to_json(self) -> dict[str, Any]:
        """Return what was given, as a JSON object."""
        return {name: value for name, value in asdict(self).items() if value is not None}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Budget:
        """Return the budget that `to_json` wrote."""
        return cls(**data)

    def __str__(self) -> str:
        """Return the budget in words, such as "100 trials, 10 minutes"."""
        target = [] if self.target is None else [f"target {self.target:g}"]
        units = [f"{value:g} {name}" for name, value in self.to_json().items() if name != "target"]
        return ", ".join(units + target)
