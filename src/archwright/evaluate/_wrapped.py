"""The base class of evaluators that wrap another one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from archwright.evaluate._candidate import Candidate
from archwright.evaluate._evaluator import Evaluator
from archwright.evaluate._learned import Learned, Preparation

if TYPE_CHECKING:
    import torch

    from archwright.datasets import Preprocess
    from archwright.evaluate._fidelity import Spent
    from archwright.space import Space


class Wrapped(Evaluator):
    """Base class of evaluators that wrap another one; all methods but `evaluate` and `to_json` are delegated to it.

    Args:
        evaluator: The wrapped evaluator.

    Example:
        >>> from archwright.evaluate import Wrapped, as_evaluator
        >>> class Doubled(Wrapped):
        ...     def evaluate(self, candidate):
        ...         return {name: 2 * value for name, value in self.evaluator.evaluate(candidate).items()}
        >>> candidate = aw.Candidate(aw.Space(x=aw.integer(0, 9)), aw.Architecture({"x": 3}), seed=0)
        >>> Doubled(as_evaluator(lambda candidate: candidate.settings["x"])).evaluate(candidate)
        {'value': 6.0}
    """

    def __init__(self, evaluator: Evaluator) -> None:
        self.evaluator = evaluator
        for name in Evaluator.__annotations__:
            setattr(self, name, getattr(evaluator, name))

    @property
    def preprocess(self) -> Preprocess | None:
        """What the evaluator does to raw inputs before a network sees them."""
        return self.evaluator.preprocess

    @property
    def prepares(self) -> bool:
        """Whether the evaluator gets ready before the first trial."""
        return self.evaluator.prepares

    @property
    def retrains(self) -> bool:
        """Whether the evaluator trains from scratch."""
        return self.evaluator.retrains

    @property
    def most_final_epochs(self) -> float:
        """That of the evaluator."""
        return self.evaluator.most_final_epochs

    @property
    def is_paced(self) -> bool:
        """Whether the wrapped evaluator estimates the time per epoch."""
        return self.evaluator.is_paced

    def seconds_per_epoch(self, candidate: Candidate) -> float | None:
        """Return the estimate of the wrapped evaluator, whose final training is used."""
        return self.evaluator.seconds_per_epoch(candidate)

    def check(self, space: Space) -> None:
        """Check the space with the wrapped evaluator."""
        self.evaluator.check(space)

    def try_out(self, candidate: Candidate) -> None:
        """Try the candidate out as the evaluator does."""
        self.evaluator.try_out(candidate)

    def check_fidelities(self, space: Space, rungs: Sequence[Spent]) -> None:
        """Check the fidelities with the wrapped evaluator."""
        self.evaluator.check_fidelities(space, rungs)

    def check_ensemble(self) -> None:
        """Check the networks with the wrapped evaluator."""
        self.evaluator.check_ensemble()

    def describe(self) -> dict[str, Any] | None:
        """Return the settings, or those of the wrapped evaluator."""
        return self.to_json() or self.evaluator.describe()

    def prepare(self, preparation: Preparation) -> Learned | None:
        """Get the evaluator ready."""
        return self.evaluator.prepare(preparation)

    def retrain(self, candidate: Candidate) -> Mapping[str, float] | None:
        """Train the candidate from scratch, once, as the evaluator does."""
        return self.evaluator.retrain(candidate)

    def held_out(self, candidate: Candidate, model: torch.nn.Module) -> Mapping[str, float] | None:
        """Test a network that was trained before as the evaluator does."""
        return self.evaluator.held_out(candidate, model)
