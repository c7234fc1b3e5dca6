"""The preparation of an evaluator before the first trial: its arguments and its result."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from archwright._fields import fields, items, number
from archwright.space import Architecture

if TYPE_CHECKING:
    from archwright.space import Space

_SHARES = ("skips", "nothing", "entropy")
"""What of a diagnosis are numbers in any case."""


@dataclass(frozen=True)
class Preparation:
    """The arguments of `Evaluator.prepare`, which runs before the first trial.

    Args:
        space: The search space.
        seed: The random seed of the preparation.
        folder: The run folder, for checkpoints; `None` if there is none.
        deadline: The end, in seconds of `time.monotonic()`; `None` for no limit.
        report: Called with a step and metrics, a point of the curve; may raise `Stopped`.

    Example:
        >>> from archwright.evaluate import Preparation
        >>> points = []
        >>> preparation = Preparation(aw.Space(x=aw.integer(0, 9)), report=lambda step, metrics: points.append(metrics))
        >>> preparation.report(1, {"loss": 0.5})
        >>> points
        [{'loss': 0.5}]
    """

    space: Space
    seed: int = 0
    folder: Path | None = None
    deadline: float | None = None
    report: Callable[[int, Mapping[str, float]], None] = field(default=lambda step, metrics: None)


@dataclass(frozen=True)
class Learned:
    """The result of a preparation, such as the training of a supernet.

    Args:
        architectures: Preferred architectures without duplicates, best first; the first is the derived one.
        probabilities: For each step of the curve the probabilities of the options of each decision, by name.
        curve: The reports in order: "step" and metrics.
        diagnosis: Diagnostics of the result: numbers and texts, by name.

    Example:
        >>> from archwright.evaluate import Learned
        >>> learned = Learned((aw.Architecture({"x": 3}),), diagnosis={"entropy": 0.4})
        >>> Learned.from_json(learned.to_json()) == learned
        True
    """

    architectures: tuple[Architecture, ...] = ()
    probabilities: tuple[Mapping[str, tuple[float, ...]], ...] = ()
    curve: tuple[Mapping[str, float], ...] = ()
    diagnosis: Mapping[str, Any] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """Return the result as a JSON object."""
        return {
            "architectures": [architecture.to_json() for architecture in self.architectures],
            "probabilities": [{name: list(each) for name, each in step.items()} for step in self.probabilities],
            "curve": [dict(row) for row in self.curve],
            "diagnosis": dict(self.diagnosis),
        }

    @classmethod
    def from_json(cls, written: Mapping[str, Any]) -> Learned:
        """Return the result written by `to_json`.

        Raises:
            ValueError: A field is missing or invalid; the message names it.
            ArchitectureError: The architectures are invalid.
        """
        said = fields(written, "what was learned", "architectures", "probabilities", "curve", "diagnosis")
        curve = [fields(row, "a row of the curve") for row in items(said["curve"], "the curve")]
        steps = [fields(step, "a step of probabilities") for step in items(said["probabilities"], "probabilities")]
        diagnosis = fields(said["diagnosis"], "the diagnosis")
        for name, value in [item for row in curve for item in row.items()]:
            number(value, f"{name!r} of the curve")
        for name, value in diagnosis.items():
            if name in _SHARES or not isinstance(value, str | None):
                number(value, f"{name!r} of the diagnosis")
        return cls(
            tuple(Architecture.from_json(each) for each in items(said["architectures"], "architectures")),
            tuple({name: _shares(each) for name, each in step.items()} for step in steps),
            tuple(curve),
            diagnosis,
        )


def _shares(written: object) -> tuple[float, ...]:
    return tuple(number(each, "a probability") for each in items(written, "probabilities"))
