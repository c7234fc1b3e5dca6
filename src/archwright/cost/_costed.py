"""An evaluator that adds costs to the metrics."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from archwright.cost._base import Cost, named_twice
from archwright.errors import EvaluationError, Unsteady
from archwright.evaluate import Candidate, Evaluator, Stopped, Wrapped
from archwright.space import Architecture

if TYPE_CHECKING:
    import torch


class Costed(Wrapped):
    """Evaluator that adds the costs of each network to the metrics of another evaluator.

    Costs are computed before the training; measurements that fail because the machine is busy are repeated after it.
    Each architecture is measured once, however often it is trained. A cost overrides a metric of the same name.

    Args:
        evaluator: The evaluator of all other metrics.
        costs: The costs.

    Raises:
        EvaluationError: Two costs have a metric in common.

    Example:
        >>> from archwright.evaluate import as_evaluator
        >>> evaluator = aw.cost.Costed(as_evaluator(lambda candidate: 1.0), [aw.cost.Counted(["parameters"])])
        >>> space = aw.Space(model=nn.Linear(4, aw.ordinal(2, 3, name="width")), example_input=(4,))
        >>> evaluator.evaluate(aw.Candidate(space, aw.Architecture({"width": 3}), seed=0))
        {'value': 1.0, 'parameters': 15.0}
    """

    def __init__(self, evaluator: Evaluator, costs: Sequence[Cost]) -> None:
        super().__init__(evaluator)
        self.costs = tuple(costs)
        twice = named_twice(self.costs)
        if twice is not None:
            raise EvaluationError(f"two costs say {twice!r}: leave one of them out")
        if self.metrics is not None:
            self.metrics = self.metrics.union(*(cost.metrics for cost in self.costs))
        self._known: dict[Architecture, dict[str, float]] = {}

    def costs_of(self, candidate: Candidate) -> dict[str, float]:
        """Return the costs of the candidate's network."""
        known = self._known.setdefault(candidate.architecture, {})
        for cost in self.costs:
            if not known.keys() >= set(cost.metrics):
                known |= cost.of(candidate.space, candidate.architecture, candidate.example_input)
        return known

    def evaluate(self, candidate: Candidate) -> dict[str, float]:
        """Return the metrics of the other evaluator and the costs, which are checked against the constraints first.

        Raises:
            CostError: A cost is undefined, or times vary too much before and after the training.
            Infeasible: The costs violate a constraint.
            Stopped: As in the other evaluator, unless the last report is the result.
        """
        with suppress(Unsteady):  # the machine is busy, and may be idle when the network has been trained
            self.costs_of(candidate)
        candidate.check(self._known[candidate.architecture])
        try:
            metrics = self.evaluator.evaluate(candidate)
        except Stopped as stopped:
            if not (stopped.complete and candidate.curve):
                raise
            metrics = {name: value for name, value in candidate.curve[-1].items() if name != "step"}
        return {**metrics, **self.costs_of(candidate)}

    def retrain(self, candidate: Candidate) -> Mapping[str, float] | None:
        """Run the final training of the other evaluator, and add the costs, which are measured first."""
        costs = self.costs_of(candidate)
        metrics = self.evaluator.retrain(candidate)
        return None if metrics is None else {**metrics, **costs}

    def held_out(self, candidate: Candidate, model: torch.nn.Module) -> Mapping[str, float] | None:
        """Test a network as the other evaluator does, and add the costs."""
        costs = self.costs_of(candidate)
        metrics = self.evaluator.held_out(candidate, model)
        return None if metrics is None else {**metrics, **costs}

    def to_json(self) -> dict[str, Any] | None:
        """Return a JSON object from which the evaluator can be restored, or `None`.

        If the other evaluator cannot be stored, "evaluator" is `None`: it has to be given again, and the costs are
        restored.
        """
        costs = [cost.to_json() for cost in self.costs]
        if any(cost is None for cost in costs):
            return None
        return {"type": "costed", "evaluator": self.evaluator.to_json(), "costs": costs}

    @classmethod
    def from_json(cls, data: Mapping[str, Any], evaluator: Evaluator) -> Costed:
        """Return the evaluator that `to_json` stored, around another one."""
        from archwright.cost._metrics import cost_from_json  # which needs this class

        return cls(evaluator, list(map(cost_from_json, data["costs"])))

    def __repr__(self) -> str:
        return f"{self.evaluator!r} with {', '.join(map(repr, self.costs))}"
