"""Bayesian optimisation."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from archwright._checks import check_counts, check_options
from archwright.space import Architecture, Space
from archwright.strategies._base import Strategy, register
from archwright.strategies._bo_model import Model, lateness
from archwright.strategies._initial import initial
from archwright.strategies._pool import near_and_random, pool
from archwright.surrogates import (
    KERNELS,
    Posterior,
    RankWeighted,
    kernel_for,
    log_expected_improvement,
    squash,
    terms_for,
    upper_confidence_bound,
)
from archwright.trials import History

Acquisition = Literal["noisy-ei", "log-ei", "ucb", "thompson"]

_BELIEF = 10.0  # beta of piBO
_DRAWN = 500  # candidates of a joint draw, whose cost grows with their cube
_PARENTS = 10  # the best trials, whose mutants are candidates of a ranking
_CANDIDATES = 600  # of a ranking of a large space, at least
_FURTHER = 16  # for each of the proposals that are made from it


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

    With 14 or more running trials, candidates are ranked by the upper confidence bound (for "thompson" by a sample),
    and proposed in that order, until an eighth as many trials have ended and are taken into the model.

    Earlier runs are Gaussian processes of their own in a rank-weighted ensemble (RGPE, `surrogates.rank_weights`). A
    prior p of the user's adds (10 / trials) log p(a) to the acquisition (piBO: Hvarfner et al., ICLR 2022, where the
    acquisition is multiplied by p to that power; log EI is what is maximised here).

    Args:
        kernel: The kernel over architectures. "network": on the decisions, how often each option is chosen, features of
            the cells, parameters and FLOPs; "decisions": on the first two; "hamming": on the decisions alone; "path":
            on the paths through the cells; "wl": Weisfeiler-Lehman (NAS-BOWL); "tree": on the trees of decisions, which
            is what "network" and "decisions" mean in recursive spaces; "proxies": as "network", with zero-cost proxies,
            for which 48 untrained networks are run on the CPU, once.
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
        late = lateness(history)
        ended = len(history.finished) // late * late
        count = len(history.complete) - sum(trial.state == "complete" for trial in history.finished[ended:])
        if count < self.initial:
            return initial(space, history, rng)
        model = self.state_of(history, lambda: Model(kernel_for(space, self.kernel)))
        model.learn(history, count, late)
        scores = squash(np.asarray(history.scores[:count]))[model.observed]
        if late > 1:
            if model.ranked != (ended, late):
                model.ranking, model.ranked = self._ranking(model, space, history, ended, late, scores), (ended, late)
            left = [one for one in model.ranking if not history.seen(one)]
            # The first is the most likely one. It may be refused, say by a constraint, and is not proposed for ever.
            return left[(int(rng.geometric(0.5)) - 1) % len(left)] if left else space.sample(rng)
        candidates, posterior, open_ = model.predict(space, history, lambda: pool(space, history, rng))
        if not open_.any():
            return space.sample(rng)
        worth = self._worth(posterior, scores, open_, rng) + self._belief(space, history, candidates)
        return candidates[int(np.argmax(worth))]

    def _belief(
        self, space: Space, history: History, candidates: Sequence[Architecture]
    ) -> NDArray[np.float64] | float:
        """Return (n,) what the prior adds to the acquisition: beta / trials x log density."""
        prior = history.background.prior
        if not prior:
            return 0.0
        return _BELIEF / len(history.complete) * prior.log_ratios(space, candidates)

    def _ranking(
        self, model: Model, space: Space, history: History, ended: int, late: int, scores: NDArray[np.float64]
    ) -> list[Architecture]:
        """Return candidates in the order in which they are proposed until so many more trials have ended.

        It follows from the trials that had ended, whatever has begun or ended since.
        """
        rng = np.random.default_rng([history.finished[ended - 1].seed, ended])

        def draw() -> list[Architecture]:
            best = np.argsort(-np.asarray(history.scores[: model.count]), kind="stable")[:_PARENTS]
            parents = [history.complete[index].architecture for index in best]
            return near_and_random(space, parents, rng, _CANDIDATES + _FURTHER * late)

        candidates, posterior, open_ = model.predict(space, history, draw, counts_running=False)
        worth = self._worth(posterior, scores, np.ones_like(open_), rng, ranks=True)
        worth += self._belief(space, history, candidates)
        return [candidates[index] for index in np.argsort(-worth, kind="stable")]

    def _worth(
        self,
        posterior: Posterior | RankWeighted,
        scores: NDArray[np.float64],
        open_: NDArray[np.bool_],
        rng: np.random.Generator,
        *,
        ranks: bool = False,
    ) -> NDArray[np.float64]:
        """Return what the candidates are worth, for one proposal or as a ranking: minus infinity where not open."""
        mean, deviation = posterior.expect(scores)
        if self.acquisition in ("noisy-ei", "log-ei") and not ranks:
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
