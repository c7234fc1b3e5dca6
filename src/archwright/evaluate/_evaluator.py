"""The base class of evaluators, and evaluators of functions."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from numbers import Real
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from archwright.errors import EvaluationError, SpaceError
from archwright.evaluate._fidelity import Fidelity, Spent

if TYPE_CHECKING:
    import torch

    from archwright.datasets import Preprocess
    from archwright.evaluate._candidate import Candidate
    from archwright.evaluate._learned import Learned, Preparation
    from archwright.space import InputSpec, Space
    from archwright.tasks import Task


class Evaluator(ABC):
    """Base class of evaluators: measure the metrics of a candidate.

    Attributes:
        objective: The default objective of a search: "max" or "min" and a metric's name.
        settings: The parts of a space besides "model" that an evaluation uses; `None` for any. Spaces with decisions in
            other parts are refused.
        example_input: The input of a network for one sample, or its inputs; `None` if unknown.
        task: The task, if networks are trained.
        device: The torch device of the candidates' networks.
        processes: The number of processes that train a network, each of which uses a GPU if the device is CUDA.
        metrics: The names of the metrics; `None` if unknown.
        fidelities: The fidelities by name, the most informative first; empty if every evaluation is a full one.

    Example:
        >>> import archwright as aw
        >>> class Distance(aw.Evaluator):
        ...     objective = "min distance"
        ...     def evaluate(self, candidate):
        ...         return {"distance": abs(candidate.settings["x"] - 2)}
        >>> aw.search(aw.Space(x=aw.ordinal(1, 2, 3)), Distance(), budget=aw.Budget(trials=3)).best.metrics
        {'distance': 0.0}
    """

    objective: str = "max value"
    settings: frozenset[str] | None = None
    example_input: InputSpec | None = None
    task: Task | None = None
    device: str = "cpu"
    processes: int = 1
    metrics: frozenset[str] | None = None
    fidelities: Mapping[str, Fidelity] = MappingProxyType({})

    @abstractmethod
    def evaluate(self, candidate: Candidate) -> Mapping[str, float]:
        """Return the candidate's metrics.

        Any exception fails the trial; `Stopped`, which `candidate.report` raises, must not be caught.
        """

    def check(self, space: Space) -> None:
        """Check before a search that a space can be evaluated.

        Raises:
            SpaceError: The space has parts that are not supported.
            ShapeError: The space's networks do not fit its data.
        """
        if self.settings is not None:
            unknown = sorted(set(space.parts) - {"model"} - self.settings)
            if unknown:
                raise SpaceError(
                    f"the space has parts that {type(self).__name__} does not understand: {', '.join(unknown)}. "
                    f"Besides the model it understands: {', '.join(sorted(self.settings)) or 'none'}. Leave the others "
                    "out of the space; what is not searched is given to the evaluator"
                )
        if self.example_input is not None and "model" in space.parts:
            space.check(self.example_input)

    def try_out(self, candidate: Candidate) -> None:  # noqa: B027 - most have nothing that is quicker than an evaluation
        """Run a short version of `evaluate`, to find errors before a search.

        It raises the errors of `evaluate`.
        """

    def prepare(self, preparation: Preparation) -> Learned | None:
        """Prepare before the first trial, such as by training a supernet; called again by a resumed search.

        Results that take long to compute should be saved in the run folder and restored from it.

        Returns:
            The result for strategies that use it, or `None`.
        """
        return None

    def check_fidelities(self, space: Space, rungs: Sequence[Spent]) -> None:  # noqa: B027 - most can give any
        """Check that candidates of a space can be evaluated at given fidelities.

        Raises:
            EvaluationError: A fidelity is not supported; the message gives the reason.
        """

    def check_ensemble(self) -> None:
        """Check that networks of a search can be members of an ensemble: each is trained, by itself, on a task.

        Raises:
            EvaluationError: They cannot; the message gives the reason.
        """
        if self.task is None:
            raise EvaluationError(
                f"an ensemble is selected from trained networks on the validation part of a task, and {self!r} has no "
                "task: give data, a Training, or an Evaluator that sets task and candidate.model"
            )

    def seconds_per_epoch(self, candidate: Candidate) -> float | None:
        """Return an estimate of the seconds per epoch of the final training; the candidate is not used again.

        Returns:
            `None` if unknown: then a search has no bounds on the time per epoch.
        """
        return None

    @property
    def preprocess(self) -> Preprocess | None:
        """The preprocessing of the networks' inputs, which is saved with them: that of the task, if any."""
        return None if self.task is None else self.task.preprocess

    @property
    def is_paced(self) -> bool:
        """Whether it estimates the time per epoch."""
        return type(self).seconds_per_epoch is not Evaluator.seconds_per_epoch

    @property
    def prepares(self) -> bool:
        """Whether it has a preparation before the first trial."""
        return type(self).prepare is not Evaluator.prepare

    @property
    def retrains(self) -> bool:
        """Whether it has a final training."""
        return type(self).retrain is not Evaluator.retrain

    @property
    def most_final_epochs(self) -> float:
        """The largest number of epochs of a final training in a time budget; infinite if it is not known."""
        return math.inf

    def retrain(self, candidate: Candidate) -> Mapping[str, float] | None:
        """Run the final training: train the candidate from scratch, for longer, and test it once.

        Returns:
            Metrics, with those on the test set named `test_...`, or `None` without a final training.
        """
        return None

    def held_out(self, candidate: Candidate, model: torch.nn.Module) -> Mapping[str, float] | None:
        """Test a trained network, if there is no time for a final training.

        Args:
            candidate: Its candidate.
            model: The trained network.

        Returns:
            Metrics on the test set, named `test_...`, or `None` if not supported: then there is a final training,
            however short.
        """
        return None

    def to_json(self) -> dict[str, Any] | None:
        """Return a JSON object from which the evaluator can be restored, or `None`."""
        return None

    def describe(self) -> dict[str, Any] | None:
        """Return a JSON object of the settings, or `None`; a resumed study is warned if they have changed."""
        return self.to_json()


