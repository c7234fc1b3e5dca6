"""A trial: one evaluation on record."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from archwright.space import Architecture

__all__ = ["State", "Trial", "metrics_from_json", "metrics_to_json"]

State = Literal["running", "complete", "pruned", "infeasible", "failed"]
"""What became of a trial: under way, measured, stopped early, against a constraint, or broken."""


@dataclass(frozen=True, slots=True)
class Trial:
    """One evaluation of one architecture, on record.

    Args:
        number: Position in the order of proposals, from 0.
        architecture: What is evaluated.
        state: What became of it; "running" until it is told.
        metrics: What was measured, by name. A complete trial has a finite value for the objective.
        curve: Points reported on the way, in order: each holds "step" and metrics.
        seconds: How long the evaluation took, in seconds of wall-clock time.
        seed: Seed of the evaluation, in [0, 2**31).
        fidelity: How much it was given, by name, such as `{"epochs": 3}`; `None` is all.
        share: The part of a full evaluation's cost that it comes to, with all that it goes on from; in (0, 1].
        origin: The number of the trial whose weights it begins with: one of the same architecture, which it goes on
            from, or of another, from which it inherits; `None` where it begins from scratch.
        worker: Where it ran, as "host:process".
        error: Why it failed, as text, with a traceback where there is one.
        attempts: How many times it was begun; more than 1 after a process died in it.
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

    @property
    def ended(self) -> bool:
        """Whether it is over, in whatever way."""
        return self.state != "running"

    @property
    def cause(self) -> str:
        """The last line of its error, which says what went wrong; empty where there is none."""
        return ((self.error or "").strip().splitlines() or [""])[-1]

    def to_json(self) -> dict[str, Any]:
        """Return the trial as a JSON object; values that are not finite become text such as "nan"."""
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
        """Return the trial that `to_json` wrote."""
        return cls(
            **{
                **data,
                "architecture": Architecture.from_json(data["architecture"]),
                "metrics": metrics_from_json(data["metrics"]),
                "curve": tuple(metrics_from_json(row) for row in data["curve"]),
            }
        )


def metrics_to_json(row: Mapping[str, float]) -> dict[str, float | str]:
    """Return metrics as a JSON object; NaN and infinity, for which JSON has no word, become text."""
    return {name: value if math.isfinite(value) else str(value) for name, value in row.items()}


def metrics_from_json(row: Mapping[str, float | str]) -> dict[str, float]:
    """Return the metrics that `metrics_to_json` wrote."""
    return {name: float(value) for name, value in row.items()}
