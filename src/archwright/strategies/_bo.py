"""Bayesian optimisation."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from archwright._checks import check_counts, check_options
from archwright.space import Architecture, Space
from archwright.strategies._base import Strategy, register
from archwright.strategies._bo_model import Model
from archwright.strategies._pool import pool
from archwright.surrogates import (
    KERNELS,
    Posterior,
    kernel_for,
    log_expected_improvement,
    squash,
    terms_for,
    upper_confidence_bound,
)
from archwright.trials import History

Acquisition = Literal["noisy-ei", "log-ei", "ucb", "thompson"]

_DRAWN = 500  # candidates of a joint draw, whose cost grows with their cube


@register("bo")
@dataclass(frozen=True)
class BayesianOptimisation(Strategy):
    """Bayesian optimisation: a Gaussian process over architectures and an acquisition function.

    Jones, Schonlau and Welch, "Efficient global optimization of expensive black-box functions", 1998: expected
    improvement, EI(a) = E[max(f(a) - f*, 0)], where f* is the best score. It is maximised over all of a small space,
    and over mutations of the best and random samples of a large one. By default f* is what the model predicts of the
    best trial: a measured score that was partly luck would hide all that is about as good. A running trial enters the
    model with its predicted mean, so that parallel workers explore different regions. Low scores are compressed: see
    `surrogates.squash`. The kernel's parameters are fitted after each complete trial at first, and less often as trials
    accumulate.

    Args:
        kernel: The kernel over architectures. "network": on the decisions, how often each option is chosen, features of
            the cells, parameters and FLOPs; "decisions": on the first two; "hamming": on the decisions alone; "path":
            on the paths through the cells; "wl": Weisfeiler-Lehman (NAS-BOWL); "proxies": as "network", with zero-cost
            proxies, for which 48 untrained networks are run on the CPU, once.
        acquisition: "noisy-ei", expected improvement over the best predicted score of the trials; "log-ei", over the
            best measured score; "ucb", mean plus two standard deviations; "thompson", the maximum of one sample of the
            posterior.
        initial: Number of random trials at the start, at least 1.

    Raises:
        StrategyError: The value of a setting is not allowed.

    Example:
        >>> study = aw.Study(aw.Space(x=aw.integer(0, 63)), strategy=aw.strategies.BayesianOptimisation())
        >>> study = study.run(lambda candidate: -abs(candidate.settings["x"] - 40), aw.Budget(trials=15))
        >>> study.best.trial.architecture["x"]
        40
    """

    kernel: str = "network"
    acquisition: Acquisition = "noisy-ei"
    initial: int = 3

    def __post_init__(self) -> None:
        check_options(self, kernel=KERNELS, acquisition=get_args(Acquisition))
        check_counts(self, "initial")

    def check(self, space: Space) -> None:
        """Check that the kernel is defined in a space."""
        terms_for(space, self.kernel)

    def propose(self, space: Space, history: History, rng: np.random.Generator) -> Architecture:
        """Return the candidate for which the acquisition is greatest, or a random start."""
        if len(history.complete) < self.initial:
            return space.sample(rng)
        model = self.state_of(history, lambda: Model(kernel_for(space, self.kernel)))
        model.learn(history)
        candidates, posterior, open_ = model.predict(space, history, lambda: pool(space, history, rng))
        if not open_.any():
            return space.sample(rng)
        worth = self._worth(posterior, squash(np.asarray(history.scores))[model.observed], open_, rng)
        return candidates[int(np.argmax(worth))]

    def _worth(
        self, posterior: Posterior, scores: NDArray[np.float64], open_: NDArray[np.bool_], rng: np.random.Generator
    ) -> NDArray[np.float64]:
        """Return what the candidates are worth: minus infinity for those that were proposed."""
        mean, deviation = posterior.expect(scores)
        if self.acquisition in ("noisy-ei", "log-ei"):
            reached = posterior.smooth(scores) if self.acquisition == "noisy-ei" else scores
            worth = log_expected_improvement(mean, deviation, float(reached.max()))
        else:
            worth = upper_confidence_bound(mean, deviation)
        worth = np.where(open_, worth, -np.inf)
        if self.acquisition != "thompson":
            return worth
        likely = np.argsort(-worth, kind="stable")[: min(_DRAWN, int(open_.sum()))]
        drawn = np.full(len(worth), -np.inf)
        drawn[likely] = rng.multivariate_normal(mean[likely], posterior.covariance(likely), method="eigh")
        return drawn
