"""Simulated annealing."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from archwright._checks import check_counts, check_numbers, check_positive
from archwright.space import Architecture, Space
from archwright.strategies._base import Strategy, register
from archwright.strategies._initial import initial
from archwright.strategies._mutants import new_mutant
from archwright.trials import History, Trial


@dataclass
class _Walk:
    """Where the walk stands after the first `replayed` complete trials."""

    replayed: int = 0
    current: Trial | None = None
    best: Trial | None = None
    cooled: int = 0  # trials since the walk was last heated
    stuck: int = 0  # trials since then, or since the last new best
    spread: float = 0.0  # mean distance of a score from the one before it


@register("annealing")
@dataclass(frozen=True)
class SimulatedAnnealing(Strategy):
    """Simulated annealing: move between neighbours; worse ones are accepted while the temperature is high.

    Kirkpatrick, Gelatt and Vecchi, "Optimization by simulated annealing", Science 1983. A worse neighbour is taken with
    probability exp(-loss / temperature), where loss is the difference of the scores. The temperature is in units of the
    mean difference between one trial's score and the next, which makes it independent of the metric's scale; it is
    multiplied by `cooling` after each trial. After `period` trials without a new best the walk restarts from the best,
    at the first temperature. A neighbour is one mutation away, or more if all of those were proposed before.

    The state of the walk is replayed from the history; random numbers come from the seeds of the trials.

    Args:
        temperature: The first temperature, above 0.
        cooling: The factor of the temperature from one trial to the next, between 0 and 1.
        period: Trials without a new best, after which the walk restarts, at least 1.

    Raises:
        StrategyError: A setting is out of range.

    Example:
        >>> study = aw.Study(aw.Space(x=aw.integer(0, 63)), strategy=aw.strategies.SimulatedAnnealing())
        >>> study = study.run(lambda candidate: -abs(candidate.settings["x"] - 40), aw.Budget(trials=30))
        >>> study.best.trial.architecture["x"]
        40
    """

    temperature: float = 0.3
    cooling: float = 0.95
    period: int = 25

    def __post_init__(self) -> None:
        check_counts(self, "period")
        check_positive(self, "temperature")
        check_numbers(self, "cooling", allowed="between 0 and 1", holds=lambda value: 0 < value < 1)

    def propose(self, space: Space, history: History, rng: np.random.Generator) -> Architecture:
        """Return a mutation of the walk's current architecture, or a random start."""
        walk = self.state_of(history, _Walk)
        for trial in history.complete[walk.replayed :]:
            self._replay(walk, trial, history)
        if walk.current is None:
            return initial(space, history, rng)
        return new_mutant(space, history, walk.current.architecture, rng)

    def _replay(self, walk: _Walk, trial: Trial, history: History) -> None:
        score = history.score(trial)
        if walk.current is None or walk.best is None:
            walk.current = walk.best = trial
        else:
            last = history.scores[walk.replayed - 1]
            walk.spread += (abs(score - last) - walk.spread) / walk.replayed
            temperature = self.temperature * self.cooling**walk.cooled * walk.spread
            loss = history.score(walk.current) - score
            coin = np.random.default_rng([trial.seed, 1]).random()
            if loss <= 0 or (temperature > 0 and coin < math.exp(-loss / temperature)):
                walk.current = trial
            walk.cooled += 1
            walk.stuck += 1
            if score > history.score(walk.best):
                walk.best, walk.stuck = trial, 0
            elif walk.stuck >= self.period:
                walk.current, walk.cooled, walk.stuck = walk.best, 0, 0
        walk.replayed += 1
