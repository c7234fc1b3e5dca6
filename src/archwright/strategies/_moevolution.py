"""Multi-objective regularised evolution."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import islice
from typing import ClassVar

import numpy as np

from archwright.space import Architecture, Space
from archwright.strategies._base import register
from archwright.strategies._evolution import Evolution
from archwright.strategies._initial import initial
from archwright.strategies._mutants import new_mutant
from archwright.strategies._survival import standing
from archwright.trials import History


@register("mo-evolution")
@dataclass(frozen=True)
class MultiObjectiveEvolution(Evolution):
    """Multi-objective regularised (ageing) evolution: tournaments by Pareto rank; the oldest is removed.

    Real et al., "Regularized evolution for image classifier architecture search", AAAI 2019, with the order of NSGA-II
    (Deb et al. 2002) in place of the score: by non-dominated front, then by crowding distance, infeasible ones last.

    Args:
        population: Size of the population, at least 1; proposals are random until it is full.
        sample: Size of a tournament, at least 1.

    Raises:
        StrategyError: A setting is out of range.

    Example:
        >>> strategy = aw.strategies.MultiObjectiveEvolution(population=5, sample=3)
        >>> study = aw.Study(aw.Space(x=aw.integer(-8, 8)), strategy=strategy, objective=["min left", "min right"])
        >>> evaluate = lambda one: {"left": one.settings["x"] ** 2, "right": (one.settings["x"] - 2) ** 2}
        >>> sorted(trial.architecture["x"] for trial in study.run(evaluate, aw.Budget(trials=17)).history.front)
        [0, 1, 2]
    """

    multi_objective: ClassVar[bool] = True
    population: int = 50

    def propose(self, space: Space, history: History, rng: np.random.Generator) -> Architecture:
        """Return a mutated copy of the best of `sample` random members of the population."""
        measured = (trial for trial in reversed(history.finished) if trial.state in ("complete", "infeasible"))
        alive = list(islice(measured, self.population))
        if len(alive) < self.population:
            return initial(space, history, rng)
        drawn = [alive[place] for place in rng.choice(len(alive), size=min(self.sample, len(alive)), replace=False)]
        parent = drawn[int(standing(history, drawn).order()[0])]
        return new_mutant(space, history, parent.architecture, rng)
