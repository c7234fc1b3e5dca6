"""Search budgets."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from archwright._scalars import is_number, is_whole, keep_scalars
from archwright._words import counted
from archwright.errors import BudgetError
from archwright.space import describe_size

if TYPE_CHECKING:
    from archwright.evaluate import Evaluator
    from archwright.trials import History, Trial

_DIGITS = 4_000  # of a number; Python reads and writes few more
_TOO_LONG = 10**_DIGITS


_ENSEMBLE_SHARE = 0.05  # of a time budget, kept for the selection of an ensemble where there is no final training
_ROUNDING = 1e-9  # of what trials have spent
_FINAL_SHARE = 0.3  # of a time budget, kept for the final training
_LONG_FINAL_SHARE = 0.6  # the same where trials are given little, so that nothing of it has been trained for long


@dataclass(frozen=True)
class Budget:
    """The search budget: the search ends when the first of these limits is reached.

    Args:
        trials: Number of full evaluations, failed ones included; at least 1. A trial at a lower fidelity counts as its
            share of one (see `Study.scheduler`).
        minutes: Wall-clock time in minutes, summed over resumes, the final training included; greater than 0.
        seconds: The same in seconds; both are added.
        target: Value of the objective at which the search ends. With a target alone, a search that does not reach it
            ends only when the space is exhausted.

    Raises:
        BudgetError: Nothing is given, or a value is out of range.

    Example:
        >>> import archwright as aw
        >>> budget = aw.Budget(trials=100, minutes=10)
        >>> budget.time
        600
    """

    trials: int | None = None
    minutes: float | None = None
    seconds: float | None = None
    target: float | None = None

    def __post_init__(self) -> None:
        keep_scalars(self, *asdict(self))
        given = {name: value for name, value in asdict(self).items() if value is not None}
        if not given:
            raise BudgetError("a budget needs at least one of trials, minutes, seconds, target: Budget(trials=100)")
        for name, value in given.items():
            if not is_number(value):
                raise BudgetError(f"budget: {name} must be a number, not {value!r}")
            if isinstance(value, int) and value >= _TOO_LONG:
                raise BudgetError(f"budget: {name} has more than {_DIGITS:,} digits; omit it for no limit")
            if name != "trials" and not _is_finite(value):
                raise BudgetError(f"budget: {name} must be finite, not {value!r}; omit it for no limit")
            if name != "target" and value <= 0:
                raise BudgetError(f"budget: {name} must be greater than 0, not {value!r}")
        if not (self.trials is None or is_whole(self.trials)):
            raise BudgetError(f"budget: trials must be an integer, not {self.trials!r}")

    @property
    def time(self) -> float:
        """The total time in seconds; infinity without a time limit."""
        if self.minutes is None and self.seconds is None:
            return math.inf
        return 60 * (self.minutes or 0) + (self.seconds or 0)

    def used_up(self, history: History, running: Iterable[Trial] = ()) -> str | None:
        """Return which limit has been reached, "target" or "trials", if one has; the time is not looked at.

        Args:
            history: The trials.
            running: Trials that run and count, too.
        """
        best = history.best
        found = {} if best is None or best.state != "complete" else best.metrics
        if self.target is not None and found and history.objective.reached(found, self.target):
            return "target"
        spent = history.spent + sum(map(history.cost, running))
        return "trials" if self.trials is not None and spent + _ROUNDING >= self.trials else None

    def to_json(self) -> dict[str, Any]:
        """Return the limits as a JSON object."""
        return {name: value for name, value in asdict(self).items() if value is not None}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Budget:
        """Return the budget written by `to_json`."""
        return cls(**data)

    def __str__(self) -> str:
        """Return the budget in words, such as "100 trials, 10 minutes"."""
        target = [] if self.target is None else [f"target {self.target:g}"]
        trials = [] if self.trials is None else [counted(describe_size(self.trials), "trial")]
        times = [
            counted(value, unit) for unit in ("minute", "second") if (value := getattr(self, f"{unit}s")) is not None
        ]
        return ", ".join(trials + times + target)


def search_time(
    budget: Budget,
    evaluator: Evaluator,
    *,
    complete: bool,
    final: bool,
    ensemble: bool = False,
    most: float = math.inf,
) -> float:
    """Return how many seconds of a budget are for the search: all but the share that the final training gets.

    The selection of an ensemble is done in that share; it has one of its own where there is no final training.

    Args:
        budget: The budget.
        evaluator: The evaluator.
        complete: Whether trials are trained for all their epochs, so that the final training is not much longer.
        final: Whether there is a final training.
        ensemble: Whether there is an ensemble.
        most: The seconds that a final training takes at most, if it is known.
    """
    if not final or not evaluator.retrains:
        return budget.time * (1 - _ENSEMBLE_SHARE) if ensemble else budget.time
    share = _FINAL_SHARE if complete else _LONG_FINAL_SHARE
    return max(budget.time * (1 - share), budget.time - most if most < math.inf else 0.0)


def _is_finite(value: float) -> bool:
    """Tell whether a number is finite as a float; a whole number may be too large for one."""
    try:
        return math.isfinite(value)
    except OverflowError:
        return False
