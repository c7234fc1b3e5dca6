"""Successive halving."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from archwright._checks import check_counts
from archwright.schedulers._base import Assignment, Scheduler, check_eta, register
from archwright.schedulers._brackets import Bracket, Brackets, cost, halved
from archwright.schedulers._ladder import Ladder
from archwright.trials import History


@register("successive-halving")
@dataclass(frozen=True)
class SuccessiveHalving(Scheduler):
    """Successive halving (synchronous): when a rung is complete, the best third is promoted to the next.

    Karnin, Koren and Somekh, "Almost optimal exploration in multi-armed bandits", ICML 2013; Jamieson and Talwalkar,
    "Non-stochastic best arm identification and hyperparameter optimization", AISTATS 2016.

    Args:
        trials: Number of new trials of each round; by default as many as leave one on the last rung.
        eta: The reduction factor: 1 in `eta` trials is promoted, to a rung of about `eta` times the cost; above 1.

    Raises:
        SchedulerError: A setting is out of range.

    Example:
        >>> space, epochs = aw.Space(x=aw.integer(0, 63)), {"epochs": (1, 9)}
        >>> study = aw.Study(space, strategy="random", scheduler=aw.schedulers.SuccessiveHalving(), fidelity=epochs)
        >>> study = study.run(lambda candidate: candidate.settings["x"], aw.Budget(trials=5))
        >>> [trial.fidelity["epochs"] for trial in study.trials[:14]]
        [1, 1, 1, 1, 1, 1, 1, 1, 1, 3, 3, 3, 9, 1]
    """

    trials: int | None = None
    eta: float = 3.0
    _brackets: Brackets = field(default_factory=Brackets, init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        check_eta(self)
        if self.trials is not None:
            check_counts(self, "trials", least=2)

    def assign(
        self, ladder: Ladder, history: History, rng: np.random.Generator, *, more: bool = True
    ) -> Assignment | None:
        """Return the next promotion, or a new trial on the lowest rung."""
        return self._brackets.assign(ladder, history, lambda _: self._round(ladder), more=more)

    def checkpoints(self, ladder: Ladder, history: History) -> frozenset[int]:
        """Return the best of each rung, as many as are promoted from it."""
        return self._brackets.checkpoints(ladder, history, lambda _: self._round(ladder))

    def bracket(self, ladder: Ladder) -> float:
        """Return the cost of a round in full evaluations."""
        return cost(ladder, self._round(ladder))

    def _round(self, ladder: Ladder) -> Bracket:
        return halved(ladder, 0, self.trials or round(self.eta**ladder.top), self.eta)
