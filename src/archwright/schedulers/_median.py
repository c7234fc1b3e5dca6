"""The median stopping rule."""

from __future__ import annotations

from bisect import insort
from dataclasses import dataclass, field
from typing import ClassVar

from archwright._checks import check_counts
from archwright.evaluate import Stopped
from archwright.schedulers._base import Curve, register, scores
from archwright.schedulers._full import Full
from archwright.trials import History, Trial


@dataclass
class _Averages:
    """For each step the means, up to it, of all that came so far of the first `finished` trials; ascending."""

    finished: int = 0
    at: dict[float, list[float]] = field(default_factory=dict)


@register("median")
@dataclass(frozen=True)
class Median(Full):
    """Median stopping: stop a trial whose best value is below the median of the others' running means.

    Golovin et al., "Google Vizier: a service for black-box optimization", KDD 2017, section 3.2. Every trial starts as
    a full evaluation.

    Args:
        startup: Number of trials that must have reached a step before trials are stopped there, at least 1.
        grace: Number of first points of a trial at which it is not stopped, 0 or more.

    Raises:
        SchedulerError: A setting is out of range.

    Example:
        >>> def evaluate(candidate):
        ...     for step in range(5):
        ...         candidate.report(step, value=-candidate.settings["x"])
        ...     return -candidate.settings["x"]
        >>> study = aw.Study(aw.Space(x=aw.integer(0, 9)), strategy="grid", scheduler=aw.schedulers.Median(startup=2))
        >>> [trial.state for trial in study.run(evaluate, aw.Budget(trials=3)).trials]
        ['complete', 'complete', 'pruned']
    """

    multi_objective: ClassVar[bool] = False
    needs_curve: ClassVar[bool] = True

    startup: int = 5
    grace: int = 0

    def __post_init__(self) -> None:
        check_counts(self, "startup")
        check_counts(self, "grace", least=0)

    def stop(self, history: History, trial: Trial, curve: Curve) -> Stopped | None:
        """Stop the trial if its best value so far is below the median of the others' running means at this step."""
        seen = scores(curve, history.objective)
        if len(seen) <= self.grace:
            return None
        held = self._follow(history)
        step = seen[-1][0]
        others = held.at.get(step, [])
        if len(others) < self.startup:
            return None
        best, median = max(score for _, score in seen), (others[(len(others) - 1) // 2] + others[len(others) // 2]) / 2
        if best >= median:
            return None
        return Stopped(
            f"median stopping: best {best:.5g} at step {step:g}, the median of {len(others)} is {median:.5g}"
        )

    def _follow(self, history: History) -> _Averages:
        held = self.state_of(history, _Averages)
        for trial in history.finished[held.finished :]:
            total = 0.0
            for count, (step, score) in enumerate(scores(trial.curve, history.objective), start=1):
                total += score
                insort(held.at.setdefault(step, []), total / count)
        held.finished = len(history.finished)
        return held
