"""Failures that no architecture is the cause of."""

from __future__ import annotations

import math
import re
import traceback

from archwright.trials import History, Trial

__all__ = ["Failures"]

_ROW = 30  # failures of one kind in a row that are at least needed
_ROW_UNNAMED = 5  # the same where the objective was not measured, which no architecture decides
_CHANCE = 1e-9  # of such a row, if it were chance
_NUMBER = re.compile(r"0x[0-9a-fA-F]+|\d+")


class Failures:
    """Tells when trials fail whatever the architecture is, so that to go on would spend the budget on nothing.

    That is so after 30 failures of one kind in a row, where as many by chance are less likely than one in 10^9, given
    the share of failures before them (as (failures + 1) / (trials + 2), Laplace's rule of succession): from the
    beginning after 30, and later than that in spaces in which many architectures fail. Where trials end without the
    objective among their metrics, 5 from the beginning are enough.

    Two failures are of one kind if their errors are the same but for numbers.

    Args:
        history: The history that the trials belong to.

    Attributes:
        reason: What to tell of them; `None` while trials may go on.
    """

    def __init__(self, history: History) -> None:
        self._history = history
        self._kind: str | None = None
        self._row = self._before = self._failed_before = 0
        self.reason: str | None = None

    def note(self, trial: Trial, outcome: object) -> None:
        """Take note of a trial that has ended, with what its evaluation gave or raised."""
        kind = _kind(trial, outcome) if trial.state == "failed" else None
        if kind is None or kind != self._kind:
            self._before += self._row
            self._failed_before += self._row if self._kind is not None else 0
            self._kind, self._row = kind, 0
        self._row += 1
        if kind is None:
            return
        unnamed = bool(trial.metrics) and any(each.metric not in trial.metrics for each in self._history.objectives)
        chance = self._row * math.log((self._failed_before + 1) / (self._before + 2))
        if (self._row >= _ROW and chance < math.log(_CHANCE)) or (
            unnamed and not self._before and self._row >= _ROW_UNNAMED
        ):
            which = "trials in a row" if self._before else "trials"
            first = "" if self._before else "the first "
            self.reason = (
                f"{first}{self._row} {which} failed in the same way, and the search was ended: {trial.cause}. When the "
                "cause is mended, `resume` goes on"
            )


def _kind(trial: Trial, outcome: object) -> str:
    error = "".join(traceback.format_exception_only(outcome)) if isinstance(outcome, BaseException) else trial.cause
    return _NUMBER.sub("#", error)
