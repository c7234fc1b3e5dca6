"""Decisions as actions, for policies and reinforcement learning agents."""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from archwright.space import Decision, Integer, Real, Subset, Value

_PARTS = 12  # actions of a decision that has more values than that, or infinitely many
_LISTED = 64  # a subset that has more values than that is decided option by option


class Actions:
    """The actions of one decision.

    An action is a value where the values are few or have no order. A decision of many ordered values, or of a real
    number, has an action for each of twelve equal parts of its range; parts without a value are left out. A subset of
    many values is decided option by option: action 0 leaves an option out, action 1 takes it.

    Args:
        decision: The decision.

    Attributes:
        steps: How many actions in a row make a value: the number of options for a large subset, else 1.
        count: How many actions each of these steps has.
    """

    def __init__(self, decision: Decision) -> None:
        self.decision = decision
        self.steps, self.count = 1, _PARTS
        self._large = decision if isinstance(decision, Subset) and decision.size > _LISTED else None
        self._values: list[Value] = []
        self._index: dict[Value, int] = {}
        self._edges: list[int] = []  # in ranks: where each part begins, and the end of the last
        if self._large is not None:
            self.steps, self.count = len(self._large.options), 2
        elif decision.size <= _PARTS or decision.width > 1:
            self._values = list(decision.values())
            self._index = {value: index for index, value in enumerate(self._values)}
            self.count = len(self._values)
        elif not isinstance(decision, Real):
            size = int(decision.size)
            begins = (bisect_left(range(size), part, key=self._part) for part in range(_PARTS))
            self._edges = [*sorted(set(begins) - {size}), size]
            self.count = len(self._edges) - 1
        self._even = np.full(self.count, 1 / self.count)
        self._even.flags.writeable = False

    def weights(self, taken: Sequence[int] = ()) -> NDArray[np.float64]:
        """Return the (count,) probabilities of the next action of a uniform draw; an action of 0 is not allowed.

        Args:
            taken: The actions taken for this decision so far, fewer than `steps`.
        """
        if self._large is None:
            return self._even
        left = len(self._large.options) - len(taken) - 1
        low, high = self._large.low - sum(taken), self._large.high - sum(taken)
        ways = [sum(math.comb(left, k) for k in range(max(0, low - in_), high - in_ + 1)) for in_ in (0, 1)]
        return np.array([way / sum(ways) for way in ways])

    def value(self, taken: Sequence[int], rng: np.random.Generator | None = None) -> Value:
        """Return the value that actions stand for; one of them where they stand for several.

        Args:
            taken: `steps` actions that `weights` allows.
            rng: Draws the value where there are several; without it the one in the middle is returned.
        """
        if self._large is not None:
            return self._large.decode([float(action) for action in taken])
        (action,) = taken
        if self._values:
            return self._values[action]
        if self._edges:
            first, end = self._edges[action : action + 2]
            return self._at((first + end) // 2 if rng is None else int(rng.integers(first, end)))
        value = self.decision.decode([(action + (0.5 if rng is None else rng.random())) / _PARTS])
        if rng is None or self._unit(value) == action:
            return value
        return self.value(taken)  # it was rounded into the part beside

    def taken(self, value: Value) -> tuple[int, ...]:
        """Return the `steps` actions that stand for a value of the decision."""
        if self._large is not None:
            return tuple(int(slot) for slot in self._large.encode(value))
        if self._values:
            return (self._index[value],)
        if self._edges:
            return (bisect_right(self._edges, self._rank(value)) - 1,)
        return (self._unit(value),)

    def _part(self, rank: int) -> int:
        """Return which part of the range a value lies in, by its rank among the values."""
        if isinstance(self.decision, Integer) and self.decision.log:
            return self._unit(self._at(rank))
        return rank * _PARTS // int(self.decision.size)

    def _unit(self, value: Value) -> int:
        return min(int(self.decision.encode(value)[0] * _PARTS), _PARTS - 1)

    def _at(self, rank: int) -> Value:
        if isinstance(self.decision, Integer):
            return self.decision.low + rank * self.decision.step
        return self.decision.decode([rank / (int(self.decision.size) - 1)])

    def _rank(self, value: Value) -> int:
        if isinstance(self.decision, Integer) and isinstance(value, int):
            return (value - self.decision.low) // self.decision.step
        return round(self.decision.encode(value)[0] * (int(self.decision.size) - 1))
