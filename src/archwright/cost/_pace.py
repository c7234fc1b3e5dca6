"""Training time per epoch, as a cost that is known before training."""

from __future__ import annotations

from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

from archwright.cost._base import Cost
from archwright.errors import CostError
from archwright.evaluate import Candidate

if TYPE_CHECKING:
    from archwright.evaluate import Evaluator
    from archwright.space import Architecture, InputSpec, Space


class TrainingPace(Cost):
    """Training time per epoch in seconds on this machine, estimated from a few steps.

    FLOPs predict it within a factor of two or three only. Each network is timed once.

    Args:
        evaluator: The evaluator that trains.

    Example:
        >>> from archwright.evaluate import as_evaluator
        >>> aw.cost.TrainingPace(as_evaluator(lambda candidate: 1.0)).metrics
        ('seconds_per_epoch',)
    """

    metrics = ("seconds_per_epoch",)
    is_counted = True

    def __init__(self, evaluator: Evaluator) -> None:
        self.evaluator = evaluator

    def of(self, space: Space, architecture: Architecture, example_input: InputSpec | None = None) -> dict[str, float]:
        """Return "seconds_per_epoch".

        Raises:
            CostError: The evaluator does not say.
        """
        timed: WeakKeyDictionary[Evaluator, dict[Architecture, float]]
        timed = space.memo.setdefault("paces", WeakKeyDictionary())
        known = timed.setdefault(self.evaluator, {})
        if architecture not in known:
            given = self.evaluator.example_input if example_input is None else example_input
            candidate = Candidate(space, architecture, seed=0, device=self.evaluator.device, example_input=given)
            seconds = self.evaluator.seconds_per_epoch(candidate)
            if seconds is None:
                raise CostError(f"{self.evaluator!r} does not say how long an epoch takes")
            known[architecture] = seconds
        return {"seconds_per_epoch": known[architecture]}
