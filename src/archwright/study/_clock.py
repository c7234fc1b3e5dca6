"""The time that a study has taken."""

from __future__ import annotations

import time

__all__ = ["Clock"]


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
