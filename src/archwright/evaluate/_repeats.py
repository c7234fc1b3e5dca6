"""Mean metrics of several evaluations."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Mapping
from typing import Any

from archwright.evaluate._candidate import Candidate
from archwright.evaluate._evaluator import Evaluator, as_evaluator
from archwright.evaluate._recipe import positive_integer
from archwright.evaluate._wrapped import Wrapped

_APART = 7919  # between the seeds of two evaluations of one candidate


class Repeats(Wrapped):
    """Evaluator that returns the mean metrics of several evaluations with different seeds.

    The network of the first evaluation is kept.

    Args:
        evaluator: An evaluator, or a function `f(candidate) -> float | dict`.
        repeats: The number of evaluations, at least 1.

    Raises:
        EvaluationError: `repeats` is no whole number of 1 or more.

    Example:
        >>> import archwright as aw
        >>> aw.Repeats(aw.Training(aw.data("iris"), epochs=2), 3).objective
        'max accuracy'
    """

    def __init__(self, evaluator: Evaluator | Callable[[Candidate], Any], repeats: int) -> None:
        super().__init__(as_evaluator(evaluator))
        self.repeats = positive_integer("repeats", repeats)

    def evaluate(self, candidate: Candidate) -> dict[str, float]:
        """Return the mean of each metric, and of the objective's under "NAME_std" the deviation over the seeds.

        The reports are those of the first evaluation. Only the first continues from a checkpoint; the others run all
        stages from scratch. A metric that is missing in one of them is omitted.
        """
        others = [candidate.again(seed=candidate.seed + _APART * number) for number in range(1, self.repeats)]
        found = [self.evaluator.evaluate(each) for each in (candidate, *others)]
        values = {name: [each[name] for each in found] for name in found[0] if all(name in each for each in found)}
        means = {name: statistics.fmean(each) for name, each in values.items()}
        metric = self.objective.split()[-1]
        return means | {f"{name}_std": statistics.pstdev(values[name]) for name in values if name == metric}

    def to_json(self) -> dict[str, Any] | None:
        """Return a JSON object from which the evaluator can be restored, or `None`."""
        written = self.evaluator.to_json()
        return None if written is None else {"type": "repeats", "evaluator": written, "repeats": self.repeats}

    @classmethod
    def from_json(cls, data: Mapping[str, Any], evaluator: Evaluator) -> Repeats:
        """Return the evaluator that `to_json` stored, around another one."""
        return cls(evaluator, data["repeats"])

    def __repr__(self) -> str:
        return f"Repeats({self.evaluator!r}, {self.repeats})"
