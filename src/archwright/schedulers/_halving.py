"""Successive halving."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from archwright._checks import check_counts
from archwright.schedulers._base import Job, Scheduler, check_eta, register
from archwright.schedulers._brackets import Bracket, Brackets, cost, halved
from archwright.schedulers._ladder import Ladder
from archwright.trials import History

__all__ = ["SuccessiveHalving"]


@register("successive-halving")
@dataclass(frozen=True)
class SuccessiveHalving(Scheduler):
    """Successive halving (synchronous): when a rung is complete, the best third is promoted to the next.

    Karnin, Koren and Somekh, "Almost optimal exploration in multi-armed bandits", ICML 2013; Jamieson and Talwalkar,
    "Non-stochastic best arm identification and hyperparameter optimization", AISTATS 2016.

    Args:
        trials: How many begin in each round; as many as leave one on the last rung when not given.
        eta: One in so many goes on; and each rung is about so many times dearer than the one before; above 1.

    Raises:
        SchedulerError: A setting is out of range.
    """

    trials: int | None = None
    eta: float = 3.0
    _brackets: Brackets = field(default_factory=Brackets, init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Check the settings."""
        check_eta(self)
        if self.trials is not None:
            check_counts(self, "trials", least=2)

    def job(self, ladder: Ladder, history: History, rng: np.random.Generator, *, more: bool = True) -> Job | None:
        """Return the promotion that is due, or a new trial on the lowest rung."""
        return self._brackets.job(ladder, history, lambda _: self._round(ladder), more=more)

    def checkpoints(self, ladder: Ladder, history: History) -> frozenset[int]:
        """Return the best of each rung, as many as go on from it."""
        return self._brackets.checkpoints(ladder, history, lambda _: self._round(ladder))

    def bracket(self, ladder: Ladder) -> float:
        """Return how many full evaluations a round costs."""
        return cost(ladder, self._round(ladder))

    def _round(self, ladder: Ladder) -> Bracket:
        return halved(ladder, 0, self.trials or round(self.eta**ladder.top), self.eta)
