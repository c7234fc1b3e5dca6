"""Regularised evolution."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from archwright._checks import check_counts
from archwright.space import Architecture, Space
from archwright.strategies._base import Strategy, register
from archwright.strategies._initial import initial
from archwright.strategies._mutants import new_mutant
from archwright.trials import History


@register("evolution")
@dataclass(frozen=True)
class Evolution(Strategy):
    """Regularised (ageing) evolution: tournament selection and mutation; the oldest individual is removed.

    Real, Aggarwal, Huang and Le, "Regularized evolution for image classifier architecture search", AAAI 2019,
    algorithm 1. The population is the youngest `population` complete trials; until there are as many, proposals
    are random. Trials that failed or were stopped early never enter it. A child that was proposed before is mutated
    again, as often as it takes. The default population is smaller than the paper's, for searches of about 150 trials.

    With several workers a child is measured only after as many other trials. So the population has as many members more
    as there are running trials, and the tournament grows with it: otherwise good members are removed before their
    children are measured.

    Args:
        population: Size of the population, at least 1.
        sample: Size of a tournament, drawn with replacement, at least 1.

    Raises:
        StrategyError: A setting is out of range.

    Example:
        >>> study = aw.Study(aw.Space(x=aw.integer(0, 63)), strategy=aw.strategies.Evolution(population=5))
        >>> study = study.run(lambda candidate: -abs(candidate.settings["x"] - 40), aw.Budget(trials=40))
        >>> study.best.trial.architecture["x"]
        40
    """

    population: int = 20
    sample: int = 10

    def __post_init__(self) -> None:
        check_counts(self, "population", "sample")

    def propose(self, space: Space, history: History, rng: np.random.Generator) -> Architecture:
        """Return a mutated copy of the best of `sample` random members of the population."""
        complete = len(history.complete)
        if complete < self.population:
            return initial(space, history, rng)
        size = min(complete, self.population + history.count_running)
        count = self.sample * size // self.population
        # Quicker than `integers` for so few.
        drawn = [complete - size + int(draw * size) for draw in rng.random(count).tolist()]
        parent = history.complete[max(drawn, key=history.scores.__getitem__)]
        return new_mutant(space, history, parent.architecture, rng)
