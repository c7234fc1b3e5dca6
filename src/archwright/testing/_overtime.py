"""A search whose time is over, watched."""

from __future__ import annotations

from archwright.study import Callback, Study
from archwright.trials import Trial

__all__ = ["Overtime"]


class Overtime(Callback):
    """Counts the trials that begin after the time of the budget is over, and ends a search that goes on regardless.

    One is within the law: the clock may pass the end between the last look at it and the beginning of the trial.

    Attributes:
        trials: How many.
    """

    def __init__(self) -> None:
        self.trials = 0

    def on_trial_start(self, study: Study, trial: Trial) -> None:
        """Count the trial if it is late."""
        if study.budget is not None and study.elapsed > study.budget.time:
            self.trials += 1
            if self.trials > 1:
                study.stop()
