"""Which of several points are not beaten: fronts, crowding, hypervolume."""

from __future__ import annotations

from collections.abc import Sequence

import moocore
import numpy as np
from numpy.typing import NDArray

__all__ = ["Points", "crowding", "dominates", "hypervolume", "is_on_front", "ranks"]

Points = NDArray[np.float64]
"""(n, objectives) scores: greater is better in each."""


def dominates(one: Sequence[float], other: Sequence[float]) -> bool:
    """Tell whether a point is at least as good as another in everything, and better in something."""
    return all(a >= b for a, b in zip(one, other, strict=True)) and tuple(one) != tuple(other)


def is_on_front(points: Points) -> NDArray[np.bool_]:
    """Tell of each of (n, m) points whether none dominates it; equal points are on the front together."""
    if not len(points):
        return np.zeros(0, dtype=bool)
    return np.asarray(moocore.is_nondominated(points, maximise=True, keep_weakly=True), dtype=bool)


def ranks(points: Points) -> NDArray[np.int64]:
    """Return the number of the front of each of (n, m) points: 0 for what none dominates, 1 for what then is left.

    Deb et al., "A fast and elitist multiobjective genetic algorithm: NSGA-II", 2002.
    """
    if not len(points):
        return np.zeros(0, dtype=np.int64)
    return np.asarray(moocore.pareto_rank(points, maximise=True), dtype=np.int64)


def crowding(points: Points) -> NDArray[np.float64]:
    """Return how much room each of (n, m) points of one front has: the sides of the box up to its neighbours.

    Deb et al. (2002). Sides are shares of the range in each objective; the ends of the front have infinite room, and of
    equal points the first has it all.
    """
    count = len(points)
    room = np.zeros(count)
    for values in points.T:
        order = np.argsort(values, kind="stable")
        ordered = values[order]
        reach = ordered[-1] - ordered[0] if count else 0.0
        if reach > 0:
            room[order[1:-1]] += (ordered[2:] - ordered[:-2]) / reach
            room[order[[0, -1]]] = np.inf
    if count < 3:
        return np.full(count, np.inf)
    _, first = np.unique(points, axis=0, return_index=True)
    room[np.setdiff1d(np.arange(count), first)] = 0.0
    return room


def hypervolume(points: Points, reference: Sequence[float]) -> float:
    """Return the volume of what (n, m) points dominate and that dominates a reference point.

    Zitzler and Thiele, "Multiobjective evolutionary algorithms: a comparative case study", 1999.
    """
    if not len(points):
        return 0.0
    return float(moocore.hypervolume(points, ref=np.asarray(reference, dtype=float), maximise=True))
