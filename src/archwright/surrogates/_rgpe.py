"""Rank-weighted Gaussian process ensemble: earlier tasks in the model of this one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from archwright.surrogates._gp import Posterior, fit_parameters
from archwright.surrogates._kernels import Rows, Term

Array: TypeAlias = NDArray[np.float64]

_DILUTED = 95  # percentile of the own model's loss, above whose value a median discards an earlier model


@dataclass(frozen=True)
class EarlierModel:
    """A Gaussian process fitted to the trials of an earlier task.

    Args:
        terms: The terms of the kernel.
        parameters: As `fit_parameters` returns them.
        inputs: For each term (n, features) rows.
        scores: (n,) standardised scores.

    Example:
        >>> space = aw.Space(x=aw.integer(0, 9))
        >>> term = aw.surrogates.Decisions(space)
        >>> rows = term.inputs(list(space.enumerate()))
        >>> model = aw.surrogates.EarlierModel.fit([term], [rows], aw.surrogates.squash(np.arange(10.0)))
        >>> int(model.at([rows])[0].argmax())
        9
    """

    terms: Sequence[Term]
    parameters: Array
    inputs: Sequence[Rows]
    scores: Array

    @classmethod
    def fit(cls, terms: Sequence[Term], inputs: Sequence[Rows], scores: Array) -> EarlierModel:
        """Return the model of (n,) standardised scores."""
        return cls(terms, fit_parameters(terms, inputs, scores), inputs, scores)

    def posterior(self, candidates: Sequence[Rows]) -> Posterior:
        """Return the posterior at (m, features) rows for each term."""
        found = Posterior(self.terms, self.parameters, candidates)
        found.observe(self.inputs, len(self.scores))
        return found

    def at(self, candidates: Sequence[Rows]) -> tuple[Array, Array]:
        """Return (m,) means and (m,) standard deviations at rows."""
        return self.posterior(candidates).expect(self.scores)

    def draw(self, candidates: Sequence[Rows], count: int, rng: np.random.Generator) -> Array:
        """Return (count, m) joint draws at rows."""
        posterior = self.posterior(candidates)
        mean, _ = posterior.expect(self.scores)
        covariance = posterior.covariance(np.arange(len(mean)))
        return rng.multivariate_normal(mean, covariance, size=count, method="eigh")


def rank_weights(earlier: Sequence[Array], own: Array, scores: Array) -> Array:
    """Return the (k + 1,) weights of k earlier models, and at last of the model of this task; their sum is 1.

    Feurer, Letham and Bakshy, "Scalable meta-learning for Bayesian optimization using ranking-weighted Gaussian process
    ensembles", 2018. A weight is the share of samples in which the model misranks the fewest pairs of trials; ties are
    divided. The loss of the own model is that of its leave-one-out predictions. An earlier model whose median loss is
    above the 95th percentile of the own model's is discarded, which prevents the dilution of the weights.

    Args:
        earlier: Of each earlier model (samples, n) draws at the trials.
        own: (samples, n) leave-one-out draws of the own model.
        scores: (n,) scores of the trials.

    Example:
        >>> right, scores = np.array([[0.0, 1.0, 2.0]]), np.array([3.0, 4.0, 5.0])
        >>> aw.surrogates.rank_weights([right, -right], 0 * right, scores)
        array([1., 0., 0.])
    """
    less = scores[:, None] < scores[None, :]
    apart = scores[:, None] != scores[None, :]
    losses = [(((draws[:, :, None] < draws[:, None, :]) != less) & apart).sum((1, 2)) for draws in earlier]
    # Both directions: a prediction at one of a pair is compared with the score of the other.
    losses.append((((own[:, :, None] < scores[None, None, :]) != less) & apart).sum((1, 2)))
    table = np.array(losses, dtype=np.float64)
    limit = np.percentile(table[-1], _DILUTED)
    discarded = np.median(table, axis=1) > limit
    discarded[-1] = False
    table[discarded] = np.inf
    is_least = table == table.min(axis=0)
    return np.asarray((is_least / is_least.sum(axis=0)).mean(axis=1))


class RankWeighted:
    """The posterior of a rank-weighted ensemble: mean = sum w_i m_i, variance = sum w_i^2 s_i^2.

    It takes the place of the own model's `Posterior` in an acquisition function.

    Args:
        own: The posterior of the model of this task.
        candidates: Of each earlier model the posterior at the candidates, with its scores.
        observed: Of each earlier model the (n,) means at the trials.
        weights: (k + 1,) weights, that of the own model at last.

    Example:
        >>> space = aw.Space(x=aw.integer(0, 9))
        >>> term = aw.surrogates.Decisions(space)
        >>> rows = term.inputs(list(space.enumerate()))
        >>> own = aw.surrogates.Posterior([term], np.array([0.0, 2.0, -9.0]), [rows])
        >>> own.observe([rows[[0, 9]]], 2)
        >>> mixed = aw.surrogates.RankWeighted(own, [], [], np.ones(1))
        >>> bool((mixed.expect(np.array([-1.0, 1.0]))[0] == own.expect(np.array([-1.0, 1.0]))[0]).all())
        True
    """

    def __init__(
        self,
        own: Posterior,
        candidates: Sequence[tuple[Posterior, Array]],
        observed: Sequence[Array],
        weights: Array,
    ) -> None:
        self.own, self.candidates, self.observed, self.weights = own, candidates, observed, weights

    def expect(self, scores: Array) -> tuple[Array, Array]:
        """Return (m,) means and (m,) standard deviations of the candidates: see `Posterior.expect`."""
        parts = [*(each.expect(theirs) for each, theirs in self.candidates), self.own.expect(scores)]
        mean = sum(weight * mean for weight, (mean, _) in zip(self.weights, parts, strict=True))
        variance = sum((weight * spread) ** 2 for weight, (_, spread) in zip(self.weights, parts, strict=True))
        return np.asarray(mean), np.sqrt(np.asarray(variance))

    def smooth(self, scores: Array) -> Array:
        """Return the (n,) posterior means at the observed architectures."""
        parts = [*self.observed, self.own.smooth(scores)]
        return np.asarray(sum(weight * mean for weight, mean in zip(self.weights, parts, strict=True)))

    def covariance(self, chosen: NDArray[np.intp]) -> Array:
        """Return the (k, k) posterior covariances of some of the candidates."""
        parts = [*(each.covariance(chosen) for each, _ in self.candidates), self.own.covariance(chosen)]
        return np.asarray(sum(weight**2 * part for weight, part in zip(self.weights, parts, strict=True)))
