"""Means over repeated trainings of a network."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

T = TypeVar("T", bound=Hashable)


class Repeats(Generic[T]):
    """Lines of a file, joined where they are about the same network.

    Args:
        networks: What network each line is about.

    Attributes:
        listed: The networks, each once, in the order in which they first occur.
        rows: (lines,) the place of each line's network among them.
    """

    def __init__(self, networks: Sequence[T]) -> None:
        self.listed = list(dict.fromkeys(networks))
        place = {network: row for row, network in enumerate(self.listed)}
        self.rows = np.array([place[network] for network in networks], dtype=np.int64)

    def mean(self, column: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the (networks,) mean of (lines,) values; NaN where nothing was measured."""
        known = ~np.isnan(column)
        counts = np.bincount(self.rows[known], minlength=len(self.listed))
        sums = np.bincount(self.rows[known], column[known], minlength=len(self.listed))
        means = np.full(len(self.listed), np.nan)
        np.divide(sums, counts, out=means, where=counts > 0)
        return means
