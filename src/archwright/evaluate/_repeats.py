"""The mean of several evaluations."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from archwright.evaluate._candidate import Candidate
from archwright.evaluate._evaluator import Evaluator
from archwright.evaluate._learned import Learned, Preparation
from archwright.evaluate._recipe import check_whole

if TYPE_CHECKING:
    from archwright.evaluate._fidelity import Spent
    from archwright.space import Space

__all__ = ["Repeats"]

_APART = 7919  # between the seeds of two evaluations of one candidate


class Repeats(Evaluator):
    """Evaluates each candidate several times, with different seeds, and returns the means.

    The network that is kept is that of the first evaluation.

    Args:
        evaluator: What measures.
        repeats: How often, at least 1.

    Raises:
        EvaluationError: `repeats` is no whole number of 1 or more.
    """

    def __init__(self, evaluator: Evaluator, repeats: int) -> None:
        check_whole("repeats", repeats)
        self.evaluator = evaluator
        self.repeats = repeats
        self.objective = evaluator.objective
        self.settings = evaluator.settings
        self.example_input = evaluator.example_input
        self.device = evaluator.device
        self.fidelities = evaluator.fidelities
        self.data = getattr(evaluator, "data", None)

    def evaluate(self, candidate: Candidate) -> dict[str, float]:
        """Return the mean of each metric, and of the objective's under "NAME_std" the deviation over the seeds.

        The reports are those of the first evaluation. A candidate that goes on from a checkpoint does so in the first;
        the others come to the same stage from the start. A metric that one of them lacks has no mean.
        """
        others = [candidate.again(seed=candidate.seed + _APART * number) for number in range(1, self.repeats)]
        found = [self.evaluator.evaluate(each) for each in (candidate, *others)]
        values = {name: [each[name] for each in found] for name in found[0] if all(name in each for each in found)}
        means = {name: statistics.fmean(each) for name, each in values.items()}
        metric = self.objective.split()[-1]
        return means | {f"{name}_std": statistics.pstdev(values[name]) for name in values if name == metric}

    @property
    def prepares(self) -> bool:
        """Whether the evaluator gets ready before the first trial."""
        return self.evaluator.prepares

    @property
    def retrains(self) -> bool:
        """Whether the evaluator trains from scratch."""
        return self.evaluator.retrains

    def seconds_per_epoch(self, candidate: Candidate) -> float:
        """Return what the evaluator says, of all repeats together."""
        return self.repeats * self.evaluator.seconds_per_epoch(candidate)

    def check_fidelities(self, space: Space, rungs: Sequence[Spent]) -> None:
        """Refuse what the evaluator refuses."""
        self.evaluator.check_fidelities(space, rungs)

    def prepare(self, preparation: Preparation) -> Learned | None:
        """Get the evaluator ready."""
        return self.evaluator.prepare(preparation)

    def retrain(self, candidate: Candidate) -> Mapping[str, float] | None:
        """Train the candidate from scratch, once, as the evaluator does."""
        return self.evaluator.retrain(candidate)

    def to_json(self) -> dict[str, Any] | None:
        """Return what makes it again, or `None` where the evaluator cannot be written down."""
        written = self.evaluator.to_json()
        return None if written is None else {"type": "repeats", "evaluator": written, "repeats": self.repeats}

    def __repr__(self) -> str:
        return f"Repeats({self.evaluator!r}, {self.repeats})"
