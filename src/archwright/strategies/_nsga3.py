"""NSGA-III."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from archwright._checks import check_counts
from archwright.strategies._base import register
from archwright.strategies._nsga2 import NSGA2
from archwright.strategies._survival import standing
from archwright.trials import History, Trial

_DIRECTIONS = 40  # the most that are spread without being told how finely


@register("nsga3")
@dataclass(frozen=True)
class NSGA3(NSGA2):
    """NSGA-III: NSGA-II with reference directions in place of the crowding distance.

    Deb and Jain, "An evolutionary many-objective optimization algorithm using reference-point-based nondominated
    sorting approach", 2014, with the directions of Das and Dennis (1998). It is meant for three objectives and more,
    where nearly all points are non-dominated and crowding distances discriminate little.

    Args:
        divisions: Number of divisions of each side of the simplex of directions, at least 1; `None` for the largest
            number that gives up to 40 directions. The other settings are those of NSGA-II.

    Raises:
        StrategyError: A setting is out of range.

    Example:
        >>> strategy = aw.strategies.NSGA3(population=6)
        >>> study = aw.Study(aw.Space(x=aw.integer(-8, 8)), strategy=strategy, objective=["min left", "min right"])
        >>> evaluate = lambda one: {"left": one.settings["x"] ** 2, "right": (one.settings["x"] - 2) ** 2}
        >>> sorted(trial.architecture["x"] for trial in study.run(evaluate, aw.Budget(trials=17)).history.front)
        [0, 1, 2]
    """

    divisions: int | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.divisions is not None:
            check_counts(self, "divisions")

    def _survivors(self, history: History, members: list[Trial]) -> list[Trial]:
        """Return all but the one of the last front whose direction is most crowded, the best first."""
        held = standing(history, members)
        order = held.order()
        last = np.flatnonzero(held.fronts == held.fronts.max())
        if len(last) == 1 or not np.isfinite(held.points[last]).all():
            return [members[place] for place in order[: self.population]]
        known = np.flatnonzero(np.isfinite(held.points).all(axis=1))
        niches, distances = _niches(held.points[known], directions(held.points.shape[1], self.divisions))
        crowded = np.bincount(niches)
        place_of = {place: index for index, place in enumerate(known)}
        gone = max(last, key=lambda place: (crowded[niches[place_of[place]]], distances[place_of[place]], place))
        return [members[place] for place in order if place != gone]


def directions(objectives: int, divisions: int | None) -> NDArray[np.float64]:
    """Return (directions, objectives) points that are spread evenly over the simplex of shares that sum to 1."""
    if objectives == 1:
        return np.ones((1, 1))
    if divisions is None:
        divisions = 1
        while math.comb(divisions + objectives, objectives - 1) <= _DIRECTIONS:
            divisions += 1
    return np.array(_compositions(divisions, objectives), dtype=float) / divisions


def _compositions(total: int, parts: int) -> list[tuple[int, ...]]:
    if parts == 1:
        return [(total,)]
    return [(first, *rest) for first in range(total + 1) for rest in _compositions(total - first, parts - 1)]


def _niches(points: NDArray[np.float64], spread: NDArray[np.float64]) -> tuple[NDArray[np.intp], NDArray[np.float64]]:
    """Return the nearest direction of each of (n, m) points, and how far it is from it, after scaling to 0..1."""
    high, low = points.max(axis=0), points.min(axis=0)
    away = (high - points) / np.where(high > low, high - low, 1.0)
    unit = spread / np.linalg.norm(spread, axis=1, keepdims=True)
    along = away @ unit.T
    distance = np.sqrt(np.maximum((away**2).sum(axis=1)[:, None] - along**2, 0.0))
    nearest = distance.argmin(axis=1)
    return nearest, distance[np.arange(len(points)), nearest]
