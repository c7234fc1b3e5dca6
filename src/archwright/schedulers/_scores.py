"""What a curve says of the objective."""

from __future__ import annotations

import math

from archwright.schedulers._base import Curve
from archwright.trials import Objective

__all__ = ["scores"]


def scores(curve: Curve, objective: Objective) -> list[tuple[float, float]]:
    """Return (step, score) for the points of a curve at which the objective was reported; greater scores are better.

    Example:
        >>> aw.schedulers.scores([{"step": 1, "loss": 0.5}, {"step": 2}], aw.Objective("loss", maximise=False))
        [(1, -0.5)]
    """
    found = [(row["step"], objective.score(row)) for row in curve if objective.metric in row]
    return [(step, score) for step, score in found if math.isfinite(score)]
