"""The base class of schedulers, and their registry."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from archwright._checks import check_numbers
from archwright._registry import Classes
from archwright.errors import ArchwrightError, SchedulerError
from archwright.evaluate import Stopped
from archwright.schedulers._ladder import Ladder
from archwright.schedulers._rungs import rungs
from archwright.space import Architecture, Space
from archwright.strategies import Strategy
from archwright.trials import History, Objective, Stateful, Trial

Curve = tuple[Mapping[str, float], ...]

_KEPT = 8  # checkpoints of each rung, for the best that may still be promoted


@dataclass(frozen=True)
class Assignment:
    """The next evaluation of a scheduler: a new trial or a promotion.

    Args:
        level: The rung, from 0; `None` for a full evaluation without rungs.
        origin: The trial that is promoted; `None` for a new architecture, which the strategy proposes.

    Example:
        >>> history = aw.History(aw.Objective("value"))
        >>> ladder = aw.schedulers.Ladder(({"epochs": 1}, {"epochs": 3}), (1 / 3, 1.0))
        >>> aw.schedulers.ASHA().assign(ladder, history, np.random.default_rng(0))
        Assignment(level=0, origin=None)
    """

    level: int | None = None
    origin: Trial | None = None


class Scheduler(Stateful, ABC):
    """Base class of schedulers: choose the fidelity of each trial, promote trials, and stop them early.

    Like a strategy it is a frozen dataclass of its settings and a function of the history; any other state must be
    reproducible from the history (`state_of`). It works with every strategy. The strategy sees the trials of one rung,
    since metrics of different rungs are not comparable: the highest with more trials than the space has decisions
    (Falkner, Klein and Hutter 2018).

    Attributes:
        partial: Whether trials start below full fidelity, which the evaluator has to support.
        multi_objective: Whether it ranks trials by several objectives; set it to `False` if it uses `history.scores`.
        needs_curve: Whether it needs intermediate reports.
        eta: The ratio of the costs of successive rungs, if there are rungs.

    Example:
        >>> from dataclasses import dataclass
        >>> @dataclass(frozen=True)
        ... class Full(aw.schedulers.Scheduler):
        ...     partial = False
        ...     def assign(self, ladder, history, rng, *, more=True):
        ...         return aw.schedulers.Assignment()
        >>> study = aw.Study(aw.Space(x=aw.integer(0, 9)), scheduler=Full())
        >>> len(study.run(lambda candidate: candidate.settings["x"], aw.Budget(trials=2)).trials)
        2
    """

    partial: ClassVar[bool] = True
    multi_objective: ClassVar[bool] = True
    needs_curve: ClassVar[bool] = False
    settings_error: ClassVar[type[ArchwrightError]] = SchedulerError
    eta: float = 3.0

    @abstractmethod
    def assign(
        self, ladder: Ladder, history: History, rng: np.random.Generator, *, more: bool = True
    ) -> Assignment | None:
        """Return the next evaluation.

        Args:
            ladder: The rungs.
            history: The trials so far.
            rng: The only source of randomness, new for each trial.
            more: Whether there are architectures that were not proposed yet.

        Returns:
            A new trial or a promotion; `None` only without `more` and without a promotion. Without `more`, promotions
            go on until there is a full evaluation.
        """

    def stop(self, history: History, trial: Trial, curve: Curve) -> Stopped | None:
        """Return the reason to stop a running trial, or `None`; called at each of its reports.

        Args:
            history: The trials so far.
            trial: The running trial.
            curve: Its reports in order: "step" and metrics.
        """
        return None

    def propose(
        self,
        ladder: Ladder,
        level: int | None,
        strategy: Strategy,
        space: Space,
        history: History,
        rng: np.random.Generator,
    ) -> Architecture:
        """Return a new architecture for a rung: the proposal of the strategy, given the history of `view`."""
        return strategy.propose(space, self.view(ladder, space, history), rng)

    def view(self, ladder: Ladder, space: Space, history: History) -> History:
        """Return the history that the strategy sees."""
        return rungs(ladder, history).view(len(space.decisions) + 1) if ladder.rungs else history

    def checkpoints(self, ladder: Ladder, history: History) -> frozenset[int]:
        """Return the numbers of the trials that may be promoted, whose checkpoints are kept.

        This bounds the disk space: the best few of each rung. A promoted trial without a checkpoint is trained from
        scratch.
        """
        held = rungs(ladder, history)
        return frozenset(number for level in range(ladder.top) for number in held.waiting(level, _KEPT))

    def check(self, strategy: Strategy) -> None:
        """Check that the scheduler supports a strategy.

        Raises:
            SchedulerError: It does not; the message names alternatives.
        """

    def bracket(self, ladder: Ladder) -> float:
        """Return the cost of the first round in full evaluations, which is the minimum budget."""
        return 0.0


def scores(curve: Curve, objective: Objective) -> list[tuple[float, float]]:
    """Return (step, score) for the points of a curve at which the objective was reported; greater scores are better.

    Example:
        >>> aw.schedulers.scores([{"step": 1, "loss": 0.5}, {"step": 2}], aw.Objective("loss", maximise=False))
        [(1, -0.5)]
    """
    found = [(row["step"], objective.score(row)) for row in curve if objective.metric in row]
    return [(step, score) for step, score in found if math.isfinite(score)]


def check_eta(scheduler: Scheduler) -> None:
    """Refuse a scheduler whose `eta` is not above 1."""
    allowed = "above 1 (the ratio of the costs of successive rungs)"
    check_numbers(scheduler, "eta", allowed=allowed, holds=lambda value: value > 1)


_classes: Classes[Scheduler] = Classes("scheduler", SchedulerError, {"extrapolation": "median", "freeze-thaw": "asha"})
register = _classes.register
create = _classes.create
names = _classes.names
entries = _classes.entries
name_of = _classes.name_of
options = _classes.options
