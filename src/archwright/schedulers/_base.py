"""What every scheduler is, and the registry of those that have a name."""

from __future__ import annotations

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
from archwright.trials import History, Stateful, Trial

__all__ = [
    "Curve",
    "Job",
    "Scheduler",
    "create",
    "entries",
    "name_of",
    "names",
    "options",
    "register",
]

Curve = tuple[Mapping[str, float], ...]

_KEPT = 8  # checkpoints of each rung, for the best that may still be promoted


@dataclass(frozen=True)
class Job:
    """What to evaluate next.

    Args:
        level: The rung to evaluate it on; `None` for a full evaluation where there are no rungs.
        origin: The trial to go on from; `None` for an architecture that the strategy is asked for.
    """

    level: int | None = None
    origin: Trial | None = None


class Scheduler(Stateful, ABC):
    """Says how much of the budget each trial gets, which ones go on, and which are stopped.

    Like a strategy it is a frozen dataclass of its settings and a function of the history: what else it keeps can be
    built again from the history, so a search that was killed goes on as if it had not been. It works with every
    strategy. The strategy sees the trials of one rung, the dearest on which there are more than the space has decisions
    (Falkner, Klein and Hutter 2018): values of several rungs do not compare.

    Attributes:
        partial: Whether trials are given less than all at first, so that the evaluator has to understand fidelities.
        multi_objective: Whether it ranks trials by several objectives.
        needs_curve: Whether it needs intermediate reports.
        eta: How much dearer each rung is than the one before, where there are rungs.
    """

    partial: ClassVar[bool] = True
    multi_objective: ClassVar[bool] = True
    needs_curve: ClassVar[bool] = False
    settings_error: ClassVar[type[ArchwrightError]] = SchedulerError
    eta: float = 3.0

    @abstractmethod
    def job(self, ladder: Ladder, history: History, rng: np.random.Generator, *, more: bool = True) -> Job | None:
        """Return what to evaluate next.

        Args:
            ladder: The rungs.
            history: All that has been tried.
            rng: The only source of randomness, new for each trial.
            more: Whether there are architectures left that were not proposed yet.

        Returns:
            A new architecture's evaluation or that of one that goes on; `None` only without `more`, where no trial is
            to go on.
        """

    def stop(self, history: History, trial: Trial, curve: Curve) -> Stopped | None:
        """Return why a running trial is to end now, or `None` where it goes on; asked at each point of its curve.

        Args:
            history: All that has been tried.
            trial: The running trial.
            curve: What it has reported, in order: "step" and metrics.
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
        """Return a new architecture for a rung: that of the strategy, which sees what `view` shows."""
        return strategy.propose(space, self.view(ladder, space, history), rng)

    def view(self, ladder: Ladder, space: Space, history: History) -> History:
        """Return what the strategy sees of the history."""
        return rungs(ladder, history).view(len(space.decisions) + 1) if ladder.rungs else history

    def checkpoints(self, ladder: Ladder, history: History) -> frozenset[int]:
        """Return the numbers of the trials that may still go on, whose checkpoints are to be kept.

        It is what bounds the disk space: the best few of each rung. One that goes on though its checkpoint is gone
        starts again.
        """
        held = rungs(ladder, history)
        return frozenset(number for level in range(ladder.top) for number in held.waiting(level, _KEPT))

    def check(self, strategy: Strategy) -> None:
        """Refuse a strategy that it cannot work with.

        Raises:
            SchedulerError: It cannot; the message says what can.
        """

    def bracket(self, ladder: Ladder) -> float:
        """Return how many full evaluations its first round costs: less than that is too small a budget."""
        return 0.0


def check_eta(scheduler: Scheduler) -> None:
    """Refuse a scheduler whose `eta` is not above 1."""
    allowed = "above 1 (how much dearer each rung is than the one before)"
    check_numbers(scheduler, "eta", allowed=allowed, holds=lambda value: value > 1)


_classes: Classes[Scheduler] = Classes("scheduler", SchedulerError, {"extrapolation": "median", "freeze-thaw": "asha"})
register = _classes.register
create = _classes.create
names = _classes.names
entries = _classes.entries
name_of = _classes.name_of
options = _classes.options
