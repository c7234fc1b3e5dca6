"""State that is kept per history."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar
from weakref import WeakKeyDictionary

from archwright.trials._history import History

S = TypeVar("S")


class Stateful:
    """Mixin that keeps a state for each history, a cache that is replayed from it and released with it.

    Example:
        >>> from archwright.trials import Stateful
        >>> history, counter = aw.History(aw.Objective("value")), Stateful()
        >>> counter.state_of(history, dict)["seen"] = 3
        >>> counter.state_of(history, dict)
        {'seen': 3}
    """

    def state_of(self, history: History, begin: Callable[[], S]) -> S:
        """Return the state that this object keeps for a history, to be brought up to date with it.

        Args:
            history: The trials.
            begin: Creates the initial state; independent of the length of the history.
        """
        states: WeakKeyDictionary[History, Any] = self.__dict__.setdefault("_states", WeakKeyDictionary())
        if history not in states:
            states[history] = begin()
        state: S = states[history]
        return state
