"""Quality and diversity."""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass, field
from weakref import WeakKeyDictionary

import numpy as np

from archwright.errors import StrategyError
from archwright.space import Architecture, Space
from archwright.strategies._base import Strategy, check_counts, register
from archwright.trials import History, Trial

__all__ = ["MapElites"]


@dataclass
class _Archive:
    """The best trial of each bin, after the first `replayed` complete trials."""

    replayed: int = 0
    limits: list[float] = field(default_factory=list)  # between the bins
    elites: dict[int, Trial] = field(default_factory=dict)


@register("map-elites")
@dataclass(frozen=True)
class MapElites(Strategy):
    """MAP-Elites: keep the best network of each size, and mutate any of them.

    Mouret and Clune, "Illuminating search spaces by mapping elites", 2015. What is good in small networks gets its
    chance in large ones, and the search leaves a good network in every bin. The bins divide evenly what the first
    `initial` trials, which are random, showed of the cost.

    Args:
        cost: The metric that says how large a network is, such as "parameters". `None`: where the trials report no
            cost, the mean of the architecture's vector (`Space.encode`), which grows with every ordered decision.
        bins: How many bins there are, at least 1.
        initial: How many random trials come first, at least 1.

    Raises:
        StrategyError: A setting is out of range, or a complete trial has no such metric.
    """

    cost: str | None = None
    bins: int = 8
    initial: int = 20
    _archives: WeakKeyDictionary[History, _Archive] = field(
        default_factory=WeakKeyDictionary, init=False, repr=False, compare=False
    )

    def __post_init__(self) -> None:
        """Check the settings."""
        check_counts("map-elites", self, "bins", "initial")

    def propose(self, space: Space, history: History, rng: np.random.Generator) -> Architecture:
        """Return a mutated copy of one of the elites, each as likely; random at first."""
        complete = history.complete
        if len(complete) < self.initial:
            return space.sample(rng)
        archive = self._archives.setdefault(history, _Archive())
        if not archive.replayed:
            first = [self._cost(space, trial) for trial in complete[: self.initial]]
            archive.limits = np.quantile(first, np.linspace(0, 1, self.bins + 1)[1:-1]).tolist()
        for trial in complete[archive.replayed :]:
            place = bisect_right(archive.limits, self._cost(space, trial))
            elite = archive.elites.get(place)
            if elite is None or history.score(trial) > history.score(elite):
                archive.elites[place] = trial
        archive.replayed = len(complete)
        places = sorted(archive.elites)
        return space.mutate(archive.elites[places[int(rng.integers(len(places)))]].architecture, rng)

    def _cost(self, space: Space, trial: Trial) -> float:
        if self.cost is None:
            return float(space.encode(trial.architecture).mean()) if space.decisions else 0.0
        if self.cost not in trial.metrics:
            reported = ", ".join(trial.metrics) or "none"
            raise StrategyError(
                f"map-elites: trial {trial.number} reports no {self.cost!r}; its metrics are: {reported}"
            )
        return trial.metrics[self.cost]
