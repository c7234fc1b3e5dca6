"""Pareto local search."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from archwright._checks import check_counts
from archwright.space import Architecture, Space
from archwright.strategies._base import Strategy, register
from archwright.strategies._initial import initial
from archwright.strategies._mutants import kicked
from archwright.trials import History, Trial


@register("mo-local-search")
@dataclass(frozen=True)
class ParetoLocalSearch(Strategy):
    """Pareto local search: evaluate the neighbours of the networks on the Pareto front.

    Paquete, Chiarandini and Stützle, "Pareto local optimum sets in the biobjective traveling salesman problem", 2004;
    den Ottelander et al., "Local search is a remarkably strong baseline for neural architecture search", EMO 2021, for
    accuracy and cost. When all neighbours of the front were evaluated, the search continues a few mutations away. While
    no trial is feasible, the one with the smallest violation replaces the front.

    Args:
        initial: Number of random trials at the start, at least 1.

    Raises:
        StrategyError: A setting is out of range.

    Example:
        >>> strategy = aw.strategies.ParetoLocalSearch(initial=4)
        >>> study = aw.Study(aw.Space(x=aw.integer(-8, 8)), strategy=strategy, objective=["min left", "min right"])
        >>> evaluate = lambda one: {"left": one.settings["x"] ** 2, "right": (one.settings["x"] - 2) ** 2}
        >>> sorted(trial.architecture["x"] for trial in study.run(evaluate, aw.Budget(trials=12)).history.front)
        [0, 1, 2]
    """

    multi_objective: ClassVar[bool] = True
    initial: int = 10

    def __post_init__(self) -> None:
        check_counts(self, "initial")

    def propose(self, space: Space, history: History, rng: np.random.Generator) -> Architecture:
        """Return a neighbour, not measured yet, of a random one of the front; random at first."""
        front = list(history.front) or sorted(history.infeasible, key=history.violation)[:1]
        if len(history.complete) + len(history.infeasible) < self.initial or not front:
            return initial(space, history, rng)
        for place in rng.permutation(len(front)).tolist():
            left = [near for near in self._around(space, history, front[place]) if not history.seen(near)]
            if left:
                return left[int(rng.integers(len(left)))]
        return kicked(space, front[int(rng.integers(len(front)))].architecture, rng)

    def _around(self, space: Space, history: History, trial: Trial) -> list[Architecture]:
        known = self.state_of(history, dict[Architecture, list[Architecture]])
        if trial.architecture not in known:
            # Real numbers have random neighbours: the trial's own seed makes each replay find the same.
            known[trial.architecture] = list(space.neighbours(trial.architecture, np.random.default_rng(trial.seed)))
        return known[trial.architecture]
