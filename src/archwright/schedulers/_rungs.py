"""The trials of a history by rung."""

from __future__ import annotations

from bisect import bisect_left, insort
from dataclasses import replace
from weakref import WeakKeyDictionary

from archwright.schedulers._ladder import Ladder
from archwright.trials import History

Key = tuple[float, ...]
"""What trials of one rung are sorted by, the best first: less is better. The last is the trial's number."""

_held: WeakKeyDictionary[History, Rungs] = WeakKeyDictionary()


class Rungs:
    """The trials of a history by rung; each is looked at once.

    Args:
        ladder: The rungs.
        history: The trials. It is handed in again for each question, so that this can be kept beside it.

    Attributes:
        root: For each trial the number of the one that began from scratch.
        ranked: For each rung the keys of the trials that were measured on it, the best first.
        views: For each rung the history of what was measured on it alone.
    """

    def __init__(self, ladder: Ladder, history: History) -> None:
        count = len(ladder.rungs)
        self.ladder = ladder
        self.root: list[int] = []
        self.ranked: list[list[Key]] = [[] for _ in range(count)]
        self.views = [
            History(history.objectives, constraints=history.constraints, within=history) for _ in range(count)
        ]
        self._waiting: list[list[Key]] = [[] for _ in range(count)]  # of those ranked, what none goes on from yet
        self._continued: set[int] = set()
        self._keys: dict[int, Key] = {}
        self._place: list[int] = []  # of each trial in its rung's view
        self._finished = 0
        self._several = len(history.objectives) > 1

    def follow(self, history: History) -> None:
        """Take in the trials that have begun or ended since."""
        for view in self.views:
            view.learned = history.learned
        for trial in history.trials[len(self.root) :]:
            before = history.before(trial)
            self.root.append(trial.number if before is None else self.root[before.number])
            if before is not None and before.number not in self._continued:
                self._continued.add(before.number)
                if before.number in self._keys:
                    waiting = self._waiting[self.ladder.level(before.share)]
                    del waiting[bisect_left(waiting, self._keys[before.number])]
            view = self.views[self.ladder.level(trial.share)]
            self._place.append(len(view.trials))
            view.add(replace(trial, number=len(view.trials), origin=None, state="running"))
        changed: set[int] = set()
        for trial in history.finished[self._finished :]:
            level = self.ladder.level(trial.share)
            self.views[level].add(replace(trial, number=self._place[trial.number], origin=None))
            if trial.state == "complete":
                key = (*(-value for value in history.rank(trial)[1:]), trial.number)
                self._keys[trial.number] = key
                insort(self.ranked[level], key)
                if trial.number not in self._continued:
                    insort(self._waiting[level], key)
                changed.add(level)
        self._finished = len(history.finished)
        for level in changed if self._several else ():
            self._sort(history, level)

    def _sort(self, history: History, level: int) -> None:
        """Rank the trials of a rung anew: with several objectives each that comes may move all others."""
        # By number, for among equals the first comes first: what is ranked at once is ranked as what came bit by bit.
        ordered = history.best_first(
            history.trials[number] for number in sorted(int(key[-1]) for key in self.ranked[level])
        )
        self._keys |= {trial.number: (place, trial.number) for place, trial in enumerate(ordered)}
        self.ranked[level] = [self._keys[trial.number] for trial in ordered]
        self._waiting[level] = [key for key in self.ranked[level] if key[-1] not in self._continued]

    def waiting(self, level: int, count: int) -> list[int]:
        """Return the numbers of the best trials of a rung that no other goes on from yet, the best first."""
        return [int(key[-1]) for key in self._waiting[level][:count]]

    def place(self, number: int, level: int) -> int:
        """Return how many trials of the rung are better than one of them."""
        return bisect_left(self.ranked[level], self._keys[number])

    def view(self, enough: int) -> History:
        """Return the history of the dearest rung on which enough trials were measured; else of that with the most."""
        for view in reversed(self.views):
            if len(view.complete) >= enough:
                return view
        return max(reversed(self.views), key=lambda view: len(view.complete))


def rungs(ladder: Ladder, history: History) -> Rungs:
    """Return what a history has come to on the rungs of a ladder."""
    held = _held.get(history)
    if held is None or held.ladder != ladder:
        held = _held[history] = Rungs(ladder, history)
    held.follow(history)
    return held
