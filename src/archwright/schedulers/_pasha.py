"""Progressive asynchronous successive halving."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from typing import ClassVar

import numpy as np

from archwright._checks import check_shares
from archwright.schedulers._asha import ASHA
from archwright.schedulers._base import register, scores
from archwright.schedulers._ladder import Ladder
from archwright.schedulers._rungs import rungs
from archwright.trials import History, Trial

_COMPARED = 30  # curves, the last on the highest rung in use, with which a new one is compared


@dataclass
class _State:
    """Where the ladder ends once the first `finished` trials of the history have ended."""

    limit: int
    finished: int = 0
    scores: list[dict[int, float]] = field(default_factory=list)  # for each rung, by the trials' roots
    curves: deque[Mapping[float, float]] = field(default_factory=lambda: deque(maxlen=_COMPARED))  # on the last rung
    apart: list[float] = field(default_factory=list)  # of those of them that cross twice


@register("pasha")
@dataclass(frozen=True)
class PASHA(ASHA):
    """PASHA: ASHA that starts with two rungs and adds rungs until the ranking is stable.

    Bohdal, Balles, Wistuba, Ermis, Archambeau and Zappella, "PASHA: efficient HPO and NAS with progressive resource
    allocation", ICLR 2023. The rankings on the two highest rungs in use are compared after each trial that ends on the
    highest; a rung is added if they differ by more than the noise, which is a quantile of the distances between trials
    whose curves cross twice.

    Args:
        eta: The reduction factor: 1 in `eta` trials is promoted, to a rung of about `eta` times the cost; above 1.
        quantile: The quantile of these distances, from 0 to 1; larger values tolerate more noise.

    Raises:
        SchedulerError: A setting is out of range.

    Example:
        >>> space, epochs = aw.Space(x=aw.integer(0, 63)), {"epochs": (1, 9)}
        >>> study = aw.Study(space, strategy="random", scheduler=aw.schedulers.PASHA(), fidelity=epochs)
        >>> study = study.run(lambda candidate: candidate.settings["x"], aw.Budget(trials=5))
        >>> [trial.fidelity["epochs"] for trial in study.trials[:14]]
        [1, 1, 1, 3, 1, 1, 1, 3, 1, 1, 1, 3, 1, 3]
    """

    multi_objective: ClassVar[bool] = False

    quantile: float = 0.9

    def __post_init__(self) -> None:
        super().__post_init__()
        check_shares(self, "quantile")

    def limit(self, ladder: Ladder, history: History) -> int:
        """Return the last rung that is in use."""
        held = rungs(ladder, history)
        state = self.state_of(history, lambda: _State(min(1, ladder.top), scores=[{} for _ in ladder.rungs]))
        for trial in history.finished[state.finished :]:
            if trial.state == "complete":
                level = ladder.level(trial.share)
                state.scores[level][held.root[trial.number]] = history.score(trial)
                if level == state.limit < ladder.top:
                    self._compare(state, _curve(trial, history))
                    if self._changes(state):
                        state.limit += 1
                        state.curves.clear()
                        state.apart.clear()
        state.finished = len(history.finished)
        return state.limit

    def _changes(self, state: _State) -> bool:
        """Tell whether the order on the highest rung in use is another than on the one below."""
        now, before = state.scores[state.limit], state.scores[state.limit - 1]
        noise = float(np.quantile(state.apart, self.quantile)) if state.apart else 0.0
        order, was = (sorted(now, key=lambda root: -values[root]) for values in (now, before))
        return any(abs(before[root] - before[then]) > noise for root, then in zip(order, was, strict=True))

    def _compare(self, state: _State, curve: Mapping[float, float]) -> None:
        """Take in a curve of the highest rung in use."""
        for other in state.curves:
            steps = sorted(curve.keys() & other.keys())
            leads = [curve[step] > other[step] for step in steps if curve[step] != other[step]]
            if sum(a != b for a, b in pairwise(leads)) >= 2:
                state.apart.append(abs(curve[steps[-1]] - other[steps[-1]]))
        state.curves.append(curve)


def _curve(trial: Trial, history: History) -> Mapping[float, float]:
    """Return the score by step of a trial, with those that it goes on from."""
    found: dict[float, float] = {}
    stage: Trial | None = trial
    while stage is not None:
        found = dict(scores(stage.curve, history.objective)) | found
        stage = history.before(stage)
    return found
