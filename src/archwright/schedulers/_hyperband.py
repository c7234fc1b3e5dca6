"""Hyperband."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial

import numpy as np

from archwright.schedulers._base import Assignment, Scheduler, check_eta, register
from archwright.schedulers._brackets import Brackets, cost, hyperband
from archwright.schedulers._ladder import Ladder
from archwright.trials import History


@register("hyperband")
@dataclass(frozen=True)
class Hyperband(Scheduler):
    """Hyperband: brackets of successive halving with different numbers of trials and lowest rungs.

    Li, Jamieson, DeSalvo, Rostamizadeh and Talwalkar, "Hyperband: a novel bandit-based approach to hyperparameter
    optimization", JMLR 2018, algorithm 1. The later brackets start on higher rungs, which hedges against misleading low
    fidelities.

    Args:
        eta: The reduction factor: 1 in `eta` trials is promoted, to a rung of about `eta` times the cost; above 1.

    Raises:
        SchedulerError: The setting is out of range.

    Example:
        >>> space, epochs = aw.Space(x=aw.integer(0, 63)), {"epochs": (1, 9)}
        >>> study = aw.Study(space, strategy="random", scheduler=aw.schedulers.Hyperband(), fidelity=epochs)
        >>> study = study.run(lambda candidate: candidate.settings["x"], aw.Budget(trials=5))
        >>> [trial.fidelity["epochs"] for trial in study.trials[:14]]
        [1, 1, 1, 1, 1, 1, 1, 1, 1, 3, 3, 3, 9, 3]
    """

    eta: float = 3.0
    _brackets: Brackets = field(default_factory=Brackets, init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        check_eta(self)

    def assign(
        self, ladder: Ladder, history: History, rng: np.random.Generator, *, more: bool = True
    ) -> Assignment | None:
        """Return the next promotion of the oldest bracket, or a new trial of the youngest."""
        return self._brackets.assign(ladder, history, partial(hyperband, ladder, self.eta), more=more)

    def checkpoints(self, ladder: Ladder, history: History) -> frozenset[int]:
        """Return the best of each rung of each bracket, as many as are promoted from it."""
        return self._brackets.checkpoints(ladder, history, partial(hyperband, ladder, self.eta))

    def bracket(self, ladder: Ladder) -> float:
        """Return the cost of the first bracket in full evaluations."""
        return cost(ladder, hyperband(ladder, self.eta, 0))
