"""Candidates: architectures during their evaluation."""

from __future__ import annotations

import copy
import math
import time
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from archwright.evaluate._evaluator import check_metrics
from archwright.evaluate._fidelity import Spent

if TYPE_CHECKING:
    import torch

    from archwright.datasets import Preprocess
    from archwright.space import Architecture, InputSpec, Space

Listener = Callable[[float, Mapping[str, float]], None]


class Stopped(Exception):
    """Raised by `Candidate.report` to stop an evaluation early; its reports are kept.

    An evaluator must not catch it.

    Args:
        reason: The reason, as text.
        complete: Whether the last report is the result, as for converged training; otherwise the trial is pruned.

    Example:
        >>> def evaluate(candidate):
        ...     candidate.report(step=1, value=0.5)
        ...     raise aw.Stopped("converged", complete=True)
        >>> aw.Study(aw.Space(x=aw.integer(0, 9))).run(evaluate, aw.Budget(trials=1)).trials[0].metrics
        {'value': 0.5}
    """

    def __init__(self, reason: str = "", *, complete: bool = False) -> None:
        super().__init__(*[reason] if reason else [])
        self.complete = complete


class Infeasible(Exception):
    """Raised for a candidate that violates a constraint, to end its evaluation.

    Args:
        reason: The constraint and its violation, as text.
        metrics: The metrics that are known.

    Raises:
        EvaluationError: A metric is not a number.

    Example:
        >>> from archwright.evaluate import Infeasible
        >>> Infeasible("latency_ms <= 5", {"latency_ms": 7}).metrics["latency_ms"]
        7.0
    """

    def __init__(self, reason: str, metrics: Mapping[str, float] = MappingProxyType({})) -> None:
        super().__init__(reason)
        self.metrics = check_metrics(metrics) if metrics else {}


@dataclass(frozen=True)
class Saved:
    """The checkpoint of an evaluation, for one that continues it.

    Args:
        state: Numbers, strings, tensors, and lists and dicts of them; "model" is the network's state_dict.
        curve: Its reports.
        network: A network that replaces the saved one, for weights inherited from a smaller network.

    Example:
        >>> from archwright.evaluate import Saved
        >>> Saved({"epoch": 3}).state["epoch"]
        3
    """

    state: Mapping[str, Any]
    curve: Sequence[Mapping[str, float]] = ()
    network: torch.nn.Module | None = None


