"""Ranking of a population with several objectives and constraints."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from archwright.trials import History, Trial, crowding, ranks


@dataclass(frozen=True)
class Standing:
    """How trials of a population stand to each other."""

    points: NDArray[np.float64]  # (n, objectives) scores; NaN for what was not measured of an infeasible trial
    # (n,) the number of each one's front. Infeasible ones follow in fronts of their own, the least violation first (Deb
    # et al. 2002, section VI); those of which nothing is known but that they are, last.
    fronts: NDArray[np.int64]
    rooms: NDArray[np.float64]  # (n,) how much room each has on its front

    def order(self) -> NDArray[np.intp]:
        """Return the places of the population, the best first: by front, then by room; the older of equals first."""
        return np.lexsort((np.arange(len(self.fronts)), -self.rooms, self.fronts))


def standing(history: History, trials: Sequence[Trial]) -> Standing:
    """Return how trials that are complete or infeasible stand to each other."""
    feasible = np.array([trial.state == "complete" for trial in trials])
    points = np.full((len(trials), len(history.objectives)), np.nan)
    for place in np.flatnonzero(feasible).tolist():
        points[place] = history.values(trials[place].metrics)
    fronts = np.zeros(len(trials), dtype=np.int64)
    fronts[feasible] = ranks(points[feasible])
    if not feasible.all():
        broken = np.array([history.violation(trial) for trial in trials])[~feasible]
        first = fronts[feasible].max(initial=-1) + 1
        fronts[~feasible] = first + np.unique(broken, return_inverse=True)[1]
    rooms = np.zeros(len(trials))
    for front in np.unique(fronts[feasible]):
        places = np.flatnonzero(feasible & (fronts == front))
        rooms[places] = crowding(points[places])
    return Standing(points, fronts, rooms)
