"""An architecture while it is being evaluated."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from archwright.evaluate._evaluator import check_metrics

if TYPE_CHECKING:
    import torch

    from archwright.space import Architecture, Space, TensorSpec

__all__ = ["Candidate", "Listener", "Stopped"]

Listener = Callable[[int, Mapping[str, float]], None]


class Stopped(Exception):
    """The evaluation has been told to stop; what has been reported until then stands.

    `Candidate.report` raises it. An evaluator lets it pass.
    """


class Candidate:
    """An architecture being evaluated: its network, its settings, and where its results go.

    Args:
        space: The space that the architecture belongs to.
        architecture: What to evaluate.
        seed: All that is random in the evaluation follows from it: weights, order of batches,
            dropout.
        fidelity: How much effort to spend, in the evaluator's own unit; `None` for all of it.
        device: Where the network lives, as torch names it.
        deadline: When to end, in seconds of `time.monotonic()`.
        listener: Called with the step and the metrics of each report; it may raise `Stopped`.
        example_input: What a network sees; `None` for what the space says.

    Attributes:
        curve: What has been reported, in order: a row holds "step" and the metrics.
    """

    def __init__(
        self,
        space: Space,
        architecture: Architecture,
        *,
        seed: int,
        fidelity: int | None = None,
        device: str = "cpu",
        deadline: float | None = None,
        listener: Listener | None = None,
        example_input: TensorSpec | None = None,
    ) -> None:
        self.space = space
        self.architecture = architecture
        self.seed = seed
        self.fidelity = fidelity
        self.device = device
        self.deadline = deadline
        self.example_input = example_input
        self.curve: list[dict[str, float]] = []
        self._listener = listener
        self._model: torch.nn.Module | None = None
        self._settings: Mapping[str, Any] | None = None

    @property
    def model(self) -> torch.nn.Module:
        """The network, on its device; built on first use, with weights that the seed alone decides."""
        return self.rebuild() if self._model is None else self._model

    def rebuild(self) -> torch.nn.Module:
        """Build the network anew, untrained, in place of the one before, and return it."""
        from archwright.evaluate._device import seeded

        # On the CPU whatever the device, so that a seed gives the same weights everywhere.
        with seeded(self.seed, "cpu"):
            model = self.space.build(self.architecture, self.example_input)
        self._model = model.to(self.device)
        return self._model

    def adopt(self, model: torch.nn.Module) -> None:
        """Take a network that was made elsewhere, such as one with inherited weights, as the candidate's own."""
        self._model = model

    @property
    def settings(self) -> Mapping[str, Any]:
        """The parts of the space besides "model", by name.

        Values are as the space gives them; a call, such as an optimizer's, has become a
        `functools.partial` that lacks what only training knows.
        """
        if self._settings is None:
            closed = dict(self.space.resolve(self.architecture))
            closed.pop("model", None)
            if closed:
                from archwright.build import instantiate_settings

                closed = instantiate_settings(closed)
            self._settings = MappingProxyType(closed)
        return self._settings

    def report(self, step: int, **metrics: float) -> None:
        """Put one point on the curve, and learn whether to go on.

        Args:
            step: How far the evaluation is, in its own unit; an epoch for `Training`.
            **metrics: Numbers by name.

        Raises:
            Stopped: The evaluation is to end now.
            EvaluationError: A metric is not a number.
        """
        self.record(step, **metrics)
        if self.remaining() <= 0:
            raise Stopped("out of time")

    def record(self, step: int, **metrics: float) -> None:
        """Put one point on the curve, as `report` does, without a look at the deadline.

        It is for an evaluator that keeps the deadline by itself.

        Raises:
            Stopped: The listener wants the evaluation to end.
            EvaluationError: A metric is not a number.
        """
        checked = check_metrics(metrics)
        self.curve.append({"step": int(step), **checked})
        if self._listener is not None:
            self._listener(int(step), checked)

    def remaining(self) -> float:
        """Return the seconds until the deadline: never below 0, and `math.inf` without a deadline."""
        if self.deadline is None:
            return math.inf
        return max(0.0, self.deadline - time.monotonic())

    def __repr__(self) -> str:
        return f"Candidate({self.architecture!r}, seed={self.seed}, device={self.device!r})"
