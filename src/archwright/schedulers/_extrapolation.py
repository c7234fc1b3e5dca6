"""The end of a trial whose curve will not come to the best."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from archwright.errors import SchedulerError
from archwright.evaluate import Stopped
from archwright.schedulers._base import Curve, Job, Scheduler, register
from archwright.schedulers._checks import check_count, check_share
from archwright.schedulers._ladder import Ladder
from archwright.schedulers._scores import scores
from archwright.surrogates import CurveModel
from archwright.trials import History, Trial

__all__ = ["Extrapolation"]

_CURVES = 40  # the most complete trials whose curves are learnt from, the last ones


@register("extrapolation")
@dataclass(frozen=True)
class Extrapolation(Scheduler):
    """Learning-curve extrapolation: stop a trial that is predicted to end below the best.

    Domhan, Springenberg and Hutter, "Speeding up automatic hyperparameter optimization of deep neural networks by
    extrapolation of learning curves", IJCAI 2015, with the model of `surrogates.CurveModel`, which learns from the
    curves of the complete trials. Every trial is begun as a full evaluation.

    Args:
        doubt: A trial ends where the probability that it beats the best is below this; from 0 to 1.
        startup: How many complete trials there have to be, at least 1.
        points: How many points a curve has to have, at least 2.

    Raises:
        SchedulerError: A setting is out of range.
    """

    several: ClassVar[bool] = False
    partial: ClassVar[bool] = False
    needs_curve: ClassVar[bool] = True

    doubt: float = 0.05
    startup: int = 4
    points: int = 3

    def __post_init__(self) -> None:
        """Check the settings."""
        check_share("extrapolation", self, "doubt")
        check_count("extrapolation", self, "startup")
        check_count("extrapolation", self, "points", least=2)

    def job(self, ladder: Ladder, history: History, rng: np.random.Generator, *, more: bool = True) -> Job | None:
        """Return a full evaluation."""
        return Job() if more else None

    def stop(self, history: History, trial: Trial, curve: Curve) -> Stopped | None:
        """End the trial where it is all but sure to stay below the best of the complete ones."""
        seen = scores(curve, history.objective)
        if len(seen) < self.points or len(history.complete) < self.startup:
            return None
        others = [scores(each.curve, history.objective) for each in history.complete[-_CURVES:]]
        others = [each for each in others if each]
        ends = [each[-1][0] for each in others]
        if not ends or seen[-1][0] >= max(ends):
            return None
        if any(step != int(step) or step < 1 for each in (seen, *others) for step, _ in each):
            raise SchedulerError("extrapolation: reports are to come at whole steps of 1 and more, such as epochs")
        fitted = CurveModel().fit([[(int(step), score) for step, score in each] for each in (*others, seen)])
        means, deviations = fitted.predict(int(max(ends)))
        best = max(history.scores)
        apart = (best - float(means[-1])) / max(float(deviations[-1]), 1e-12)
        chance = 0.5 * math.erfc(apart / math.sqrt(2))
        if chance >= self.doubt:
            return None
        return Stopped(
            f"extrapolation: {means[-1]:.5g} with a deviation of {deviations[-1]:.2g} expected at step {max(ends):g}, "
            f"so the chance to beat {best:.5g} is {chance:.2g}"
        )
