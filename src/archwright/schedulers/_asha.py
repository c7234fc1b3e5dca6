"""Asynchronous successive halving."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from archwright.schedulers._base import Assignment, Scheduler, check_eta, register
from archwright.schedulers._ladder import Ladder
from archwright.schedulers._rungs import rungs
from archwright.trials import History


@register("asha")
@dataclass(frozen=True)
class ASHA(Scheduler):
    """ASHA: asynchronous successive halving; a trial in the best third of its rung is promoted at once.

    Li et al., "A system for massively parallel hyperparameter tuning", MLSys 2020, algorithm 2. No worker waits: if no
    trial can be promoted, a new one starts on the lowest rung.

    Args:
        eta: The reduction factor: 1 in `eta` trials is promoted, to a rung of about `eta` times the cost; above 1.

    Raises:
        SchedulerError: The setting is out of range.

    Example:
        >>> space, epochs = aw.Space(x=aw.integer(0, 63)), {"epochs": (1, 9)}
        >>> study = aw.Study(space, strategy="random", scheduler=aw.schedulers.ASHA(), fidelity=epochs)
        >>> study = study.run(lambda candidate: candidate.settings["x"], aw.Budget(trials=5))
        >>> [trial.fidelity["epochs"] for trial in study.trials[:14]]
        [1, 1, 1, 3, 1, 1, 1, 3, 1, 1, 1, 3, 9, 1]
    """

    eta: float = 3.0

    def __post_init__(self) -> None:
        check_eta(self)

    def assign(
        self, ladder: Ladder, history: History, rng: np.random.Generator, *, more: bool = True
    ) -> Assignment | None:
        """Return the promotion that is due on the highest rung, or else a new trial on the lowest."""
        held, limit = rungs(ladder, history), self.limit(ladder, history)
        for level in reversed(range(limit)):
            due = max(int(len(held.ranked[level]) / self.eta), 0 if more else 1)
            for number in held.waiting(level, 1):
                if held.place(number, level) < due:
                    return Assignment(level + 1, history.trials[number])
        return Assignment(0) if more else None

    def limit(self, ladder: Ladder, history: History) -> int:
        """Return the last rung that is in use."""
        return ladder.top
