"""Pareto dominance: fronts, crowding distance, hypervolume."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Points = NDArray[np.float64]
"""(n, objectives) scores: greater is better in each."""


def dominates(one: Sequence[float], other: Sequence[float]) -> bool:
    """Tell whether a point dominates another: at least as good in all objectives, better in one; greater is better.

    Example:
        >>> from archwright.trials import dominates
        >>> dominates((2, 1), (1, 1)), dominates((2, 0), (1, 1))
        (True, False)
    """
    return all(a >= b for a, b in zip(one, other, strict=True)) and tuple(one) != tuple(other)


def is_on_front(points: Points) -> NDArray[np.bool_]:
    """Return for each of (n, m) points whether it is non-dominated; equal points are all on the front.

    Example:
        >>> from archwright.trials import is_on_front
        >>> is_on_front(np.array([[2, 0], [1, 1], [0, 1]])).tolist()
        [True, True, False]
    """
    if not len(points):
        return np.zeros(0, dtype=bool)
    import moocore

    return np.asarray(moocore.is_nondominated(points, maximise=True, keep_weakly=True), dtype=bool)


def ranks(points: Points) -> NDArray[np.int64]:
    """Return the non-domination rank of each of (n, m) points: 0 for the Pareto front, 1 for the front of the rest.

    Deb et al., "A fast and elitist multiobjective genetic algorithm: NSGA-II", 2002.

    Example:
        >>> from archwright.trials import ranks
        >>> ranks(np.array([[2, 0], [1, 1], [0, 1]])).tolist()
        [0, 0, 1]
    """
    if not len(points):
        return np.zeros(0, dtype=np.int64)
    import moocore

    return np.asarray(moocore.pareto_rank(points, maximise=True), dtype=np.int64)


def crowding(points: Points) -> NDArray[np.float64]:
    """Return the crowding distances of (n, m) points of one front: the side lengths of the box to the neighbours.

    Deb et al. (2002). Lengths are relative to the range of each objective; the ends of the front have infinite
    distance; of equal points all but the first have 0.

    Example:
        >>> from archwright.trials import crowding
        >>> crowding(np.array([[0.0, 4.0], [1.0, 1.0], [4.0, 0.0]])).tolist()
        [inf, 2.0, inf]
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
    """Return the volume dominated by (n, m) points and bounded by a reference point.

    Zitzler and Thiele, "Multiobjective evolutionary algorithms: a comparative case study", 1999.

    Example:
        >>> from archwright.trials import hypervolume
        >>> hypervolume(np.array([[2.0, 1.0], [1.0, 2.0]]), (0.0, 0.0))
        3.0
    """
    if not len(points):
        return 0.0
    import moocore

    return float(moocore.hypervolume(points, ref=np.asarray(reference, dtype=float), maximise=True))
