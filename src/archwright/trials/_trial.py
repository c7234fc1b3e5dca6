"""Trials: recorded evaluations."""

from __future__ import annotations

import dataclasses
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from html import escape
from typing import Any, Literal, get_args

from archwright._fields import fields, items, text, whole
from archwright._fields import number as number_
from archwright._words import plain
from archwright.space import Architecture

_LONGEST = 1_000  # characters of a line
_SHOWN = 3  # metrics in a `repr`
_NOT_FINITE = ("nan", "inf", "-inf")

State = Literal["running", "complete", "pruned", "infeasible", "failed"]
"""What became of a trial: under way, measured, stopped early, against a constraint, or broken."""

STATES: frozenset[State] = frozenset(get_args(State))
"""All states."""


@dataclass(frozen=True, slots=True, repr=False)
class Trial:
    """One evaluation of one architecture.

    Args:
        number: Position in the order of proposals, from 0.
        architecture: The architecture.
        state: The state; "running" until the trial has ended.
        metrics: Metrics by name. A complete trial has a finite value for the objective.
        curve: Intermediate reports in order: each holds "step" and metrics.
        seconds: Wall-clock time of the evaluation, in seconds.
        seed: Seed of the evaluation, in [0, 2**31).
        fidelity: The fidelity by name, such as `{"epochs": 3}`; `None` for a full evaluation.
        share: The cost as a share of a full evaluation, including the trials that it continues; in (0, 1].
        origin: The number of the trial that it continues (same architecture) or inherits weights from; `None` for a
            training from scratch.
        worker: The worker, as "host:process".
        error: The error message of a failed trial, with its traceback if there is one.
        attempts: Number of times it was started; more than 1 after a crash of the process.

    Example:
        >>> import archwright as aw
        >>> trial = aw.Trial(0, aw.Architecture({"x": 1}), state="complete", metrics={"accuracy": 0.9})
        >>> aw.Trial.from_json(trial.to_json()) == trial
        True
    """

    number: int
    architecture: Architecture
    state: State = "running"
    metrics: Mapping[str, float] = field(default_factory=dict)
    curve: tuple[Mapping[str, float], ...] = ()
    seconds: float = 0.0
    seed: int = 0
    fidelity: Mapping[str, float] | None = None
    share: float = 1.0
    origin: int | None = None
    worker: str = ""
    error: str | None = None
    attempts: int = 1

    def __repr__(self) -> str:
        metrics = sorted(self.metrics.items(), key=lambda each: each[0].startswith("train_"))  # those tell the least
        shown = [f"{name} {value:.4g}" for name, value in metrics[:_SHOWN]]
        shown += ["..."] * (len(self.metrics) > _SHOWN)
        told = f": {', '.join(shown)}" if shown else f": {self.cause[:80]}" if self.cause else ""
        return f"<Trial {self.number}, {self.state}{told}>"

    def _repr_html_(self) -> str:
        """Return the metrics and decisions as a table, for notebooks."""
        rows = [("state", self.state), *((name, f"{value:.6g}") for name, value in self.metrics.items())]
        rows += [("seconds", f"{self.seconds:.3g}"), *([("error", self.cause)] if self.cause else [])]
        rows += [(name, str(value)) for name, value in self.architecture.items()]
        cells = (f"<tr><th>{escape(plain(name))}</th><td>{escape(plain(told))}</td></tr>" for name, told in rows)
        return f"<table><caption>trial {self.number}</caption>{''.join(cells)}</table>"

    @property
    def ended(self) -> bool:
        """Whether the trial has ended, in any state."""
        return self.state != "running"

    @property
    def cause(self) -> str:
        """The last line of the error; empty without one."""
        return last_line(self.error or "")

    def to_json(self) -> dict[str, Any]:
        """Return the trial as a JSON object; values that are not finite become strings such as "nan"."""
        return {
            "number": self.number,
            "architecture": self.architecture.to_json(),
            "state": self.state,
            "metrics": metrics_to_json(self.metrics),
            "curve": [metrics_to_json(row) for row in self.curve],
            "seconds": self.seconds,
            "seed": self.seed,
            "fidelity": None if self.fidelity is None else dict(self.fidelity),
            "share": self.share,
            "origin": self.origin,
            "worker": self.worker,
            "error": self.error,
            "attempts": self.attempts,
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Trial:
        """Return the trial written by `to_json`.

        Raises:
            ValueError: A field is missing or invalid; the message names it.
            ArchitectureError: The decisions are invalid.
        """
        given = fields(dict(data), "the trial", *_FIELDS)
        number = whole(given["number"], "number")
        if not isinstance(given["state"], str) or given["state"] not in STATES:
            raise ValueError(f"state is {str(given['state'])[:50]!r}, not one of {', '.join(get_args(State))}")
        share, origin = number_(given["share"], "share", least=0.0), given["origin"]
        if not 0 < share <= 1:
            raise ValueError(f"share is {share}, not a number above 0 and up to 1")
        return cls(
            number=number,
            architecture=Architecture.from_json(given["architecture"]),
            state=given["state"],
            metrics=metrics_from_json(given["metrics"]),
            curve=tuple(metrics_from_json(row, "a row of curve") for row in items(given["curve"], "curve")),
            seconds=number_(given["seconds"], "seconds", least=0.0),
            seed=whole(given["seed"], "seed"),
            fidelity=None if given["fidelity"] is None else _fidelity(given["fidelity"]),
            share=share,
            origin=None if origin is None else whole(origin, "origin", below=number),
            worker=text(given["worker"], "worker"),
            error=None if given["error"] is None else text(given["error"], "error"),
            attempts=whole(given["attempts"], "attempts"),
        )


_FIELDS = tuple(each.name for each in dataclasses.fields(Trial))


def last_line(error: str) -> str:
    """Return the last line of a traceback, truncated; for errors of archwright the message alone.

    Example:
        >>> from archwright.trials import last_line
        >>> last_line("archwright.errors.StudyError: no such study")
        'no such study'
    """
    last = re.sub(r"^archwright\.errors\.\w+: ", "", (error.strip().splitlines() or [""])[-1])
    return last if len(last) <= _LONGEST else f"{last[:_LONGEST]}..."


def metrics_to_json(row: Mapping[str, float]) -> dict[str, float | str]:
    """Return metrics as a JSON object; NaN and infinity, which JSON lacks, become strings.

    Example:
        >>> from archwright.trials import metrics_to_json
        >>> metrics_to_json({"loss": float("nan"), "accuracy": 0.5})
        {'loss': 'nan', 'accuracy': 0.5}
    """
    return {name: value if math.isfinite(value) else str(value) for name, value in row.items()}


def metrics_from_json(row: object, what: str = "metrics") -> dict[str, float]:
    """Return the metrics written by `metrics_to_json`.

    Raises:
        ValueError: The value is not an object of numbers.

    Example:
        >>> from archwright.trials import metrics_from_json
        >>> metrics_from_json({"loss": "inf", "accuracy": 0.5})
        {'loss': inf, 'accuracy': 0.5}
    """
    return {
        name: float(value) if value in _NOT_FINITE else number_(value, f"{name!r} of {what}")
        for name, value in fields(row, what).items()
    }


def _fidelity(given: object) -> dict[str, float]:
    """Return what a trial was given, where whole numbers stay whole."""
    found = fields(given, "fidelity")
    for name, value in found.items():
        number_(value, f"{name!r} of fidelity", least=0.0)
    return found
