"""What a search knows before its first trial."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from archwright._fields import fields, items, text
from archwright.space import Architecture
from archwright.transfer._prior import Prior


@dataclass(frozen=True)
class EarlierRun:
    """Trials of an earlier search, as architectures of the space of this one.

    Their metrics were measured on another task. They are never trials of this search: only their order counts.

    Args:
        name: Where they come from.
        architectures: The architectures.
        metrics: The metrics of the objectives, of each.
        told: A line on the decisions that do not match; empty where all do.

    Example:
        >>> run = aw.transfer.EarlierRun("first", (aw.Architecture({"x": 1}),), ({"accuracy": 0.9},))
        >>> aw.transfer.EarlierRun.from_json(run.to_json()) == run
        True
    """

    name: str
    architectures: tuple[Architecture, ...]
    metrics: tuple[Mapping[str, float], ...]
    told: str = ""

    def __len__(self) -> int:
        return len(self.architectures)

    def to_json(self) -> dict[str, Any]:
        """Return the run as a JSON object, with a digest of its trials."""
        trials = [
            {"architecture": architecture.to_json(), "metrics": dict(metrics)}
            for architecture, metrics in zip(self.architectures, self.metrics, strict=True)
        ]
        return {"name": self.name, "told": self.told, "trials": trials, "digest": _digest(trials)}

    @classmethod
    def from_json(cls, data: Any) -> EarlierRun:
        """Return the run written by `to_json`.

        Raises:
            ValueError: It is none, or its trials do not have the digest on record.
        """
        stored = fields(data, "an earlier run", "name", "told", "trials", "digest")
        listed = [
            fields(each, "a trial of an earlier run", "architecture", "metrics")
            for each in items(stored["trials"], "the trials of an earlier run")
        ]
        name = text(stored["name"], "the name of an earlier run")
        if _digest(stored["trials"]) != stored["digest"]:
            raise ValueError(f"the trials of the earlier run {name!r} were changed: their digest is another one")
        return cls(
            name,
            tuple(Architecture.from_json(each["architecture"]) for each in listed),
            tuple({key: float(value) for key, value in each["metrics"].items()} for each in listed),
            text(stored["told"], "what is told of an earlier run"),
        )


@dataclass(frozen=True)
class Background:
    """What is known before the first trial: earlier runs, and a prior of the user's. Strategies read it.

    Args:
        runs: Earlier runs.
        prior: The prior; one without beliefs if there is none.

    Example:
        >>> bool(aw.transfer.Background())
        False
    """

    runs: tuple[EarlierRun, ...] = ()
    prior: Prior = field(default_factory=Prior)

    def __bool__(self) -> bool:
        return bool(self.runs or self.prior)

    def to_json(self) -> dict[str, Any]:
        """Return a JSON object."""
        return {"runs": [run.to_json() for run in self.runs], "prior": self.prior.to_json()}

    @classmethod
    def from_json(cls, data: Any) -> Background:
        """Return what `to_json` has written.

        Raises:
            ValueError: It is something else.
        """
        stored = fields(data, "the background", "runs", "prior")
        runs: Sequence[Any] = items(stored["runs"], "the earlier runs")
        prior = fields(stored["prior"], "the prior")
        try:
            return cls(tuple(map(EarlierRun.from_json, runs)), Prior.from_json(prior))
        except (TypeError, AttributeError) as error:
            raise ValueError(f"the background cannot be read: {error}") from error


def _digest(trials: Any) -> str:
    written = json.dumps(trials, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(written.encode()).hexdigest()
