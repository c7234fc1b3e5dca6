"""Rounds of successive halving: many begin, the best of each rung go on when all of it have ended."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from weakref import WeakKeyDictionary

from archwright.schedulers._base import Job
from archwright.schedulers._ladder import Ladder
from archwright.trials import History

__all__ = ["Bracket", "Brackets", "Plan", "cost", "halved", "hyperband"]


@dataclass(frozen=True)
class Bracket:
    """A round of successive halving.

    Args:
        start: The rung on which it begins.
        sizes: How many trials it has on that rung and on each that follows.
    """

    start: int
    sizes: tuple[int, ...]


Plan = Callable[[int], Bracket]
"""Returns the bracket of a number, from 0."""


def halved(ladder: Ladder, start: int, count: int, eta: float) -> Bracket:
    """Return the bracket in which `count` trials begin on a rung and one in `eta` goes on; one at least."""
    sizes = [count]
    while len(sizes) <= ladder.top - start:
        sizes.append(max(1, int(sizes[-1] / eta)))
    return Bracket(start, tuple(sizes))


def hyperband(ladder: Ladder, number: int, eta: float) -> Bracket:
    """Return a bracket of Hyperband: from many trials on the lowest rung to a few full evaluations, round and round."""
    rungs = len(ladder.rungs)
    s = rungs - 1 - number % rungs
    return halved(ladder, ladder.top - s, -int(-(rungs * eta**s) // (s + 1)), eta)


def cost(ladder: Ladder, bracket: Bracket) -> float:
    """Return how many full evaluations a bracket costs, where trials that go on are not started again."""
    costs = ladder.costs[bracket.start :]
    return sum(size * (now - before) for size, now, before in zip(bracket.sizes, costs, (0.0, *costs), strict=False))


@dataclass
class _Running:
    """A bracket in progress: for each of its rungs the trials that began and those that have ended."""

    bracket: Bracket
    begun: list[int]
    ended: list[int]
    best: list[list[tuple[float, float, int]]]


@dataclass
class _State:
    """The brackets of a history of which the first `trials` have begun and the first `finished` have ended."""

    brackets: list[_Running] = field(default_factory=list)
    of: dict[int, int] = field(default_factory=dict)  # trial -> bracket
    continued: set[int] = field(default_factory=set)
    trials: int = 0
    finished: int = 0


class Brackets:
    """Follows a history from bracket to bracket.

    Args:
        limit: How many brackets there are; without end where not given.
    """

    def __init__(self, limit: int | None = None) -> None:
        self._limit = limit
        self._states: WeakKeyDictionary[History, _State] = WeakKeyDictionary()

    def job(self, ladder: Ladder, history: History, plan: Plan, *, more: bool = True) -> Job | None:
        """Return what is due: the promotion in the oldest bracket, or a new trial in the youngest.

        Returns:
            `None` where nothing is due: without `more`, or at the end of the last bracket.
        """
        state = self._follow(ladder, history, plan)
        for running in state.brackets:
            best = self._promotion(running, state, closed=not more)
            if best is not None:
                number, level = best
                return Job(level, history.trials[number])
        if not more:
            return None
        if not state.brackets or state.brackets[-1].begun[0] == state.brackets[-1].bracket.sizes[0]:
            if self._limit is not None and len(state.brackets) >= self._limit:
                return None
            return Job(plan(len(state.brackets)).start)
        return Job(state.brackets[-1].bracket.start)

    def wanted(self, ladder: Ladder, history: History, plan: Plan) -> frozenset[int]:
        """Return the trials that may still go on in their bracket."""
        state = self._follow(ladder, history, plan)
        found: set[int] = set()
        for running in state.brackets:
            for rung, size in enumerate(running.bracket.sizes[1:]):
                found |= {key[-1] for key in running.best[rung][:size]}
        return frozenset(found - state.continued)

    def _promotion(self, running: _Running, state: _State, *, closed: bool) -> tuple[int, int] | None:
        sizes = running.bracket.sizes
        for rung in range(len(sizes) - 2, -1, -1):
            expected = running.begun[rung] if closed else min(sizes[rung], self._reachable(running, rung))
            if not expected or running.ended[rung] < expected:
                continue
            for key in running.best[rung][: sizes[rung + 1]]:
                if key[-1] not in state.continued:
                    return key[-1], running.bracket.start + rung + 1
        return None

    def _reachable(self, running: _Running, rung: int) -> int:
        """Return how many trials can come to a rung: fewer than planned where some failed on the one below."""
        if rung == 0:
            return running.bracket.sizes[0]
        below = running.bracket.sizes[rung - 1]
        full = running.ended[rung - 1] >= min(below, self._reachable(running, rung - 1))
        return len(running.best[rung - 1]) if full else below

    def _follow(self, ladder: Ladder, history: History, plan: Plan) -> _State:
        state = self._states.setdefault(history, _State())
        for trial in history.trials[state.trials :]:
            before = history.before(trial)
            if before is not None:
                state.continued.add(before.number)
                place = state.of.get(before.number)
            else:
                last = state.brackets[-1] if state.brackets else None
                if last is None or last.begun[0] == last.bracket.sizes[0]:
                    if self._limit is not None and len(state.brackets) >= self._limit:
                        continue  # it is none of theirs
                    bracket = plan(len(state.brackets))
                    count = len(bracket.sizes)
                    state.brackets.append(_Running(bracket, [0] * count, [0] * count, [[] for _ in range(count)]))
                place = len(state.brackets) - 1
            if place is not None:
                state.of[trial.number] = place
                running = state.brackets[place]
                running.begun[ladder.level(trial.share) - running.bracket.start] += 1
        state.trials = len(history.trials)
        for trial in history.finished[state.finished :]:
            place = state.of.get(trial.number)
            if place is None:
                continue
            running = state.brackets[place]
            rung = ladder.level(trial.share) - running.bracket.start
            running.ended[rung] += 1
            if trial.state == "complete":
                _, score, less_loss = history.rank(trial)
                running.best[rung].append((-score, -less_loss, trial.number))
                running.best[rung].sort()
        state.finished = len(history.finished)
        return state