class Candidate:
    """An architecture that is evaluated: its network, its settings, and its reported metrics.

    Args:
        space: The space of the architecture.
        architecture: The architecture.
        seed: The random seed of the evaluation: weights, order of batches, dropout.
        fidelity: The fidelity by name, such as `{"epochs": 3}`; `None` for a full evaluation.
        stages: The fidelities of the rungs up to this evaluation, lowest first, its own last; by default its own only.
            Training through the stages gives the same result with and without interruptions.
        device: The torch device of the network.
        deadline: The end of the evaluation, in seconds of `time.monotonic()`.
        listener: Called with the step and the metrics of each report; may raise `Stopped`.
        example_input: The input of the network; `None` for that of the space.
        preprocess: The preprocessing of raw inputs; it is saved with the network.
        settings: Settings that override those of the space.
        stop: Called at each report with the learning curve; returns why to stop, or `None`.
        restore: Returns the saved state of the evaluation that is continued, or `None`.
        save: Saves the state for an evaluation that continues this one; `None` if there will be none.
        precheck: Called with the costs that are known before training; returns why not to train, or `None`.

    Attributes:
        curve: The reports in order: each holds "step" and the metrics.
        searched: For a final training, returns the network that the search has trained, or `None` if there is none.
        problem: Called with a message that the user has to see; a warning by default.

    Example:
        >>> import archwright as aw
        >>> def evaluate(candidate):
        ...     candidate.report(step=1, value=candidate.settings["x"])
        ...     return candidate.settings["x"]
        >>> aw.search(aw.Space(x=aw.ordinal(1, 2, 3)), evaluate, budget=aw.Budget(trials=3)).best.metrics
        {'value': 3.0}
    """

    def __init__(
        self,
        space: Space,
        architecture: Architecture,
        *,
        seed: int,
        fidelity: Spent | None = None,
        stages: Sequence[Spent] = (),
        device: str = "cpu",
        deadline: float | None = None,
        listener: Listener | None = None,
        example_input: InputSpec | None = None,
        preprocess: Preprocess | None = None,
        settings: Mapping[str, Any] = MappingProxyType({}),
        stop: Callable[[Sequence[Mapping[str, float]]], Stopped | None] = lambda curve: None,
        restore: Callable[[], Saved | None] = lambda: None,
        save: Callable[[Mapping[str, Any]], None] | None = None,
        precheck: Callable[[Mapping[str, float]], str | None] = lambda metrics: None,
    ) -> None:
        self.space = space
        self.architecture = architecture
        self.seed = seed
        self.fidelity = fidelity
        self.stages: tuple[Spent, ...] = tuple(stages) or (fidelity or {},)
        self.device = device
        self.deadline = deadline
        self.example_input = example_input
        self.preprocess = preprocess
        self.curve: list[dict[str, float]] = []
        self.searched: Callable[[], torch.nn.Module | None] = lambda: None
        self.problem: Callable[[str], None] = warnings.warn
        self._listener = listener
        self._given = settings
        self._stop, self._restore, self._save, self._precheck = stop, restore, save, precheck
        self._model: torch.nn.Module | None = None
        self._load: Callable[[], torch.nn.Module | None] | None = None
        self._settings: Mapping[str, Any] | None = None

    @property
    def model(self) -> torch.nn.Module:
        """The network, on its device; built on first use, initialised by the candidate's seed."""
        built = self.built
        return self.rebuild() if built is None else built

    def rebuild(self) -> torch.nn.Module:
        """Build the network again, untrained, and return it."""
        from archwright.evaluate._device import seeded

        # On the CPU whatever the device, so that a seed gives the same weights everywhere.
        with seeded(self.seed, "cpu"):
            model = self.space.build(self.architecture, self.example_input)
        self._model = model.to(self.device)
        return self._model

    def adopt(self, model: torch.nn.Module) -> None:
        """Set the network to one that was created elsewhere, such as one with inherited weights."""
        self._model = model

    def defer(self, load: Callable[[], torch.nn.Module | None]) -> None:
        """Set the network to one that is loaded when it is first used.

        Args:
            load: Returns the network, or `None` if it is lost.
        """
        self._load = load

    def take_over(self, saved: Saved) -> None:
        """Set the network to that of a checkpoint."""
        if saved.network is not None:
            self.adopt(saved.network.to(self.device))
        elif "model" in saved.state:
            self.model.load_state_dict(saved.state["model"])

    def again(
        self,
        *,
        seed: int | None = None,
        settings: Mapping[str, Any] = MappingProxyType({}),
        stages: Sequence[Spent] | None = None,
    ) -> Candidate:
        """Return a candidate of the same architecture without reports and checkpoints.

        It has a copy of this one's current network, if that has been built: call this before the training.

        Args:
            seed: Its seed; by default this one's.
            settings: Settings that override this one's.
            stages: Its fidelities, its own last; by default this one's.
        """
        candidate = Candidate(
            self.space,
            self.architecture,
            seed=self.seed if seed is None else seed,
            fidelity=self.fidelity if stages is None else stages[-1],
            stages=self.stages if stages is None else stages,
            device=self.device,
            deadline=self.deadline,
            example_input=self.example_input,
            preprocess=self.preprocess,
            settings={**self._given, **settings},
            precheck=self._precheck,
        )
        if self._model is not None:
            candidate.adopt(copy.deepcopy(self._model))
        return candidate

    @property
    def built(self) -> torch.nn.Module | None:
        """The network, if it has been built or adopted, or `None`."""
        if self._model is None and self._load is not None:
            load, self._load = self._load, None
            model = load()
            self._model = None if model is None else model.to(self.device)
        return self._model

    @property
    def settings(self) -> Mapping[str, Any]:
        """The parts of the space besides "model", by name.

        A call, such as that of an optimizer, is a `functools.partial` without the arguments that the training supplies.
        """
        if self._settings is None:
            closed = dict(self.space.resolve(self.architecture))
            closed.pop("model", None)
            if closed:
                from archwright.build import instantiate_settings

                closed = instantiate_settings(closed)
            self._settings = MappingProxyType({**closed, **self._given})
        return self._settings

    def restore(self) -> Mapping[str, Any] | None:
        """Restore the network and the learning curve of the evaluation that this one continues.

        Returns:
            The state given to `save`, or `None` without a checkpoint: then the evaluation starts from scratch.
        """
        saved = self._restore()
        if saved is None:
            return None
        self.take_over(saved)
        self.curve = [dict(row) for row in saved.curve]
        return saved.state

    def save(self, state: Mapping[str, Any]) -> None:
        """Save a checkpoint, the network and a state, for an evaluation that continues this one, if there may be one.

        Args:
            state: Numbers, strings, tensors, and lists and dicts of them; it is copied.
        """
        if self._save is not None:
            self._save(state if self._model is None else {**state, "model": self._model.state_dict()})

    def report(self, step: float, **metrics: float) -> None:
        """Report a point of the learning curve; raise `Stopped` if the evaluation has to end.

        Args:
            step: The step, in a unit of the evaluator; an epoch for `Training`.
            **metrics: Metrics by name.

        Raises:
            Stopped: The evaluation has to end.
            EvaluationError: A metric is not a number.
        """
        self.record(step, **metrics)
        reason = self._stop(self.curve)
        if reason is not None:
            raise reason
        if self.remaining() <= 0:
            raise Stopped("out of time")

    def record(self, step: float, **metrics: float) -> None:
        """Report a point of the learning curve, as `report` does, without a check of the deadline and the scheduler.

        For the last point, and for evaluators that check the deadline themselves.

        Raises:
            Stopped: The listener ends the evaluation.
            EvaluationError: A metric is not a number.
        """
        checked = check_metrics(metrics)
        self.curve.append({"step": float(step), **checked})
        if self._listener is not None:
            self._listener(float(step), checked)

    def check(self, metrics: Mapping[str, float]) -> None:
        """Check the known metrics against the constraints, before an expensive evaluation.

        Raises:
            Infeasible: A constraint is violated.
        """
        reason = self._precheck(metrics)
        if reason is not None:
            raise Infeasible(reason, metrics)

    def remaining(self) -> float:
        """Return the seconds until the deadline: at least 0, and `math.inf` without a deadline."""
        if self.deadline is None:
            return math.inf
        return max(0.0, self.deadline - time.monotonic())

    def __repr__(self) -> str:
        return f"Candidate({self.architecture!r}, seed={self.seed}, device={self.device!r})"
