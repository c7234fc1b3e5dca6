"""A genetic algorithm."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal, get_args

import numpy as np

from archwright._checks import check_counts, check_options, check_shares
from archwright.space import Architecture, Crossover, Space
from archwright.strategies._base import Strategy, register
from archwright.strategies._initial import initial
from archwright.strategies._mutants import mutated, new_mutant
from archwright.trials import History, Trial

Selection = Literal["tournament", "truncation"]


@dataclass
class _Generation:
    """The generation that parents are taken from, the best first."""

    number: int = 0
    members: list[Trial] = field(default_factory=list)


@register("genetic")
@dataclass(frozen=True)
class Genetic(Strategy):
    """Genetic algorithm with selection, crossover, mutation and elitism, in generations.

    Holland, "Adaptation in natural and artificial systems", 1975; Goldberg and Deb, "A comparative analysis of
    selection schemes used in genetic algorithms", 1991. A generation consists of `population` complete trials and of
    the best `elite` of the generation before. The first is random.

    Args:
        population: Number of trials of a generation, at least 1.
        selection: "tournament": a parent is the best of `sample` random members; "truncation": a parent is one of the
            best `sample` members, uniformly drawn.
        sample: Members of a tournament, or members left by truncation, at least 1.
        crossover: The crossover operator: "uniform", "one-point" or "subtree"; see `Space.crossover`.
        crossover_rate: The share of children that have two parents, from 0 to 1; the others are copies of one.
        mutation_rate: The probability of a mutation for each decision of a child, from 0 to 1. A child that was
            proposed before gets one mutation more.
        elite: Number of members that survive into the next generation, at least 1.

    Raises:
        StrategyError: A setting is out of range.

    Example:
        >>> study = aw.Study(aw.Space(x=aw.integer(0, 63)), strategy=aw.strategies.Genetic(population=5, elite=2))
        >>> study = study.run(lambda candidate: -abs(candidate.settings["x"] - 40), aw.Budget(trials=40))
        >>> study.best.trial.architecture["x"]
        40
    """

    population: int = 10
    selection: Selection = "tournament"
    sample: int = 3
    crossover: Crossover = "uniform"
    crossover_rate: float = 0.9
    mutation_rate: float = 0.1
    elite: int = 5

    def __post_init__(self) -> None:
        check_counts(self, "population", "sample", "elite")
        check_shares(self, "crossover_rate", "mutation_rate")
        check_options(self, selection=get_args(Selection), crossover=get_args(Crossover))

    def propose(self, space: Space, history: History, rng: np.random.Generator) -> Architecture:
        """Return a child of the last complete generation; random without one."""
        members = self._members(history)
        if not members:
            return initial(space, history, rng)
        child = self._select(members, rng).architecture
        if rng.random() < self.crossover_rate:
            child = space.crossover(child, self._select(members, rng).architecture, rng, self.crossover)
        child = mutated(space, child, self.mutation_rate, rng)
        return new_mutant(space, history, child, rng) if history.seen(child) else child

    def _members(self, history: History) -> list[Trial]:
        generation = self.state_of(history, _Generation)
        while (generation.number + 1) * self.population <= len(history.complete):
            start = generation.number * self.population
            alive = [*generation.members[: self.elite], *history.complete[start : start + self.population]]
            generation.members = sorted(alive, key=history.score, reverse=True)
            generation.number += 1
        return generation.members

    def _select(self, members: list[Trial], rng: np.random.Generator) -> Trial:
        """Return a parent; members are sorted, the best first."""
        if self.selection == "truncation":
            return members[int(rng.integers(min(self.sample, len(members))))]
        return members[int(rng.integers(len(members), size=self.sample).min())]
