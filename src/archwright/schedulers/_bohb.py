"""Hyperband with proposals of a model."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial

import numpy as np

from archwright._checks import check_shares
from archwright.errors import SchedulerError
from archwright.schedulers._base import Job, Scheduler, check_eta, register
from archwright.schedulers._brackets import Brackets, cost, hyperband
from archwright.schedulers._ladder import Ladder
from archwright.space import Architecture, Space
from archwright.strategies import Strategy, name_of
from archwright.trials import History

__all__ = ["BOHB"]

_BLIND = ("random", "grid")  # they learn nothing


@register("bohb")
@dataclass(frozen=True)
class BOHB(Scheduler):
    """BOHB: Hyperband with model-based proposals; a third of the proposals are random.

    Falkner, Klein and Hutter, "BOHB: robust and efficient hyperparameter optimization at scale", ICML 2018. The model
    is the strategy: "tpe" as there, "bo", or any other that learns. It sees the dearest rung on which there are more
    trials than the space has decisions.

    Args:
        eta: One in so many goes on; and each rung is about so many times dearer than the one before; above 1.
        random: The share of proposals that are random, so that it is never worse than Hyperband by more than that.

    Raises:
        SchedulerError: A setting is out of range.
    """

    eta: float = 3.0
    random: float = 1 / 3
    _brackets: Brackets = field(default_factory=Brackets, init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Check the settings."""
        check_eta(self)
        check_shares(self, "random")

    def check(self, strategy: Strategy) -> None:
        """Refuse a strategy that learns nothing.

        Raises:
            SchedulerError: It does not.
        """
        if name_of(strategy) in _BLIND:
            raise SchedulerError(
                f"the scheduler 'bohb' is Hyperband with a model, and {name_of(strategy)!r} learns nothing: take a "
                "strategy such as 'tpe' or 'bo', or the scheduler 'hyperband'"
            )

    def job(self, ladder: Ladder, history: History, rng: np.random.Generator, *, more: bool = True) -> Job | None:
        """Return the promotion that is due in the oldest bracket, or a new trial of the youngest."""
        return self._brackets.job(ladder, history, partial(hyperband, ladder, self.eta), more=more)

    def propose(
        self,
        ladder: Ladder,
        level: int | None,
        strategy: Strategy,
        space: Space,
        history: History,
        rng: np.random.Generator,
    ) -> Architecture:
        """Return the strategy's proposal, or a random one."""
        if rng.random() < self.random:
            return space.sample(rng)
        return super().propose(ladder, level, strategy, space, history, rng)

    def wanted(self, ladder: Ladder, history: History) -> frozenset[int]:
        """Return the best of each rung of each bracket, as many as go on from it."""
        return self._brackets.wanted(ladder, history, partial(hyperband, ladder, self.eta))

    def bracket(self, ladder: Ladder) -> float:
        """Return how many full evaluations the first bracket costs."""
        return cost(ladder, hyperband(ladder, self.eta, 0))
