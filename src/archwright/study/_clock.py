"""The wall-clock time of a study."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

_began: ContextVar[float | None] = ContextVar("began", default=None)


@contextmanager
def counting_from(moment: float) -> Iterator[None]:
    """Context manager in which the time budgets of searches count from an earlier moment, such as the program's start.

    Args:
        moment: The moment, in seconds of `time.monotonic()`.

    Example:
        >>> from archwright.study import counting_from
        >>> with counting_from(time.monotonic() - 60):
        ...     study = aw.search(aw.Space(x=aw.integer(0, 9)), lambda one: 1.0, budget=aw.Budget(trials=1, seconds=90))
        >>> study.elapsed > 60
        True
    """
    token = _began.set(moment)
    try:
        yield
    finally:
        _began.reset(token)


def began() -> float:
    """Return when the search that is called now has begun, in seconds of `time.monotonic()`."""
    moment = _began.get()
    return time.monotonic() if moment is None else moment


class Clock:
    """Counts the seconds in which a study is at work, over all its sessions.

    It runs while at least one piece of work is under way: each `start` has its `stop`.
    """

    def __init__(self) -> None:
        self._before = 0.0
        self._since = 0.0
        self._under_way = 0

    @property
    def elapsed(self) -> float:
        """Seconds so far."""
        return self._before + (time.monotonic() - self._since if self._under_way else 0.0)

    def set(self, elapsed: float) -> None:
        """Go on from a number of seconds."""
        self._before, self._since = elapsed, time.monotonic()

    def add(self, seconds: float) -> None:
        """Count what has been done in so many seconds until now, unless other work was under way and counts it."""
        if not self._under_way:
            self._before += seconds

    def start(self) -> None:
        """Note that a piece of work begins."""
        if not self._under_way:
            self._since = time.monotonic()
        self._under_way += 1

    def stop(self) -> None:
        """Note that a piece of work has ended."""
        self._before = self.elapsed
        self._since = time.monotonic()
        self._under_way = max(0, self._under_way - 1)
