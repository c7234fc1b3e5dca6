"""NSGA-II."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar, get_args

import numpy as np

from archwright._checks import check_counts, check_options, check_shares
from archwright.space import Architecture, Crossover, Space
from archwright.strategies._base import Strategy, register
from archwright.strategies._initial import initial
from archwright.strategies._mutants import mutated, new_mutant
from archwright.strategies._survival import standing
from archwright.trials import History, Trial


@dataclass
class Population:
    """Who lives after the first `replayed` trials of a history have ended; the best first."""

    replayed: int = 0
    members: list[Trial] = field(default_factory=list)


@register("nsga2")
@dataclass(frozen=True)
class NSGA2(Strategy):
    """NSGA-II: multi-objective genetic algorithm with non-dominated sorting and crowding distance.

    Deb, Pratap, Agarwal and Meyarivan, "A fast and elitist multiobjective genetic algorithm: NSGA-II", 2002, in its
    steady-state form (Durillo et al., "On the effect of the steady-state selection scheme in multi-objective genetic
    algorithms", EMO 2009): each trial that ends enters the population, and its worst member leaves. Infeasible networks
    rank below all others, by their constraint violation.

    Args:
        population: Size of the population, at least 2; proposals are random until it is full.
        crossover: The crossover operator: "uniform", "one-point" or "subtree"; see `Space.crossover`.
        crossover_rate: The share of children that have two parents, from 0 to 1.
        mutations: Mean number of mutations of a child, at least 1. A child that was proposed before gets one more.

    Raises:
        StrategyError: A setting is out of range.

    Example:
        >>> strategy = aw.strategies.NSGA2(population=6)
        >>> study = aw.Study(aw.Space(x=aw.integer(-8, 8)), strategy=strategy, objective=["min left", "min right"])
        >>> evaluate = lambda one: {"left": one.settings["x"] ** 2, "right": (one.settings["x"] - 2) ** 2}
        >>> sorted(trial.architecture["x"] for trial in study.run(evaluate, aw.Budget(trials=17)).history.front)
        [0, 1, 2]
    """

    multi_objective: ClassVar[bool] = True
    population: int = 24
    crossover: Crossover = "uniform"
    crossover_rate: float = 0.9
    mutations: int = 1

    def __post_init__(self) -> None:
        check_counts(self, "population", "mutations")
        check_shares(self, "crossover_rate")
        check_options(self, crossover=get_args(Crossover))

    def propose(self, space: Space, history: History, rng: np.random.Generator) -> Architecture:
        """Return a child of two members, each the better of two at random; random at first."""
        alive = self.state_of(history, Population)
        for trial in history.finished[alive.replayed :]:
            if trial.state in ("complete", "infeasible"):
                alive.members.append(trial)
                if len(alive.members) > self.population:
                    alive.members = self._survivors(history, alive.members)
        alive.replayed = len(history.finished)
        if len(alive.members) < self.population:
            return initial(space, history, rng)
        mother, father = (alive.members[int(rng.integers(self.population, size=2).min())] for _ in range(2))
        child = mother.architecture
        if rng.random() < self.crossover_rate:
            child = space.crossover(child, father.architecture, rng, self.crossover)
        child = mutated(space, child, min(1.0, self.mutations / max(1, len(child))), rng)
        return new_mutant(space, history, child, rng) if history.seen(child) else child

    def _survivors(self, history: History, members: list[Trial]) -> list[Trial]:
        """Return all but the least of the members, the best first."""
        order = standing(history, members).order()
        return [members[place] for place in order[: self.population]]
