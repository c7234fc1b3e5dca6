"""Failures that are not caused by architectures."""

from __future__ import annotations

import math
import re
import traceback

from archwright._words import counted
from archwright.trials import History, Trial

_ROW = 30  # failures of one kind in a row that are at least needed
_ROW_UNNAMED = 5  # the same where the objective was not measured, which no architecture decides
_CHANCE = 1e-9  # of such a row, if it were chance
_NUMBER = re.compile(r"0x[0-9a-fA-F]+|\d+")


class Failures:
    """Tells when trials fail whatever the architecture is, so that to go on would spend the budget on nothing.

    That is so where the first 60 trials fail in one of two ways; and after 30 failures of one kind in a row, where as
    many by chance are less likely than one in 10^9, given the share of failures before them (as (failures + 1) /
    (trials + 2), Laplace's rule of succession): from the beginning after 30, and later than that in spaces in which
    many architectures fail. Where trials end without the objective among their metrics, 5 from the beginning are
    enough.

    Two failures are of one kind if their errors are the same but for numbers.
    """

    def __init__(self, history: History) -> None:
        self._history = history
        self._kind: str | None = None
        self._row = self._before = self._failed_before = self._tried = 0
        self._first: set[str] | None = set()  # kinds of failures, until the first trial that does not fail
        self.reason: str | None = None  # what to tell of them; `None` while trials may go on

    def expect(self, error: BaseException) -> None:
        """Take note of a network that was tried out before the first trial and failed; it counts as a trial."""
        self._count(_kind(error))
        self._tried = self._row

    def note(self, trial: Trial, cause: str) -> None:
        """Take note of a trial that has ended, with the exception that its evaluation raised, as text."""
        if trial.state != "failed":
            self._count(None)
            return
        self._count(_kind(cause or trial.cause))
        unnamed = bool(trial.metrics) and any(each.metric not in trial.metrics for each in self._history.objectives)
        chance = self._row * math.log((self._failed_before + 1) / (self._before + 2))
        if self._first is not None and len(self._first) == 2 and self._before + self._row >= 2 * _ROW:
            trials = counted(self._before + self._row, "trial")
            self.reason = (
                f"the first {trials} failed with two errors, and the search was ended; the last one: {trial.cause}. "
                "Fix the cause, then `resume`"
            )
        elif (self._row >= _ROW and chance < math.log(_CHANCE)) or (
            unnamed and not self._before and self._row >= _ROW_UNNAMED
        ):
            count = self._row if self._before else self._row - self._tried
            trials = counted(count, "trial")
            failed = (
                f"{trials} in a row" if self._before else "the first trial" if count == 1 else f"the first {trials}"
            )
            if self._tried and not self._before:
                failed += f" and {counted(self._tried, 'network')} tested before them"
            self.reason = (
                f"{failed} failed with the same error, and the search was ended: {trial.cause}. Fix the cause, then "
                "`resume`"
            )

    def _count(self, kind: str | None) -> None:
        """Count one more of a kind, or of what did not fail."""
        if kind is None:
            self._first = None
        elif self._first is not None:
            self._first.add(kind)
        if kind is None or kind != self._kind:
            self._before += self._row
            self._failed_before += self._row if self._kind is not None else 0
            self._kind, self._row = kind, 0
        self._row += 1


def _kind(error: BaseException | str) -> str:
    text = error if isinstance(error, str) else "".join(traceback.format_exception_only(error))
    return _NUMBER.sub("#", text)
