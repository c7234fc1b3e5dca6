"""Hyperband."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial

import numpy as np

from archwright.schedulers._base import Job, Scheduler, check_eta, register
from archwright.schedulers._brackets import Brackets, cost, hyperband
from archwright.schedulers._ladder import Ladder
from archwright.trials import History

__all__ = ["Hyperband"]


@register("hyperband")
@dataclass(frozen=True)
class Hyperband(Scheduler):
    """Hyperband: brackets of successive halving with different numbers of trials and lowest rungs.

    Li, Jamieson, DeSalvo, Rostamizadeh and Talwalkar, "Hyperband: a novel bandit-based approach to hyperparameter
    optimization", JMLR 2018, algorithm 1. It hedges: where little training misleads, the later rounds do not rely on
    it.

    Args:
        eta: One in so many goes on; and each rung is about so many times dearer than the one before; above 1.

    Raises:
        SchedulerError: The setting is out of range.
    """

    eta: float = 3.0
    _brackets: Brackets = field(default_factory=Brackets, init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Check the setting."""
        check_eta(self)

    def job(self, ladder: Ladder, history: History, rng: np.random.Generator, *, more: bool = True) -> Job | None:
        """Return the promotion that is due in the oldest bracket, or a new trial of the youngest."""
        return self._brackets.job(ladder, history, partial(hyperband, ladder, self.eta), more=more)

    def checkpoints(self, ladder: Ladder, history: History) -> frozenset[int]:
        """Return the best of each rung of each bracket, as many as go on from it."""
        return self._brackets.checkpoints(ladder, history, partial(hyperband, ladder, self.eta))

    def bracket(self, ladder: Ladder) -> float:
        """Return how many full evaluations the first bracket costs."""
        return cost(ladder, hyperband(ladder, self.eta, 0))
