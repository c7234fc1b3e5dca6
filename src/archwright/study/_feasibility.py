"""Prediction of constraint violations that are known only after an evaluation."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from archwright.errors import Exhausted
from archwright.space import Architecture, Space
from archwright.surrogates import encode_rows
from archwright.trials import History

_ENOUGH = 5  # trials, before anything can be learned of them
_ASKS = 8  # proposals, of which the first that is likelier to keep the constraints than not is taken
_TREES = 25
_NEWS = 10  # a share of one in so many of what is known, before the forest is grown again
_MUTANTS = 16  # of the least violation, while nothing keeps the constraints


@dataclass
class FeasibilityModel:
    """Learns from infeasible trials where not to look: a forest over the decisions, whatever the strategy.

    Gardner et al., "Bayesian optimization with inequality constraints", ICML 2014, weigh by the probability of
    feasibility; here it decides whether a proposal is taken or the strategy is asked again.
    """

    _fitted: int = field(default=-1, init=False)
    _forest: Any = field(default=None, init=False)

    def keep_away(
        self,
        space: Space,
        history: History,
        propose: Callable[[], Architecture],
        near: Callable[[Architecture], Architecture],
        keep: Callable[[Architecture], bool],
    ) -> Architecture:
        """Return a proposal that is likely to keep the constraints, or else the likeliest of some.

        Raises:
            Exhausted: There is nothing to propose.
        """
        first = propose()
        measured = len(history.complete) + len(history.infeasible)
        if not history.infeasible or measured < _ENOUGH:
            return first
        proposals = {first: None}
        self._learn(space, history, measured)
        if not history.complete:  # nothing is good yet, so what is near the least evil is worth a look
            least = min(history.infeasible, key=history.violation).architecture
            around = [near(least) for _ in range(_MUTANTS)]
            proposals |= {found: None for found in around if not history.seen(found) and keep(found)}
            return self._likeliest(space, proposals)
        for _ in range(_ASKS):
            last = next(reversed(proposals))
            if self._doubt(space, [last])[0] < 0.5:
                return last
            try:
                proposals[propose()] = None
            except Exhausted:
                break
        return self._likeliest(space, proposals)

    def _likeliest(self, space: Space, proposals: Iterable[Architecture]) -> Architecture:
        listed = list(proposals)
        return listed[int(np.argmin(self._doubt(space, listed)))]

    def _learn(self, space: Space, history: History, measured: int) -> None:
        """Fit the forest where that is due, which follows from the number of trials alone."""
        due = measured - measured % max(1, measured // _NEWS)
        if due == self._fitted:
            return
        from sklearn.ensemble import RandomForestClassifier, RandomForestRegressor

        seen = [trial for trial in history.finished if trial.state in ("complete", "infeasible")][:due]
        rows = encode_rows(space, [trial.architecture for trial in seen], "vector")
        broken = np.array([trial.state == "infeasible" for trial in seen])
        if broken.all():
            values = np.log1p(np.minimum([history.violation(trial) for trial in seen], 1e6))
            self._forest = RandomForestRegressor(_TREES, random_state=0).fit(rows, values)
        else:
            self._forest = RandomForestClassifier(_TREES, random_state=0).fit(rows, broken)
        self._fitted = due

    def _doubt(self, space: Space, architectures: list[Architecture]) -> NDArray[np.float64]:
        """Return how likely each is to break a constraint; while all do, by how much."""
        rows = encode_rows(space, architectures, "vector")
        # The trees one by one: `predict` checks its arguments and schedules jobs, which takes ten times as long.
        found = sum(tree.tree_.predict(rows) for tree in self._forest.estimators_) / _TREES
        classes = getattr(self._forest, "classes_", (True,))  # a regression has one column
        return np.asarray(found[:, list(classes).index(True)] if True in classes else np.zeros(len(rows)))
