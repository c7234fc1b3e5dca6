"""Hyperband with proposals of a model."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from archwright._checks import check_shares
from archwright.errors import SchedulerError
from archwright.schedulers._base import register
from archwright.schedulers._hyperband import Hyperband
from archwright.schedulers._ladder import Ladder
from archwright.space import Architecture, Space
from archwright.strategies import Strategy, name_of
from archwright.trials import History

__all__ = ["BOHB"]

_BLIND = ("random", "grid")  # they learn nothing


@register("bohb")
@dataclass(frozen=True)
class BOHB(Hyperband):
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

    random: float = 1 / 3

    def __post_init__(self) -> None:
        """Check the settings."""
        super().__post_init__()
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
