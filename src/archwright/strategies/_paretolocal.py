"""Local search with several objectives."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from archwright._checks import check_counts
from archwright.space import Architecture, Space
from archwright.strategies._base import Strategy, register
from archwright.trials import History, Trial

__all__ = ["ParetoLocalSearch"]

_KICK = 3  # mutations away from the front, where all around it has been measured


@register("mo-local-search")
@dataclass(frozen=True)
class ParetoLocalSearch(Strategy):
    """Pareto local search: evaluate the neighbours of the networks on the Pareto front.

    Paquete, Chiarandini and Stützle, "Pareto local optimum sets in the biobjective traveling salesman problem", 2004;
    den Ottelander et al., "Local search is a remarkably strong baseline for neural architecture search", EMO 2021,
    find it hard to beat for accuracy and cost. Once all neighbours of the front are known it goes on a few mutations
    away. While nothing keeps the constraints, the trial that is least beyond them stands in for the front.

    Args:
        initial: How many random trials come first, at least 1.

    Raises:
        StrategyError: A setting is out of range.
    """

    multi_objective: ClassVar[bool] = True
    initial: int = 10

    def __post_init__(self) -> None:
        """Check the settings."""
        check_counts(self, "initial")

    def propose(self, space: Space, history: History, rng: np.random.Generator) -> Architecture:
        """Return a neighbour, not measured yet, of a random one of the front; random at first."""
        front = list(history.front) or sorted(history.infeasible, key=history.violation)[:1]
        if len(history.complete) + len(history.infeasible) < self.initial or not front:
            return space.sample(rng)
        for place in rng.permutation(len(front)).tolist():
            left = [near for near in self._around(space, history, front[place]) if not history.seen(near)]
            if left:
                return left[int(rng.integers(len(left)))]
        start = front[int(rng.integers(len(front)))].architecture
        for _ in range(_KICK):
            start = space.mutate(start, rng)
        return start

    def _around(self, space: Space, history: History, trial: Trial) -> list[Architecture]:
        known = self.state_of(history, dict[Architecture, list[Architecture]])
        if trial.architecture not in known:
            # Real numbers have random neighbours: the trial's own seed makes each replay find the same.
            around: Iterator[Architecture] = iter(
                space.neighbours(trial.architecture, np.random.default_rng(trial.seed))
            )
            known[trial.architecture] = list(around)
        return known[trial.architecture]
