"""MAP-Elites."""

from __future__ import annotations

import math
from bisect import bisect_right
from dataclasses import dataclass, field

import numpy as np

from archwright._checks import check_counts
from archwright.cost import Counted
from archwright.errors import CostError, StrategyError
from archwright.space import Architecture, Choice, Decision, Space, Value
from archwright.strategies._base import Strategy, register
from archwright.strategies._initial import initial
from archwright.strategies._mutants import new_mutant
from archwright.surrogates import Costs
from archwright.trials import History, Trial


@dataclass
class _Archive:
    """The best trial of each bin, after the first `replayed` complete trials."""

    replayed: int = 0
    limits: list[float] = field(default_factory=list)  # between the bins
    elites: dict[int, Trial] = field(default_factory=dict)


@register("map-elites")
@dataclass(frozen=True)
class MapElites(Strategy):
    """MAP-Elites: keep the best network of each range of a cost, and mutate a random one of them.

    Mouret and Clune, "Illuminating search spaces by mapping elites", 2015. The result is a good network in each bin.
    The first `initial` trials are random; the edges of the bins are the quantiles of their cost.

    Args:
        cost: The metric that is divided into bins, such as "latency_ms". `None`: the number of parameters, reported by
            the trials ("parameters") or counted; in a space without networks, the distance of the decisions from their
            first values.
        bins: Number of bins, at least 1.
        initial: Number of random trials at the start, at least 1.
        sample: Size of a tournament among the elites, drawn with replacement, at least 1. With 1, as in the paper, all
            bins are explored alike; larger values favour the best network overall.

    Raises:
        StrategyError: A setting is out of range, or a complete trial has no such metric.

    Example:
        >>> study = aw.Study(aw.Space(x=aw.integer(0, 63)), strategy=aw.strategies.MapElites(initial=5))
        >>> study = study.run(lambda candidate: -abs(candidate.settings["x"] - 40), aw.Budget(trials=40))
        >>> study.best.trial.architecture["x"]
        40
    """

    cost: str | None = None
    bins: int = 8
    initial: int = 20
    sample: int = 16

    def __post_init__(self) -> None:
        check_counts(self, "bins", "initial", "sample")

    def propose(self, space: Space, history: History, rng: np.random.Generator) -> Architecture:
        """Return a mutated copy of the best of `sample` random elites; random at first."""
        complete = history.complete
        if len(complete) < self.initial:
            return initial(space, history, rng)
        archive = self.state_of(history, _Archive)
        if not archive.replayed:
            costs = (self._cost(space, trial) for trial in complete[: self.initial])
            known = [cost for cost in costs if math.isfinite(cost)] or [0.0]
            archive.limits = np.quantile(known, np.linspace(0, 1, self.bins + 1)[1:-1]).tolist()
        for trial in complete[archive.replayed :]:
            place = bisect_right(archive.limits, self._cost(space, trial))
            elite = archive.elites.get(place)
            if elite is None or history.score(trial) > history.score(elite):
                archive.elites[place] = trial
        archive.replayed = len(complete)
        elites = [archive.elites[place] for place in sorted(archive.elites)]
        drawn = [elites[index] for index in rng.integers(len(elites), size=self.sample).tolist()]
        return new_mutant(space, history, max(drawn, key=history.score).architecture, rng)

    def _cost(self, space: Space, trial: Trial) -> float:
        if self.cost is None:
            parameters = trial.metrics.get("parameters")
            return _size(space, trial.architecture) if parameters is None else parameters
        if self.cost not in trial.metrics:
            reported = ", ".join(trial.metrics) or "none"
            raise StrategyError(
                f"map-elites: trial {trial.number} reports no {self.cost!r}; its metrics are: {reported}"
            )
        return trial.metrics[self.cost]


def _size(space: Space, architecture: Architecture) -> float:
    """Return the parameters of a network; in a space without networks, the mean of `_unit` over the decisions.

    NaN for a network that cannot be built: its evaluation may not have built it.
    """
    if Costs.serves(space):
        try:
            return Counted(("parameters",)).of(space, architecture)["parameters"]
        except CostError:
            return math.nan
    units = [_unit(space.decisions[name], value) for name, value in architecture.items()]
    return sum(units) / max(1, len(space.decisions))


def _unit(decision: Decision, value: Value) -> float:
    """Return how far a value is from a decision's first to its last, from 0 to 1."""
    slots = decision.encode(value)
    if isinstance(decision, Choice) and not decision.ordered:
        return slots.index(1.0) / max(1, len(slots) - 1)
    return sum(slots) / len(slots)
