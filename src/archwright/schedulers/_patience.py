"""The end of a training that does not get better any more."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from archwright._checks import check_counts, check_numbers
from archwright._words import counted
from archwright.evaluate import Stopped
from archwright.schedulers._base import Curve, Job, Scheduler, register
from archwright.schedulers._ladder import Ladder
from archwright.schedulers._scores import scores
from archwright.trials import History, Trial

__all__ = ["Patience"]


@register("patience")
@dataclass(frozen=True)
class Patience(Scheduler):
    """Patience: end a training whose objective has not improved for a number of reports.

    Prechelt, "Early stopping, but when?", 1998, the criterion of stagnation. Such a trial is complete, with the metrics
    of its last point.

    Args:
        points: How many points may bring nothing better, at least 1.
        least: By how much a point has to be better to count, 0 or more, in the objective's units.

    Raises:
        SchedulerError: A setting is out of range.
    """

    partial: ClassVar[bool] = False
    needs_curve: ClassVar[bool] = True

    points: int = 3
    least: float = 0.0

    def __post_init__(self) -> None:
        """Check the settings."""
        check_counts(self, "points")
        check_numbers(self, "least", allowed="of 0 or more", holds=lambda value: value >= 0)

    def job(self, ladder: Ladder, history: History, rng: np.random.Generator, *, more: bool = True) -> Job | None:
        """Return a full evaluation."""
        return Job() if more else None

    def stop(self, history: History, trial: Trial, curve: Curve) -> Stopped | None:
        """End the trial where the last points brought nothing better."""
        values = [score for _, score in scores(curve, history.objective)]
        before, last = values[: -self.points], values[-self.points :]
        if not before or max(last) > max(before) + self.least:
            return None
        return Stopped(f"patience: nothing better in {counted(self.points, 'point')}", complete=True)
