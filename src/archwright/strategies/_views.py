"""Histories of several objectives with scalarised scores."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from archwright.trials import History, Objective


class Views:
    """A history of one objective for each of several, over the same trials, which have no curves there."""

    def __init__(self, history: History, objectives: Iterable[Objective]) -> None:
        self.histories = [History(objective, within=history) for objective in objectives]
        self._begun = self._finished = 0

    def follow(self, history: History) -> None:
        """Take in what has begun and what has ended since."""
        for view in self.histories:
            view.learned = history.learned
            for trial in history.trials[self._begun :]:
                view.add(replace(trial, state="running", curve=()))
            for trial in history.finished[self._finished :]:
                view.add(replace(trial, curve=()))
        self._begun, self._finished = len(history.trials), len(history.finished)
