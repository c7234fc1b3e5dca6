"""When a search in a time budget ends, and when its final trainings do."""

from __future__ import annotations

import math
import time

from archwright.study._forecast import Forecast
from archwright.trials import History, Trial

_SPARE = 2.0  # times the seconds of a final training, for what differs from the search
_LEAST_SHARE = 1 / 3  # of the time that was kept for final trainings at first, that they have at least
_FULL = 1 - 1e-9  # the share of a full evaluation, whose epochs take as long as those of a final training


class Deadlines:
    """The ends of a search and of its final trainings, in seconds of `time.monotonic()`; infinite at first.

    Args:
        finals: The number of final trainings.
        epochs: The largest number of epochs of a final training; infinite where it is not known.

    Attributes:
        end: When all is to be over.
        search_end: When the search is to be over.
    """

    def __init__(self, finals: int, epochs: float) -> None:
        self.end = self.search_end = self._planned = math.inf
        self._finals, self._epochs = finals, epochs
        self._plan: Forecast | None = None
        self._slowest = 0.0  # seconds of an epoch so far

    def begin(self, left: float, kept: float, history: History, plan: Forecast | None) -> None:
        """Set them.

        Args:
            left: Seconds that are left of the budget.
            kept: Seconds at their end that are for final trainings.
            history: The trials before.
            plan: What is told of the search.
        """
        self.end = time.monotonic() + left
        self.search_end = self._planned = self.end - kept
        self._plan = plan
        for trial in history.complete:
            self.note(history, trial)

    def note(self, history: History, trial: Trial) -> bool:
        """Take in a complete trial; return whether it moves the end of the search.

        The search has the time that final trainings cannot use, to judge by the slowest network among full evaluations,
        of which the best one is chosen.
        """
        kept, epochs = self.end - self._planned, trial.metrics.get("epochs", 0.0)
        if not (0 < kept < math.inf and self._finals and trial.share > _FULL and epochs > 0):
            return False
        self._slowest = max(self._slowest, trained_seconds(history, trial) / epochs)
        needed = _SPARE * self._slowest * self._epochs * self._finals
        before, self.search_end = self.search_end, self.end - min(kept, max(needed, _LEAST_SHARE * kept))
        if self._plan is not None:
            self._plan.seconds += self.search_end - before
        return self.search_end != before


def trained_seconds(history: History, trial: Trial) -> float:
    """Return how long the network of a trial was trained, with the trials that it continues."""
    part: Trial | None = trial
    seconds = 0.0
    while part is not None:
        seconds, part = seconds + part.seconds, history.before(part)
    if "splits" in (trial.fidelity or {}):
        seconds /= max(1, len(trial.curve))  # the network is that of the first one
    return seconds
