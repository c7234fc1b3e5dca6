"""How many networks a search in a time budget will try, as far as that can be told."""

from __future__ import annotations

from dataclasses import dataclass

_OFF = 1.5  # times more or fewer networks than were said, from which that is corrected
_LEAST = 4  # networks, and
_SHARE = 0.2  # of the time of the search, after which the pace is known


@dataclass
class Forecast:
    """About how many networks a search tries.

    Args:
        networks: How many, as was said last.
        seconds: The time of the search, without the final training.
    """

    networks: float
    seconds: float

    def correct(self, networks: int, seconds: float) -> float | None:
        """Take in how many networks were tried in a time; return how many it will be, if that is news.

        Args:
            networks: The number of different networks so far.
            seconds: The time so far.
        """
        share = min(1.0, seconds / self.seconds)
        if networks < _LEAST or share < _SHARE:
            return None
        found = networks / share
        if 1 / _OFF <= found / max(self.networks, 1.0) <= _OFF:
            return None
        self.networks = found
        return found
