"""Progressive asynchronous successive halving."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import combinations, pairwise
from weakref import WeakKeyDictionary

import numpy as np

from archwright.schedulers._asha import promotion
from archwright.schedulers._base import Job, Scheduler, check_eta, check_share, register
from archwright.schedulers._ladder import Ladder
from archwright.schedulers._rungs import rungs
from archwright.trials import History, Trial

__all__ = ["PASHA"]


@dataclass
class _State:
    """Where the ladder ends once the first `finished` trials of the history have ended."""

    limit: int
    finished: int = 0
    levels: dict[int, dict[int, Trial]] = field(default_factory=dict)  # rung, root -> trial


@register("pasha")
@dataclass(frozen=True)
class PASHA(Scheduler):
    """Progressive ASHA: the ladder starts with two rungs, and grows while the order of the best still changes on top.

    Bohdal, Balles, Wistuba, Ermis, Archambeau and Zappella, "PASHA: efficient HPO and NAS with progressive resource
    allocation", ICLR 2023. The two highest rungs in use are compared after each trial that ends on the highest. Where
    the order on it is that on the one below, up to noise, more training would tell nothing new. The noise is
    estimated as there: from pairs of trials whose curves cross twice, the given quantile of their distances.

    Args:
        eta: One in so many goes on; and each rung is about so many times dearer than the one before; above 1.
        quantile: Of the distances of pairs that cross twice; the higher, the more counts as noise; from 0 to 1.

    Raises:
        SchedulerError: A setting is out of range.
    """

    eta: float = 3.0
    quantile: float = 0.9
    _states: WeakKeyDictionary[History, _State] = field(
        default_factory=WeakKeyDictionary, init=False, repr=False, compare=False
    )

    def __post_init__(self) -> None:
        """Check the settings."""
        check_eta("pasha", self.eta)
        check_share("pasha", "quantile", self.quantile)

    def job(self, ladder: Ladder, history: History, rng: np.random.Generator, *, more: bool = True) -> Job | None:
        """Return the promotion that is due below the present end of the ladder, or else a new trial."""
        limit = self.limit(ladder, history)
        number, level = promotion(rungs(ladder, history), limit, self.eta, least=0 if more else 1)
        if number is not None:
            return Job(level + 1, history.trials[number])
        return Job(0) if more else None

    def limit(self, ladder: Ladder, history: History) -> int:
        """Return the last rung that is in use."""
        state = self._states.setdefault(history, _State(min(1, ladder.top)))
        held = rungs(ladder, history)
        for trial in history.finished[state.finished :]:
            state.finished += 1
            level = ladder.level(trial.share)
            if trial.state != "complete":
                continue
            state.levels.setdefault(level, {})[held.root[trial.number]] = trial
            if level == state.limit < ladder.top and self._changes(state, history):
                state.limit += 1
        return state.limit

    def _changes(self, state: _State, history: History) -> bool:
        """Tell whether the order on the highest rung in use is another than on the one below."""
        top = state.levels[state.limit]
        below = {root: history.score(state.levels[state.limit - 1][root]) for root in top}
        now = {root: history.score(trial) for root, trial in top.items()}
        noise = self._noise(list(top.values()), history)
        was = sorted(below, key=lambda root: -below[root])
        return any(
            abs(below[root] - below[then]) > noise
            for root, then in zip(sorted(now, key=lambda root: -now[root]), was, strict=True)
        )

    def _noise(self, trials: list[Trial], history: History) -> float:
        curves = [_scores(trial, history) for trial in trials]
        apart: list[float] = []
        for one, other in combinations(curves, 2):
            steps = sorted(one.keys() & other.keys())
            leads = [np.sign(one[step] - other[step]) for step in steps if one[step] != other[step]]
            if sum(a != b for a, b in pairwise(leads)) >= 2:
                apart.append(abs(one[steps[-1]] - other[steps[-1]]))
        return float(np.quantile(apart, self.quantile)) if apart else 0.0


def _scores(trial: Trial, history: History) -> Mapping[float, float]:
    metric = history.objective.metric
    return {row["step"]: history.objective.score(row) for row in trial.curve if metric in row}
