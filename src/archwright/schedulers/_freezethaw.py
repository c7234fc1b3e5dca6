"""Trials that are paused and gone on with, by what is expected of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from archwright.schedulers._base import Job, Scheduler, register
from archwright.schedulers._checks import check_count, check_eta
from archwright.schedulers._ladder import Ladder
from archwright.schedulers._rungs import Rungs, rungs
from archwright.surrogates import CurveModel
from archwright.trials import History, Trial

__all__ = ["FreezeThaw"]

_PAUSED, _NEW = 2, 3  # of how many paused trials of each rung, the best, and of how many new ones a value is drawn
_FULL = 10  # full evaluations, the best, whose curves are learnt from


@register("freeze-thaw")
@dataclass(frozen=True)
class FreezeThaw(Scheduler):
    """Freeze-thaw: pause trials after each rung; resume the one with the best predicted learning curve.

    Swersky, Snoek and Adams, "Freeze-thaw Bayesian optimization", 2014, with the model of `surrogates.CurveModel` and a
    draw from it (Thompson sampling) in place of entropy search: of the best paused trials of each rung a final value is
    drawn, and of three new ones too, as those of the trials so far are spread; the greatest is taken. So what is
    promising or unsure goes on, and what is surely poor never does.

    Args:
        startup: How many trials begin before any goes on, at least 2.
        eta: About how many times dearer each rung is than the one before; above 1.

    Raises:
        SchedulerError: A setting is out of range.
    """

    several: ClassVar[bool] = False

    startup: int = 5
    eta: float = 2.0

    def __post_init__(self) -> None:
        """Check the settings."""
        check_count("freeze-thaw", self, "startup", least=2)
        check_eta("freeze-thaw", self)

    def job(self, ladder: Ladder, history: History, rng: np.random.Generator, *, more: bool = True) -> Job | None:
        """Return what goes on, or a new trial, whichever a draw says comes to more."""
        held = rungs(ladder, history)
        paused = [history.trials[number] for level in range(ladder.top) for number in held.waiting(level, _PAUSED)]
        if not paused or (more and len(held.views[0].finished) < self.startup):
            return Job(0) if more else None
        drawn = self._draw(ladder, history, held, paused, rng)
        known = np.concatenate([drawn, held.views[-1].scores])
        best = int(drawn.argmax())
        if more and rng.normal(known.mean(), known.std() + 1e-12, _NEW).max() > drawn[best]:
            return Job(0)
        return Job(ladder.level(paused[best].share) + 1, paused[best])

    def _draw(
        self, ladder: Ladder, history: History, held: Rungs, paused: list[Trial], rng: np.random.Generator
    ) -> np.ndarray:
        """Return a draw of the final value of each paused trial."""
        steps: list[int] = []
        for cost in ladder.costs:
            steps.append(max(round(cost / ladder.costs[0]), steps[-1] + 1 if steps else 1))

        def curve(trial: Trial) -> list[tuple[int, float]]:
            points: list[tuple[int, float]] = []
            stage: Trial | None = trial
            while stage is not None:
                points.insert(0, (steps[ladder.level(stage.share)], history.score(stage)))
                stage = history.before(stage)
            return points

        full = [history.trials[int(key[-1])] for key in held.ranked[-1][:_FULL]]
        fitted = CurveModel().fit([curve(trial) for trial in (*paused, *full)])
        drawn: np.ndarray = np.asarray(fitted.draw(steps[-1], rng, 1))[0, : len(paused)]
        return drawn
