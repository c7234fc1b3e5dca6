"""Exhaustive search."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from archwright._words import counted
from archwright.errors import Exhausted, StrategyError
from archwright.space import Architecture, Space
from archwright.strategies._base import Strategy, names, register
from archwright.trials import History


@register("grid")
@dataclass(frozen=True)
class Grid(Strategy):
    """Grid search: every architecture of a finite space once, in order.

    Example:
        >>> study = aw.Study(aw.Space(x=aw.integer(0, 63)), strategy=aw.strategies.Grid())
        >>> study = study.run(lambda candidate: -abs(candidate.settings["x"] - 40), aw.Budget(trials=64))
        >>> study.best.trial.architecture["x"]
        40
    """

    multi_objective: ClassVar[bool] = True

    def propose(self, space: Space, history: History, rng: np.random.Generator) -> Architecture:
        """Return the first architecture that has not been proposed.

        Raises:
            Exhausted: All have been.
        """
        architecture = history.unseen(space)
        if architecture is None:
            raise Exhausted(f"grid has proposed all {counted(len(history.trials), 'architecture')} of the space")
        return architecture

    def check(self, space: Space) -> None:
        """Check that a space is finite.

        Raises:
            StrategyError: The space holds real numbers.
        """
        if space.size == math.inf:
            others = ", ".join(name for name in names() if name != "grid")
            raise StrategyError(
                "grid tries every architecture, but real numbers make this space infinite. Use integers or "
                f"ordinals in their place, or another strategy: {others}"
            )
