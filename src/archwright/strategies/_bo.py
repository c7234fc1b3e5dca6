"""Bayesian optimisation."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal, get_args
from weakref import WeakKeyDictionary

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import issparse, vstack

from archwright.space import Architecture, Space
from archwright.strategies._base import Strategy, check_counts, check_options, register
from archwright.strategies._pool import everything, pool, positions
from archwright.surrogates import (
    KERNELS,
    Posterior,
    Rows,
    Term,
    fit_parameters,
    kernel_for,
    log_expected_improvement,
    squash,
    terms_for,
    upper_confidence_bound,
)
from archwright.trials import History

__all__ = ["BayesianOptimisation"]

Acquisition = Literal["log-ei", "noisy-ei", "ucb", "thompson"]

_ENTRIES = 20_000_000  # the most observations x candidates for which a whole space is judged: 160 MB
_OBSERVED = 1000  # the most trials that are observed: the cost of a proposal grows with their square
_DRAWN = 500  # candidates of a joint draw, whose cost grows with their cube


_inputs: WeakKeyDictionary[Space, dict[str, list[Rows]]] = WeakKeyDictionary()  # of all of a small space, by kernel


@dataclass
class _Model:
    """What follows from the complete trials of one history."""

    rows: list[Rows] = field(default_factory=list)  # for each term the (trials, features) rows
    count: int = 0  # how many trials have their rows
    fitted: int = 0  # how many the parameters were fitted to
    parameters: NDArray[np.float64] = field(default_factory=lambda: np.zeros(0))
    kept: NDArray[np.intp] = field(default_factory=lambda: np.zeros(0, dtype=np.intp))  # which of those are observed
    posterior: Posterior | None = None  # over all of a small space
    settled: int = 0  # how many complete trials it has observed; those beyond are trials that ran
    open: NDArray[np.bool_] | None = None  # which of all architectures of a small space have not been proposed
    marked: int = 0  # how many trials are marked there

    @property
    def observed(self) -> NDArray[np.intp]:
        """Which trials the posterior is to observe: those kept at the last fit, and all that came after it."""
        return np.concatenate([self.kept, np.arange(self.fitted, self.count)])


@register("bo")
@dataclass(frozen=True)
class BayesianOptimisation(Strategy):
    """Bayesian optimisation: a Gaussian process over architectures says where improvement is likeliest.

    Expected improvement (Jones et al. 1998), maximised over all of a small space, and over mutations of the best and
    random samples of a large one. Trials that still run count as expected, so that workers are sent to different
    places. Scores are drawn together at the low end: see `surrogates.squash`. The kernel's parameters are fitted anew
    after each complete trial while there are few, and less and less often after that.

    Args:
        kernel: What of architectures is compared. "network": the decisions, what the cells compute, parameters and
            FLOPs; "decisions" and "hamming" know nothing of networks; "path"; "wl" (NAS-BOWL).
        acquisition: "log-ei", expected improvement; "noisy-ei", over what is expected of the best rather than what
            was measured; "ucb", mean plus two deviations; "thompson", the best of one draw from the posterior.
        initial: How many random trials come first, at least 1.

    Raises:
        StrategyError: A setting is none of these.
    """

    kernel: str = "network"
    acquisition: Acquisition = "log-ei"
    initial: int = 3
    _models: WeakKeyDictionary[History, _Model] = field(
        default_factory=WeakKeyDictionary, init=False, repr=False, compare=False
    )

    def __post_init__(self) -> None:
        """Check the settings."""
        check_options("bo", self, kernel=KERNELS, acquisition=get_args(Acquisition))
        check_counts("bo", self, "initial")

    def check(self, space: Space) -> None:
        """Refuse a space that the kernel sees nothing of."""
        terms_for(space, self.kernel)

    def propose(self, space: Space, history: History, rng: np.random.Generator) -> Architecture:
        """Return the candidate for which the acquisition is greatest, or a random start."""
        if len(history.complete) < self.initial:
            return space.sample(rng)
        terms = kernel_for(space, self.kernel)
        model = self._models.setdefault(history, _Model())
        _learn(model, terms, history)
        observed = model.observed
        rows = [part[observed] for part in model.rows]
        candidates = everything(space)
        if candidates is None or len(observed) * len(candidates) > _ENTRIES:
            candidates = pool(space, history, rng)
            posterior = Posterior(terms, model.parameters, [term.inputs(candidates) for term in terms])
            open_ = np.ones(len(candidates), dtype=bool)
        else:
            if model.posterior is None:
                model.posterior = Posterior(terms, model.parameters, _all_inputs(space, self.kernel, candidates))
                model.settled = 0
            posterior, open_ = model.posterior, _open(model, space, history)
            posterior.observe(rows, model.settled)  # drops the trials that were running when it was last asked
            model.settled = len(observed)
        if not open_.any():
            return space.sample(rng)
        posterior.observe(rows, len(observed))
        if pending := [trial.architecture for trial in history.trials if not trial.ended]:
            rows = [_joined(part, term.inputs(pending)) for part, term in zip(rows, terms, strict=True)]
            posterior.observe(rows, len(observed) + len(pending))
        worth = self._worth(posterior, squash(np.asarray(history.scores))[observed], open_, rng)
        return candidates[int(np.argmax(worth))]

    def _worth(
        self, posterior: Posterior, scores: NDArray[np.float64], open_: NDArray[np.bool_], rng: np.random.Generator
    ) -> NDArray[np.float64]:
        """Return what the candidates are worth: minus infinity for those that were proposed."""
        mean, deviation = posterior.expect(scores)
        if self.acquisition == "log-ei":
            worth = log_expected_improvement(mean, deviation, float(scores.max()))
        elif self.acquisition == "noisy-ei":
            worth = log_expected_improvement(mean, deviation, float(posterior.smooth(scores).max()))
        else:
            worth = upper_confidence_bound(mean, deviation)
        worth = np.where(open_, worth, -np.inf)
        if self.acquisition != "thompson":
            return worth
        likely = np.argsort(-worth, kind="stable")[: min(_DRAWN, int(open_.sum()))]
        drawn = np.full(len(worth), -np.inf)
        drawn[likely] = rng.multivariate_normal(mean[likely], posterior.covariance(likely), method="eigh")
        return drawn


def _learn(model: _Model, terms: Sequence[Term], history: History) -> None:
    """Take in the trials that have been completed since, and fit the parameters where that is due."""
    new = [trial.architecture for trial in history.complete[model.count :]]
    if new:
        rows = [term.inputs(new) for term in terms]
        model.rows = [_joined(old, more) for old, more in zip(model.rows, rows, strict=True)] if model.rows else rows
        model.count += len(new)
    due = model.count - model.count % max(1, model.count // 20)  # a function of the number of trials alone
    if due != model.fitted:
        scores = np.asarray(history.scores[:due])
        model.parameters = fit_parameters(terms, [rows[:due] for rows in model.rows], squash(scores))
        model.kept = _telling(scores)
        model.fitted, model.posterior = due, None


def _telling(scores: NDArray[np.float64]) -> NDArray[np.intp]:
    """Return which trials to observe: all of a few; of many the best, and some of the others, evenly spread in time."""
    if len(scores) <= _OBSERVED:
        return np.arange(len(scores))
    order = np.argsort(-scores, kind="stable")
    best, others = order[: _OBSERVED // 2], np.sort(order[_OBSERVED // 2 :])
    return np.sort(np.r_[best, others[np.linspace(0, len(others) - 1, _OBSERVED // 2).astype(int)]])


def _open(model: _Model, space: Space, history: History) -> NDArray[np.bool_]:
    """Tell which architectures of a small space have not been proposed; each trial is looked up once."""
    places = positions(space)
    if model.open is None:
        model.open = np.ones(len(places), dtype=bool)
    for trial in history.trials[model.marked :]:
        place = places.get(trial.architecture)
        if place is not None:
            model.open[place] = False
    model.marked = len(history.trials)
    return model.open


def _all_inputs(space: Space, kernel: str, architectures: Sequence[Architecture]) -> list[Rows]:
    made = _inputs.setdefault(space, {})
    if kernel not in made:
        made[kernel] = [term.inputs(architectures) for term in kernel_for(space, kernel)]
    return made[kernel]


def _joined(first: Rows, second: Rows) -> Rows:
    return vstack([first, second], format="csr") if issparse(first) else np.vstack([first, second])
