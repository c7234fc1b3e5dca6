"""Jobs and reports: an evaluation and its result as data."""

from __future__ import annotations

import pickle
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, get_args

from archwright._fields import fields, items, number, text, whole
from archwright.evaluate import Spent
from archwright.space import Architecture
from archwright.trials import metrics_from_json, metrics_to_json

Curve = tuple[Mapping[str, float], ...]
Kind = Literal["progress", "problem", "saved", "complete", "stopped", "infeasible", "failed", "died"]
"""What a report tells: a point of the curve; something that was lost; a new checkpoint; or how the evaluation ended."""

PRINTED = pickle.dumps(("flushed",))
"""The message of a process that nothing its job has printed is still to come: always the same bytes."""


@dataclass(frozen=True)
class Origin:
    """A trial that is continued, or whose weights are inherited.

    Args:
        trial: The number of the trial.
        architecture: Its architecture.
        curve: Its reports.
        kept: Whether its checkpoint exists.
        digest: The SHA-256 of its checkpoint; `None` where it is not on record.

    Example:
        >>> from archwright.execute import Origin
        >>> origin = Origin(3, aw.Architecture({"x": 1}))
        >>> Origin.from_json(origin.to_json()) == origin
        True
    """

    trial: int
    architecture: Architecture
    curve: Curve = ()
    kept: bool = True
    digest: str | None = None

    def to_json(self) -> dict[str, Any]:
        """Return the origin as a JSON object."""
        return {
            "trial": self.trial,
            "architecture": self.architecture.to_json(),
            "curve": _rows(self.curve),
            "kept": self.kept,
            "digest": self.digest,
        }

    @classmethod
    def from_json(cls, written: object) -> Origin:
        """Return the origin written by `to_json`.

        Raises:
            ValueError: A field is invalid; the message names it.
        """
        given = fields(written, "an origin", *cls.__dataclass_fields__)
        return cls(
            whole(given["trial"], "trial"),
            Architecture.from_json(given["architecture"]),
            _curve(given["curve"]),
            _truth(given["kept"], "kept"),
            None if given["digest"] is None else text(given["digest"], "digest"),
        )


@dataclass(frozen=True)
class Job:
    """The description of an evaluation as data; it can be written as JSON and run in another process.

    Args:
        trial: The number of the trial.
        space: The fingerprint of the space.
        architecture: The architecture.
        seed: The random seed of the evaluation.
        fidelity: The fidelity, such as `{"epochs": 3}`; `None` for a full evaluation.
        stages: The fidelities of the rungs up to this evaluation, lowest first, its own last.
        seconds: Time limit from its start; `None` for no limit.
        before: The trial that it continues, or `None`.
        parent: The trial from which it inherits weights, or `None`.
        saves: Whether a checkpoint is saved for trials that continue it.
        attempt: Number of times it was started, this one included.

    Example:
        >>> from archwright.execute import Job
        >>> job = Job(0, "fingerprint", aw.Architecture({"x": 1}), seed=7, fidelity={"epochs": 3})
        >>> Job.from_json(job.to_json()) == job
        True
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
        """Return the job written by `to_json`.

        Raises:
            ValueError: A field is invalid; the message names it.
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
    """The state or result of an evaluation as data.

    Args:
        trial: The number of the trial.
        kind: The kind of report.
        metrics: Metrics by name.
        curve: All intermediate reports so far, in order: "step" and metrics.
        seconds: Duration so far.
        error: The reason of the end, or a warning; for a failure with its traceback.
        cause: Type and message of the exception of a failure; the details of a warning; the digest of a checkpoint.
        converged: Whether the last report of a stopped evaluation is its result.

    Example:
        >>> from archwright.execute import report_of
        >>> report = report_of(0, {"accuracy": 0.9}, curve=(), seconds=1.5)
        >>> report.ended, report.metrics["accuracy"]
        (True, 0.9)
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
        """Whether the evaluation has ended."""
        return self.kind not in ("progress", "problem", "saved")

    def to_json(self) -> dict[str, Any]:
        """Return the report as a JSON object."""
        return {**vars(self), "metrics": metrics_to_json(self.metrics), "curve": _rows(self.curve)}

    @classmethod
    def from_json(cls, written: object) -> Report:
        """Return the report written by `to_json`.

        Raises:
            ValueError: A field is invalid; the message names it.
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
