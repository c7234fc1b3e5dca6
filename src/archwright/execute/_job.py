"""An evaluation as data: what is to be evaluated, and what came of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal, get_args

from archwright._fields import fields, items, number, text, whole
from archwright.evaluate import Spent
from archwright.space import Architecture
from archwright.trials import metrics_from_json, metrics_to_json

__all__ = ["Job", "Kind", "Origin", "Report"]

Curve = tuple[Mapping[str, float], ...]
Kind = Literal["progress", "problem", "complete", "stopped", "infeasible", "failed", "died"]
"""What a report tells: a point of the curve; something that was lost on the way; or how the evaluation ended."""


@dataclass(frozen=True)
class Origin:
    """A trial whose weights another begins with.

    Args:
        trial: Its number.
        architecture: What it evaluated.
        curve: What it reported.
        kept: Whether its checkpoint was kept.
    """

    trial: int
    architecture: Architecture
    curve: Curve = ()
    kept: bool = True

    def to_json(self) -> dict[str, Any]:
        """Return the origin as a JSON object."""
        return {
            "trial": self.trial,
            "architecture": self.architecture.to_json(),
            "curve": _rows(self.curve),
            "kept": self.kept,
        }

    @classmethod
    def from_json(cls, written: object) -> Origin:
        """Return what `to_json` wrote.

        Raises:
            ValueError: It is something else; the message names the field.
        """
        given = fields(written, "an origin", "trial", "architecture", "curve", "kept")
        return cls(
            whole(given["trial"], "trial"),
            Architecture.from_json(given["architecture"]),
            _curve(given["curve"]),
            _truth(given["kept"], "kept"),
        )


@dataclass(frozen=True)
class Job:
    """An evaluation to be made, as data: it can be written as JSON and made in another process.

    Args:
        trial: The number of the trial.
        space: The fingerprint of the space.
        architecture: What is evaluated.
        seed: What all that is random in the evaluation follows from.
        fidelity: How much it gets, such as `{"epochs": 3}`; `None` for all.
        stages: The fidelities at which it is judged on the way, least first, and its own.
        seconds: How long it may take from its start; `None` for no limit.
        before: The trial that it goes on from.
        parent: The trial whose weights it begins with, where there is nothing to go on from.
        saves: Whether its network is kept for trials that go on from it.
        attempt: How many times it was begun, this time included.
    """

    trial: int
    space: str
    architecture: Architecture
    seed: int
    fidelity: Spent | None = None
    stages: tuple[Spent, ...] = ()
    seconds: float | None = None
    before: Origin | None = None
    parent: Origin | None = None
    saves: bool = False
    attempt: int = 1

    def to_json(self) -> dict[str, Any]:
        """Return the job as a JSON object."""
        return {
            "trial": self.trial,
            "space": self.space,
            "architecture": self.architecture.to_json(),
            "seed": self.seed,
            "fidelity": None if self.fidelity is None else dict(self.fidelity),
            "stages": [dict(stage) for stage in self.stages],
            "seconds": self.seconds,
            "before": None if self.before is None else self.before.to_json(),
            "parent": None if self.parent is None else self.parent.to_json(),
            "saves": self.saves,
            "attempt": self.attempt,
        }

    @classmethod
    def from_json(cls, written: object) -> Job:
        """Return what `to_json` wrote.

        Raises:
            ValueError: It is something else; the message names the field.
        """
        given = fields(written, "a job", *cls.__dataclass_fields__)
        before, parent, seconds = (given[name] for name in ("before", "parent", "seconds"))
        return cls(
            trial=whole(given["trial"], "trial"),
            space=text(given["space"], "space"),
            architecture=Architecture.from_json(given["architecture"]),
            seed=whole(given["seed"], "seed"),
            fidelity=None if given["fidelity"] is None else _spent(given["fidelity"]),
            stages=tuple(_spent(stage) for stage in items(given["stages"], "stages")),
            seconds=None if seconds is None else number(seconds, "seconds"),
            before=None if before is None else Origin.from_json(before),
            parent=None if parent is None else Origin.from_json(parent),
            saves=_truth(given["saves"], "saves"),
            attempt=whole(given["attempt"], "attempt"),
        )


@dataclass(frozen=True)
class Report:
    """What an evaluation tells, as data.

    Args:
        trial: The number of the trial.
        kind: What is told.
        metrics: What was measured, by name.
        curve: All that was reported until now, in order: "step" and metrics.
        seconds: How long it has taken.
        error: Why it ended, or what was lost; for one that failed, with its traceback.
        cause: Of one that failed, the exception's type and message.
        converged: Of one that stopped, whether its last point is its result.
    """

    trial: int
    kind: Kind
    metrics: Mapping[str, float] = field(default_factory=dict)
    curve: Curve = ()
    seconds: float = 0.0
    error: str = ""
    cause: str = ""
    converged: bool = False

    @property
    def ended(self) -> bool:
        """Whether the evaluation is over."""
        return self.kind not in ("progress", "problem")

    def to_json(self) -> dict[str, Any]:
        """Return the report as a JSON object."""
        return {**asdict(self), "metrics": metrics_to_json(self.metrics), "curve": _rows(self.curve)}

    @classmethod
    def from_json(cls, written: object) -> Report:
        """Return what `to_json` wrote.

        Raises:
            ValueError: It is something else; the message names the field.
        """
        given = fields(written, "a report", *cls.__dataclass_fields__)
        if given["kind"] not in get_args(Kind):
            raise ValueError(f"kind is {str(given['kind'])[:50]!r}, not one of {', '.join(get_args(Kind))}")
        return cls(
            trial=whole(given["trial"], "trial"),
            kind=given["kind"],
            metrics=metrics_from_json(given["metrics"]),
            curve=_curve(given["curve"]),
            seconds=number(given["seconds"], "seconds", least=0.0),
            error=text(given["error"], "error"),
            cause=text(given["cause"], "cause"),
            converged=_truth(given["converged"], "converged"),
        )


def _truth(value: object, what: str) -> bool:
    if not isinstance(value, bool):
        raise ValueError(f"{what} is true or false, not {str(value)[:50]!r}")
    return value


def _spent(written: object) -> dict[str, float]:
    """Return a fidelity; whole numbers stay whole."""
    given = fields(written, "a fidelity")
    for name, value in given.items():
        number(value, f"{name!r} of a fidelity")
    return given


def _rows(curve: Curve) -> list[dict[str, float | str]]:
    return [metrics_to_json(row) for row in curve]


def _curve(written: object) -> Curve:
    return tuple(metrics_from_json(row, "a row of curve") for row in items(written, "curve"))
