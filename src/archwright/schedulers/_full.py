"""No scheduling."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from archwright.schedulers._base import Assignment, Scheduler, register
from archwright.schedulers._ladder import Ladder
from archwright.trials import History


@register("full")
@dataclass(frozen=True)
class Full(Scheduler):
    """No early stopping: every trial is a full evaluation.

    Example:
        >>> study = aw.Study(aw.Space(x=aw.integer(0, 9)), scheduler=aw.schedulers.Full())
        >>> [trial.share for trial in study.run(lambda candidate: 1.0, aw.Budget(trials=2)).trials]
        [1.0, 1.0]
    """

    partial: ClassVar[bool] = False

    def assign(
        self, ladder: Ladder, history: History, rng: np.random.Generator, *, more: bool = True
    ) -> Assignment | None:
        """Return a full evaluation."""
        return Assignment() if more else None
