"""Early stopping without improvement."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from archwright._checks import check_counts, check_numbers
from archwright._words import counted
from archwright.evaluate import Stopped
from archwright.schedulers._base import Curve, register, scores
from archwright.schedulers._full import Full
from archwright.trials import History, Trial


@register("patience")
@dataclass(frozen=True)
class Patience(Full):
    """Patience: end a training whose objective has not improved for a number of reports.

    Prechelt, "Early stopping, but when?", 1998, the criterion of stagnation. The trial is complete, with the metrics of
    its last point.

    Args:
        points: Number of points without improvement, at least 1.
        least: The minimum improvement, 0 or more, in the objective's units.

    Raises:
        SchedulerError: A setting is out of range.

    Example:
        >>> def evaluate(candidate):
        ...     for step in range(20):
        ...         candidate.report(step, value=min(step, 5))
        >>> study = aw.Study(aw.Space(x=aw.integer(0, 9)), scheduler=aw.schedulers.Patience(points=3))
        >>> [point["value"] for point in study.run(evaluate, aw.Budget(trials=1)).trials[0].curve]
        [0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 5.0, 5.0, 5.0]
    """

    needs_curve: ClassVar[bool] = True

    points: int = 3
    least: float = 0.0

    def __post_init__(self) -> None:
        check_counts(self, "points")
        check_numbers(self, "least", allowed="of 0 or more", holds=lambda value: value >= 0)

    def stop(self, history: History, trial: Trial, curve: Curve) -> Stopped | None:
        """End the trial if the last points have not improved."""
        values = [score for _, score in scores(curve, history.objective)]
        before, last = values[: -self.points], values[-self.points :]
        if not before or max(last) > max(before) + self.least:
            return None
        return Stopped(f"patience: nothing better in {counted(self.points, 'point')}", complete=True)
