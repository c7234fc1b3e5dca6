"""Multi-objective Bayesian optimisation."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal, TypeAlias, get_args

import numpy as np
from numpy.typing import NDArray

from archwright._checks import check_counts, check_options
from archwright.space import Architecture, Space
from archwright.strategies._base import Strategy, register
from archwright.strategies._bo_model import Model
from archwright.strategies._initial import initial
from archwright.strategies._pool import near_and_random
from archwright.strategies._views import Views
from archwright.surrogates import (
    KERNELS,
    clipped,
    expected_hypervolume_improvement,
    kernel_for,
    log_expected_hypervolume_improvement,
    terms_for,
)
from archwright.trials import History, is_on_front

Array: TypeAlias = NDArray[np.float64]

Acquisition = Literal["ehvi", "parego"]

_SAMPLES = 64  # of what is expected of a candidate, for "parego"
_AUGMENTED = 0.05
_CANDIDATES = 600  # in a large space
_DIGITS = 1e-10  # of squared deviations of the scores: where less is expected only the logarithm can tell
_HOPE = 3.0  # deviations above what is expected, up to which a candidate may still join the front


@register("mo-bo")
@dataclass(frozen=True)
class MultiObjectiveBO(Strategy):
    """Multi-objective Bayesian optimisation: a Gaussian process per objective, expected hypervolume improvement.

    Emmerich, Giannakoglou and Naujoks, "Single- and multiobjective evolutionary optimization assisted by Gaussian
    random field metamodels", 2006: the expected hypervolume improvement, E[HV(front + f(a)) - HV(front)], in closed
    form for two objectives. For more, or on request, ParEGO (Knowles 2006): the expected improvement of the augmented
    Chebyshev distance from the ideal point, with new weights for each proposal. The models are those of "bo"; their
    features of the networks make costs such as parameters and latency predictable from a few trials.

    Args:
        kernel: The kernel over architectures, as in "bo".
        acquisition: "ehvi", for two objectives; "parego", for any number.
        initial: Number of random trials at the start, at least 2.

    Raises:
        StrategyError: The value of a setting is not allowed.

    Example:
        >>> strategy = aw.strategies.MultiObjectiveBO(initial=4)
        >>> study = aw.Study(aw.Space(x=aw.integer(-8, 8)), strategy=strategy, objective=["min left", "min right"])
        >>> evaluate = lambda one: {"left": one.settings["x"] ** 2, "right": (one.settings["x"] - 2) ** 2}
        >>> sorted(trial.architecture["x"] for trial in study.run(evaluate, aw.Budget(trials=10)).history.front)
        [0, 1, 2]
    """

    multi_objective: ClassVar[bool] = True
    kernel: str = "network"
    acquisition: Acquisition = "ehvi"
    initial: int = 10

    def __post_init__(self) -> None:
        check_options(self, kernel=KERNELS, acquisition=get_args(Acquisition))
        check_counts(self, "initial")

    def check(self, space: Space) -> None:
        """Check that the kernel is defined in a space."""
        terms_for(space, self.kernel)

    def propose(self, space: Space, history: History, rng: np.random.Generator) -> Architecture:
        """Return the candidate for which the acquisition is greatest, or a random start."""
        if len(history.complete) < max(2, self.initial):
            return initial(space, history, rng)

        def begin() -> tuple[Views, list[Model]]:
            terms = kernel_for(space, self.kernel)
            return Views(history, history.objectives), [Model(terms, clipped) for _ in history.objectives]

        views, models = self.state_of(history, begin)
        views.follow(history)
        means, deviations, points = [], [], []
        drawn: list[Architecture] = []

        def draw() -> list[Architecture]:
            """Return candidates near the front and at random, the same for all models."""
            if not drawn:
                front = [trial.architecture for trial in history.front]
                found = near_and_random(space, front, rng, _CANDIDATES)
                drawn.extend(architecture for architecture in found if not history.seen(architecture))
            return drawn

        for view, model in zip(views.histories, models, strict=True):
            model.learn(view)
            candidates, posterior, open_ = model.predict(space, view, draw)
            scores = clipped(np.asarray(view.scores))
            mean, deviation = posterior.expect(scores[model.observed])
            means.append(mean)
            deviations.append(deviation)
            points.append(scores)
        if not open_.any():
            return space.sample(rng)
        left = np.flatnonzero(open_)
        values = self._acquisition(np.array(means).T[left], np.array(deviations).T[left], np.array(points).T, rng)
        return candidates[int(left[np.argmax(values)])]

    def _acquisition(self, means: Array, deviations: Array, points: Array, rng: np.random.Generator) -> Array:
        """Return (m,) the acquisition function, from (m, objectives) predictions and (n, objectives) known scores."""
        front = points[is_on_front(points)]
        if self.acquisition == "ehvi" and points.shape[1] == 2:
            low, high = points.min(axis=0), points.max(axis=0)
            values = np.full(len(means), -np.inf)
            # The closed form takes its time, and most of a space is far behind the front.
            hopeful = ~_is_beaten(means + _HOPE * deviations, front)
            chosen = np.flatnonzero(hopeful) if hopeful.any() else np.arange(len(means))
            asked = means[chosen], deviations[chosen], front, low - 0.1 * (high - low)
            values[chosen] = expected_hypervolume_improvement(*asked)
            if values.max() < _DIGITS:
                values[chosen] = log_expected_hypervolume_improvement(*asked)
            return values
        weights = rng.dirichlet(np.ones(points.shape[1]))
        low, high = front.min(axis=0), front.max(axis=0)
        low = np.where(high > low, low, points.min(axis=0))
        span = np.where(high > low, high - low, 1.0)

        def scalar(values: Array) -> Array:
            shares = (values - low) / span
            return np.asarray((weights * (shares - 1)).min(axis=-1) + _AUGMENTED * (weights * shares).sum(axis=-1))

        drawn = means + deviations * rng.normal(size=(_SAMPLES, 1, points.shape[1]))
        return np.asarray(np.maximum(scalar(drawn) - scalar(points).max(), 0.0).mean(axis=0))


def _is_beaten(points: Array, front: Array) -> NDArray[np.bool_]:
    """Tell which of (n, 2) points a point of a (k, 2) front is at least as good as in both objectives."""
    front = front[np.argsort(front[:, 0], kind="stable")]
    # Further right on a front is lower: the first that is not to the left of a point is the highest of those.
    place = np.searchsorted(front[:, 0], points[:, 0])
    heights = np.append(front[:, 1], -np.inf)
    return np.asarray(heights[place] >= points[:, 1])
