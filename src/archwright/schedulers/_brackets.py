"""Brackets of synchronous successive halving."""

from __future__ import annotations

import math
from bisect import insort
from collections.abc import Callable, Collection
from dataclasses import dataclass, field

from archwright.schedulers._base import Assignment
from archwright.schedulers._ladder import Ladder
from archwright.schedulers._rungs import Key
from archwright.trials import History, Stateful


@dataclass(frozen=True)
class Bracket:
    """A round of successive halving."""

    start: int  # the rung on which it begins
    sizes: tuple[int, ...]  # how many trials it has on that rung and on each that follows


Plan = Callable[[int], Bracket]
"""Returns the bracket of a number, from 0."""


def halved(ladder: Ladder, start: int, count: int, eta: float) -> Bracket:
    """Return the bracket in which `count` trials begin on a rung and one in `eta` goes on; one at least."""
    sizes = [count]
    while len(sizes) <= ladder.top - start:
        sizes.append(max(1, int(sizes[-1] / eta)))
    return Bracket(start, tuple(sizes))


def hyperband(ladder: Ladder, eta: float, number: int) -> Bracket:
    """Return a bracket of Hyperband: from many trials on the lowest rung to a few full evaluations, round and round."""
    rungs = len(ladder.rungs)
    s = rungs - 1 - number % rungs
    return halved(ladder, ladder.top - s, math.ceil(rungs * eta**s / (s + 1)), eta)


def cost(ladder: Ladder, bracket: Bracket) -> float:
    """Return how many full evaluations a bracket costs, where trials that go on are not started again."""
    costs = ladder.costs[bracket.start :]
    return sum(size * (now - before) for size, now, before in zip(bracket.sizes, costs, (0.0, *costs), strict=False))


class _Running:
    """A bracket in progress: for each of its rungs how many trials have begun and ended, and which are the best."""

    def __init__(self, bracket: Bracket) -> None:
        count = len(bracket.sizes)
        self.bracket = bracket
        self.begun, self.ended = [0] * count, [0] * count
        self.best: list[list[Key]] = [[] for _ in range(count)]

    def full(self, rung: int) -> bool:
        """Tell whether all that are planned for a rung have begun."""
        return self.begun[rung] == self.bracket.sizes[rung]

    def due(self, continued: Collection[int], *, closed: bool = False) -> int | None:
        """Return the trial that is to go on now, of none that did: of a rung on which all have ended, one of the best.

        A bracket is closed where no more begin on the first rung, though more are planned.
        """
        coming = self.begun[0] if closed else self.bracket.sizes[0]
        for rung, size in enumerate(self.bracket.sizes[1:]):
            if self.ended[rung] < coming:
                return None
            going = [int(key[-1]) for key in self.best[rung][:size]]
            for number in going:
                if number not in continued:
                    return number
            coming = len(going)
        return None


@dataclass
class _State:
    """The brackets of a history of which the first `trials` have begun and the first `finished` have ended."""

    open: list[_Running] = field(default_factory=list)  # those of which trials run or are to run, the oldest first
    last: _Running | None = None  # to which new trials belong, until it is full
    count: int = 0
    of: dict[int, _Running] = field(default_factory=dict)  # trial -> bracket
    continued: set[int] = field(default_factory=set)
    trials: int = 0
    finished: int = 0


class Brackets(Stateful):
    """Follows a history from bracket to bracket.

    Args:
        limit: How many brackets there are; without end where not given. What begins later is none of theirs.
    """

    def __init__(self, limit: int | None = None) -> None:
        self._limit = limit

    def assign(self, ladder: Ladder, history: History, plan: Plan, *, more: bool = True) -> Assignment | None:
        """Return what is due: the promotion in the oldest bracket, or a new trial in the youngest; or None."""
        state = self._follow(ladder, history, plan)
        for running in state.open:
            number = running.due(state.continued, closed=not more)
            if number is not None:
                origin = history.trials[number]
                return Assignment(ladder.level(origin.share) + 1, origin)
        return Assignment(state.last.bracket.start) if more and state.last and not state.last.full(0) else None

    def checkpoints(self, ladder: Ladder, history: History, plan: Plan) -> frozenset[int]:
        """Return the trials that may still go on in their bracket."""
        state = self._follow(ladder, history, plan)
        found: set[int] = set()
        for running in state.open:
            for rung, size in enumerate(running.bracket.sizes[1:]):
                found.update(int(key[-1]) for key in running.best[rung][:size])
        return frozenset(found - state.continued)

    def trials(self, ladder: Ladder, history: History, plan: Plan) -> int:
        """Return how many trials are in brackets."""
        return len(self._follow(ladder, history, plan).of)

    def over(self, ladder: Ladder, history: History, plan: Plan) -> bool:
        """Tell whether all brackets there are have come to their end."""
        state = self._follow(ladder, history, plan)
        return state.count == self._limit and not state.open

    def _follow(self, ladder: Ladder, history: History, plan: Plan) -> _State:
        state = self.state_of(history, _State)
        self._open(state, plan)
        for trial in history.trials[state.trials :]:
            before = history.before(trial)
            if before is not None:
                state.continued.add(before.number)
                running = state.of.get(before.number)
            else:
                running = state.last if state.last and not state.last.full(0) else None
            if running is None:
                continue
            rung = ladder.level(trial.share) - running.bracket.start
            if not running.full(rung):  # else the bracket is over, and the trial goes on for another reason
                running.begun[rung] += 1
                state.of[trial.number] = running
                self._open(state, plan)
        state.trials = len(history.trials)
        for trial in history.finished[state.finished :]:
            running = state.of.get(trial.number)
            if running is None:
                continue
            rung = ladder.level(trial.share) - running.bracket.start
            running.ended[rung] += 1
            if trial.state == "complete":
                insort(running.best[rung], (*(-value for value in history.rank(trial)[1:]), trial.number))
                if len(history.objectives) > 1:
                    numbers = [int(key[-1]) for key in running.best[rung]]
                    ordered = history.best_first(history.trials[number] for number in numbers)
                    running.best[rung] = [(place, each.number) for place, each in enumerate(ordered)]
        state.finished = len(history.finished)
        state.open = [each for each in state.open if not self._over(each, state)]
        return state

    def _open(self, state: _State, plan: Plan) -> None:
        """Open the next bracket, if there is one, when the last is full."""
        if state.count != self._limit and (state.last is None or state.last.full(0)):
            state.last = _Running(plan(state.count))
            state.open.append(state.last)
            state.count += 1

    def _over(self, running: _Running, state: _State) -> bool:
        """Tell whether nothing runs in a bracket and nothing will."""
        return running.full(0) and running.begun == running.ended and running.due(state.continued) is None
