"""The (mu + lambda) evolution strategy."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from archwright._checks import check_counts
from archwright.space import Architecture, Space
from archwright.strategies._base import Strategy, register
from archwright.strategies._initial import initial
from archwright.strategies._mutants import new_mutant
from archwright.trials import History, Trial


@dataclass
class _Parents:
    """The best of the first `known` complete trials."""

    known: int = 0
    best: list[Trial] = field(default_factory=list)


@register("mu-plus-lambda")
@dataclass(frozen=True)
class MuPlusLambda(Strategy):
    """(mu + lambda) evolution: the best mu architectures are the parents of the next lambda children.

    Beyer and Schwefel, "Evolution strategies: a comprehensive introduction", 2002. Selection is elitist: parents
    compete with their children, whatever their age. The first `parents` trials are random.

    Args:
        parents: mu, at least 1.
        children: lambda, at least 1: number of trials between two selections of the parents.

    Raises:
        StrategyError: A setting is out of range.

    Example:
        >>> study = aw.Study(aw.Space(x=aw.integer(0, 63)), strategy=aw.strategies.MuPlusLambda())
        >>> study = study.run(lambda candidate: -abs(candidate.settings["x"] - 40), aw.Budget(trials=40))
        >>> study.best.trial.architecture["x"]
        40
    """

    parents: int = 5
    children: int = 3

    def __post_init__(self) -> None:
        check_counts(self, "parents", "children")

    def propose(self, space: Space, history: History, rng: np.random.Generator) -> Architecture:
        """Return a mutated copy of one of the parents; random while there are too few."""
        count = len(history.complete)
        if count < self.parents:
            return initial(space, history, rng)
        chosen = self.state_of(history, _Parents)
        due = self.parents + (count - self.parents) // self.children * self.children
        if chosen.known < due:
            ranked = sorted([*chosen.best, *history.complete[chosen.known : due]], key=history.score, reverse=True)
            chosen.best, chosen.known = ranked[: self.parents], due
        return new_mutant(space, history, chosen.best[int(rng.integers(len(chosen.best)))].architecture, rng)
