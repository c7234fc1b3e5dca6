"""Scalarisation of several objectives for single-objective strategies."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal, get_args

import numpy as np

from archwright._checks import check_counts, check_options
from archwright.errors import StrategyError
from archwright.space import Architecture, Space
from archwright.strategies._base import Strategy, check_space, create, name_of, options, register
from archwright.strategies._initial import initial
from archwright.strategies._nsga3 import directions
from archwright.strategies._oneshot import OneShot
from archwright.strategies._views import Views
from archwright.trials import History, Objective

Form = Literal["chebyshev", "sum"]

_AUGMENTED = 0.05  # of the sum, beside the worst, so that of two equals in the worst the better one counts


@dataclass(frozen=True)
class _Direction(Objective):
    """Several objectives as one number, seen from one direction; more is better."""

    objectives: tuple[Objective, ...] = ()
    low: tuple[float, ...] = ()  # the range of each, as scores
    high: tuple[float, ...] = ()
    weights: tuple[float, ...] = ()  # what each counts; they sum to 1
    form: Form = "chebyshev"

    def score(self, metrics: Mapping[str, float]) -> float:
        """Return the number; EvaluationError where a metric is missing."""
        shares = [
            (objective.score(metrics) - low) / (high - low or 1.0)
            for objective, low, high in zip(self.objectives, self.low, self.high, strict=True)
        ]
        total = sum(weight * share for weight, share in zip(self.weights, shares, strict=True))
        if self.form == "sum":
            return total
        return min(weight * (share - 1) for weight, share in zip(self.weights, shares, strict=True)) + (
            _AUGMENTED * total
        )


@register("scalarised")
@dataclass(frozen=True)
class Scalarised(Strategy):
    """Scalarisation (ParEGO): a single-objective strategy on Chebyshev or weighted-sum scores, in turn.

    Knowles, "ParEGO: a hybrid algorithm with on-line landscape approximation for expensive multiobjective optimization
    problems", 2006, with a fixed set of weight vectors w that are used in turn. The score of scaled objectives f
    (greater is better) is min w_i (f_i - 1) + 0.05 × sum w_i f_i, the augmented Chebyshev function, or sum w_i f_i.
    Objectives are scaled by their range over the first `initial` complete trials, which are random.

    Args:
        strategy: The name of a single-objective strategy.
        settings: Its settings by name.
        directions: The approximate number of weight vectors, at least 1.
        form: "chebyshev", which reaches every point of a Pareto front; "sum", the weighted sum, which reaches only its
            convex parts.
        initial: Number of random trials at the start, at least 1.

    Raises:
        UnknownName: No strategy has that name.
        StrategyError: A setting is out of range, or the strategy is multi-objective itself.

    Example:
        >>> strategy = aw.strategies.Scalarised("local-search", initial=4)
        >>> study = aw.Study(aw.Space(x=aw.integer(-8, 8)), strategy=strategy, objective=["min left", "min right"])
        >>> evaluate = lambda one: {"left": one.settings["x"] ** 2, "right": (one.settings["x"] - 2) ** 2}
        >>> sorted(trial.architecture["x"] for trial in study.run(evaluate, aw.Budget(trials=17)).history.front)
        [0, 1, 2]
    """

    multi_objective: ClassVar[bool] = True
    strategy: str = "bo"
    settings: Mapping[str, Any] = field(default_factory=dict)
    directions: int = 8
    form: Form = "chebyshev"
    initial: int = 10
    _inner: Strategy = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        check_counts(self, "directions", "initial")
        check_options(self, form=get_args(Form))
        inner = create(self.strategy, **self.settings)
        if inner.multi_objective:
            raise StrategyError(
                f"scalarised: {self.strategy!r} is a multi-objective strategy: use it without scalarised"
            )
        object.__setattr__(self, "_inner", inner)

    def __hash__(self) -> int:
        """Return a number that equal strategies have in common; settings may be of any kind."""
        return hash((self.strategy, self.directions, self.form, self.initial))

    def check(self, space: Space) -> None:
        """Check that the inner strategy supports a space."""
        check_space(self._inner, space)

    def propose(self, space: Space, history: History, rng: np.random.Generator) -> Architecture:
        """Return the inner strategy's proposal for the next weight vector; random at first."""
        if len(history.complete) < self.initial:
            return initial(space, history, rng)
        views = self.state_of(history, lambda: Views(history, self._directions(history)))
        views.follow(history)
        return self._inner.propose(space, views.histories[len(history.trials) % len(views.histories)], rng)

    def _directions(self, history: History) -> list[Objective]:
        first = np.array(history.points[: self.initial])
        low, high = tuple(first.min(axis=0).tolist()), tuple(first.max(axis=0).tolist())
        metric, count = history.objective.metric, len(history.objectives)
        steps = 1
        while steps < self.directions - 1 and len(directions(count, steps + 1)) <= self.directions:
            steps += 1
        return [
            _Direction(metric, True, history.objectives, low, high, tuple(weights), self.form)
            for weights in directions(count, steps).tolist()
        ]


def for_objectives(strategy: Strategy, objectives: Sequence[Objective]) -> Strategy:
    """Return a strategy for all objectives: the given one if it is multi-objective, else wrapped in `Scalarised`.

    Raises:
        StrategyError: There are several objectives, and the strategy cannot be scalarised.

    Example:
        >>> objectives = [aw.Objective("accuracy"), aw.Objective("latency_ms", maximise=False)]
        >>> aw.strategies.for_objectives(aw.strategies.Evolution(), objectives).strategy
        'evolution'
    """
    if len(objectives) == 1 or strategy.multi_objective:
        return strategy
    name = name_of(strategy)
    if name is None or isinstance(strategy, OneShot):
        raise StrategyError(
            f"{strategy!r} supports one objective, not {len(objectives)}: use a multi-objective strategy, "
            "such as 'nsga2' or 'mo-bo'"
        )
    return Scalarised(name, options(strategy))