class FunctionEvaluator(Evaluator):
    """Evaluator that calls a function.

    Args:
        function: A function of a candidate that returns a number, or a mapping from names to numbers.
        metric: The name of the metric if it returns a number.

    Example:
        >>> from archwright.evaluate import FunctionEvaluator
        >>> evaluator = FunctionEvaluator(lambda candidate: candidate.settings["x"] ** 2, metric="square")
        >>> evaluator.evaluate(aw.Candidate(aw.Space(x=aw.integer(0, 9)), aw.Architecture({"x": 3}), seed=0))
        {'square': 9.0}
    """

    def __init__(self, function: Callable[[Candidate], Any], *, metric: str = "value") -> None:
        self.function = function
        self.metric = metric
        self.objective = f"max {metric}"

    def evaluate(self, candidate: Candidate) -> dict[str, float]:
        """Return the result of the function as metrics.

        Raises:
            EvaluationError: The result is neither a number nor a mapping from names to numbers.
        """
        outcome = self.function(candidate)
        if isinstance(outcome, Mapping):
            return check_metrics(outcome)
        value = _number(outcome)
        if value is None:
            name = getattr(self.function, "__name__", repr(self.function))
            raise EvaluationError(
                f"{name} returned {_show(outcome)}: an evaluator returns a number, or a dict from "
                "metric names to numbers"
            )
        return {self.metric: value}

    def __repr__(self) -> str:
        return f"FunctionEvaluator({self.function!r}, metric={self.metric!r})"


def as_evaluator(evaluator: Evaluator | Callable[[Candidate], Any], *, metric: str = "value") -> Evaluator:
    """Return an evaluator unchanged, or an evaluator that calls a function.

    Args:
        evaluator: An `Evaluator`, or a function `f(candidate) -> float | dict`.
        metric: The name of the metric if a function returns a number.

    Raises:
        EvaluationError: The argument is neither.

    Example:
        >>> from archwright.evaluate import as_evaluator
        >>> as_evaluator(lambda candidate: 1.0, metric="score").objective
        'max score'
    """
    if isinstance(evaluator, Evaluator):
        return evaluator
    if isinstance(evaluator, type) and issubclass(evaluator, Evaluator):
        raise EvaluationError(
            f"{evaluator.__name__} is an evaluator's class; give an object of it: {evaluator.__name__}(...)"
        )
    if not callable(evaluator):
        raise not_data("an evaluator is an Evaluator, a function f(candidate) -> float | dict, or data", evaluator)
    return FunctionEvaluator(evaluator, metric=metric)


def not_data(wanted: str, given: object) -> EvaluationError:
    """Return the error for what was given in place of an evaluator or of data, with what to do about it."""
    from archwright.datasets import advice

    return EvaluationError(f"{wanted}, not {_show(given)}. {advice(given)}".rstrip(" ."))


def decided_settings(space: Space) -> list[str]:
    """Return the names of the parts of a space, besides the model, that contain decisions.

    Example:
        >>> from archwright.evaluate import decided_settings
        >>> decided_settings(aw.Space(model=nn.ReLU(), lr=aw.real(1e-4, 1e-1), epochs=3))
        ['lr']
    """
    from archwright.space import Space

    return [name for name, part in space.parts.items() if name != "model" and Space(**{name: part}).decisions]


def check_metrics(metrics: Mapping[Any, Any]) -> dict[str, float]:
    """Return metrics as a dict of floats.

    Numbers of Python and numpy, booleans, and scalar tensors or arrays are converted. NaN and infinity are allowed.

    Raises:
        EvaluationError: No metrics are given, a name is not a string, or a value is not a number.

    Example:
        >>> from archwright.evaluate import check_metrics
        >>> check_metrics({"accuracy": torch.tensor(0.5), "correct": 12})
        {'accuracy': 0.5, 'correct': 12.0}
    """
    if not metrics:
        raise EvaluationError("there are no metrics: at least one is wanted")
    checked: dict[str, float] = {}
    for name, given in metrics.items():
        if not isinstance(name, str):
            raise EvaluationError(f"a metric's name is a string, not {_show(name)}")
        value = _number(given)
        if value is None:
            raise EvaluationError(f"metric {name!r} must be a number, not {_show(given)}")
        checked[name] = value
    return checked


def _number(value: Any) -> float | None:
    """Return a number, a boolean, or an array of no axes as a float; `None` for anything else."""
    if getattr(value, "shape", None) == () and hasattr(value, "item"):
        value = value.item()
    if not isinstance(value, Real):
        return None
    try:
        return float(value)
    except OverflowError:
        return None


def _show(value: object) -> str:
    """Return a value and its type, cut to what fits on a line."""
    text = " ".join(repr(value).split())
    text = text if len(text) <= 60 else text[:57] + "..."
    return text if value is None else f"{text} ({type(value).__name__})"
