"""Gaussian processes over architectures."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import scipy
from numpy.typing import NDArray

from archwright.space import Architecture, Space
from archwright.surrogates._base import Fitted, Predictor, standardise
from archwright.surrogates._kernels import Rows, Term
from archwright.surrogates._named_kernels import kernel_for

Array: TypeAlias = NDArray[np.float64]

_NOISE = (math.log(0.05), 1.0)  # prior of the noise's variance, as a term has it
_JITTER = 1e-8
_FAR = 1e12  # median distances from the best, beyond which all is equally bad
_FITTED = 300  # how many of the measured architectures the parameters are fitted to, at most
_BLOCK = 200_000  # numbers of a kernel that are computed at a time: what the processor's cache holds


def squash(scores: Array) -> Array:
    """Return standardised scores in which the differences of low scores are compressed.

    A score becomes -log(1 + 2 (best - score) / median(best - scores)), so that a model resolves the best scores rather
    than the worst.

    Example:
        >>> aw.surrogates.squash(np.array([-1000.0, 0.0, 1.0, 2.0])).round(2)
        array([-1.71,  0.36,  0.52,  0.82])
    """
    size = float(np.abs(scores).max()) or 1.0  # differences of what is near the largest float would overflow
    below = scores.max() / size - scores / size
    unit = float(np.median(below)) or float(below.mean())
    if unit == 0:
        return np.zeros_like(scores)
    values = -np.log1p(2 * np.minimum(below, _FAR * unit) / unit)
    return np.asarray((values - values.mean()) / values.std())


def clipped(scores: Array) -> Array:
    """Return standardised scores, clipped from below at the median minus three interquartile ranges.

    With several objectives all distances matter, so only outliers are compressed.

    Example:
        >>> aw.surrogates.clipped(np.array([-1000.0, 0.0, 1.0, 2.0, 3.0])).round(2)
        array([-1.87, -0.07,  0.29,  0.65,  1.01])
    """
    low, middle, high = np.quantile(scores, (0.25, 0.5, 0.75))
    values = np.maximum(scores, middle - 3 * (high - low)) if high > low else scores
    spread = float(values.std())
    return np.zeros_like(scores) if spread == 0 else np.asarray((values - values.mean()) / spread)


def fit_parameters(terms: Sequence[Term], inputs: Sequence[Rows], scores: Array) -> Array:
    """Return the maximum a posteriori parameters of a kernel, given scores and the terms' priors.

    Args:
        terms: The terms of the kernel.
        inputs: For each term (n, features) rows.
        scores: (n,) standardised scores.

    Returns:
        The parameters of all terms in order, and the logarithm of the noise's variance.

    Example:
        >>> space = aw.Space(x=aw.integer(0, 9))
        >>> term = aw.surrogates.Decisions(space)
        >>> rows = term.inputs(list(space.enumerate()))
        >>> aw.surrogates.fit_parameters([term], [rows], aw.surrogates.squash(np.arange(10.0))).shape
        (3,)
    """
    prior = np.array([pair for term in terms for pair in term.prior] + [_NOISE])
    if len(scores) > _FITTED:
        chosen = np.linspace(0, len(scores) - 1, _FITTED).astype(int)
        inputs, scores = [rows[chosen] for rows in inputs], scores[chosen]
    compared = [term.compare(rows, rows) for term, rows in zip(terms, inputs, strict=True)]
    unit = np.eye(len(scores))

    def loss(parameters: Array) -> tuple[float, Array]:
        """Return the negative logarithm of the posterior density, and its gradient."""
        noise = math.exp(parameters[-1])
        parts = [term.gradient(c, p) for term, c, p in _split(terms, compared, parameters)]
        kernel = _total([values for values, *_ in parts])  # by the logarithm of its variance a term is its own slope
        lower = np.linalg.cholesky(kernel + (noise + _JITTER) * unit)
        weights = scipy.linalg.cho_solve((lower, True), scores)
        slope = scipy.linalg.cho_solve((lower, True), unit) - np.outer(weights, weights)
        off = (parameters - prior[:, 0]) / prior[:, 1]
        value = 0.5 * scores @ weights + np.log(np.diag(lower)).sum() + 0.5 * off @ off
        gradient = [0.5 * float(np.vdot(slope, part)) for of_term in parts for part in of_term]
        gradient.append(0.5 * noise * float(np.trace(slope)))
        return float(value), np.array(gradient) + off / prior[:, 1]

    found = scipy.optimize.minimize(loss, prior[:, 0], jac=True, method="L-BFGS-B", bounds=[(-12.0, 6.0)] * len(prior))
    return np.asarray(found.x)


class Posterior:
    """Posterior of a Gaussian process at a fixed set of candidates, updated with each observation.

    An observation appends a row to the Cholesky factor; solutions for the candidates are kept. With kernel matrix K of
    n observations, noise s and kernel vector k of a candidate, the mean is k^T (K + s I)^-1 y and the variance k(a, a)
    - k^T (K + s I)^-1 k.

    Args:
        terms: The terms of the kernel.
        parameters: As `fit_parameters` returns them.
        candidates: For each term (m, features) rows.

    Example:
        >>> space = aw.Space(x=aw.integer(0, 9))
        >>> term = aw.surrogates.Decisions(space)
        >>> rows = term.inputs(list(space.enumerate()))
        >>> posterior = aw.surrogates.Posterior([term], np.array([0.0, 2.0, -9.0]), [rows])
        >>> posterior.observe([rows[[0, 9]]], 2)
        >>> int(posterior.expect(np.array([-1.0, 1.0]))[0].argmax())
        9
    """

    def __init__(self, terms: Sequence[Term], parameters: Array, candidates: Sequence[Rows]) -> None:
        self.terms = terms
        self.parameters = parameters
        self.candidates = candidates
        self.size = 0
        self._prior = self._diagonal(candidates)
        self._lower = np.zeros((0, 0))
        self._solved = np.zeros((0, len(self._prior)))  # (observations, m): factor^-1 kernel(observed, candidates)
        self._known = np.zeros(len(self._prior))  # how much less variance is left by the first observations,
        self._counted = 0  # of which there are so many

    def observe(self, inputs: Sequence[Rows], count: int) -> None:
        """Condition on the first `count` observations.

        Args:
            inputs: For each term (n, features) rows, beginning with those observed before.
            count: The number of observed rows; a smaller number than before drops the last ones.
        """
        self.size = min(self.size, count)
        if self.size < self._counted:
            self._forget()
        self._reserve(count)
        if self.size == 0 and count:
            first = [rows[:count] for rows in inputs]
            kernel = self._kernel(first, first) + (self._noise + _JITTER) * np.eye(count)
            lower = self._lower[:count, :count] = np.linalg.cholesky(kernel)
            width = max(1, _BLOCK // count)
            for start in range(0, len(self._prior), width):
                some = slice(start, start + width)
                values = self._kernel(first, [rows[some] for rows in self.candidates])
                self._solved[:count, some] = scipy.linalg.solve_triangular(
                    lower, values, lower=True, check_finite=False
                )
            self.size = count
        for n in range(self.size, count):
            new = [rows[n : n + 1] for rows in inputs]
            with_old = self._kernel(new, [rows[:n] for rows in inputs])[0]
            row = scipy.linalg.solve_triangular(self._lower[:n, :n], with_old, lower=True, check_finite=False)
            own = float(self._diagonal(new)[0]) + self._noise + _JITTER
            pivot = math.sqrt(max(own - float(row @ row), _JITTER))
            self._lower[n, :n], self._lower[n, n] = row, pivot
            self._solved[n] = (self._kernel(new, self.candidates)[0] - row @ self._solved[:n]) / pivot
            self.size = n + 1

    def expect(self, scores: Array) -> tuple[Array, Array]:
        """Return (m,) means and (m,) standard deviations of the candidates.

        Observations without a score are running trials: they count with their predicted mean (Ginsbourger et al.,
        "Kriging is well-suited to parallelize optimization", 2010), and only reduce the deviations.

        Args:
            scores: (n,) standardised scores of the first observations.
        """
        n = len(scores)
        if n < self._counted:
            self._forget()
        weights = scipy.linalg.solve_triangular(self._lower[:n, :n], scores, lower=True, check_finite=False)
        for row in self._solved[self._counted : n]:  # one by one, whenever it is asked: rounding is the same
            self._known += row * row
        self._counted = n
        coming = self._solved[n : self.size]
        variance = self._prior - self._known - np.einsum("ij,ij->j", coming, coming)
        return weights @ self._solved[:n], np.sqrt(np.maximum(variance, _JITTER))

    def smooth(self, scores: Array) -> Array:
        """Return the (n,) posterior means at the observed architectures."""
        n = len(scores)
        return np.asarray(
            scores - (self._noise + _JITTER) * scipy.linalg.cho_solve((self._lower[:n, :n], True), scores)
        )

    def leave_one_out(self, scores: Array) -> tuple[Array, Array]:
        """Return (n,) means and (n,) deviations at the observed architectures, each without its own score.

        Rasmussen and Williams, 2006, equation 5.12; the parameters are not fitted anew.
        """
        n = len(scores)
        inverse = scipy.linalg.cho_solve((self._lower[:n, :n], True), np.eye(n))
        own = np.diag(inverse)
        return np.asarray(scores - inverse @ scores / own), np.sqrt(1 / own)

    def covariance(self, chosen: NDArray[np.intp]) -> Array:
        """Return the (k, k) posterior covariances of some of the candidates."""
        rows = [rows[chosen] for rows in self.candidates]
        solved = self._solved[: self.size, chosen]
        return self._kernel(rows, rows) - solved.T @ solved

    def _forget(self) -> None:
        self._known, self._counted = np.zeros(len(self._prior)), 0

    @property
    def _noise(self) -> float:
        return math.exp(self.parameters[-1])

    def _kernel(self, first: Sequence[Rows], second: Sequence[Rows]) -> Array:
        pairs = list(zip(first, second, strict=True))
        return _total([term.kernel(a, b, p) for term, (a, b), p in _split(self.terms, pairs, self.parameters)])

    def _diagonal(self, inputs: Sequence[Rows]) -> Array:
        return _total([term.diagonal(rows, p) for term, rows, p in _split(self.terms, inputs, self.parameters)])

    def _reserve(self, count: int) -> None:
        """Make room for observations, and for some that come after them, wherever there is too little."""
        held = len(self._lower)
        if count > held:
            room = max(count + count // 4, 2 * held)
            lower, solved = np.zeros((room, room)), np.zeros((room, len(self._prior)))
            lower[:held, :held], solved[:held] = self._lower, self._solved
            self._lower, self._solved = lower, solved


@dataclass(frozen=True)
class GaussianProcess(Predictor):
    """Gaussian process regression; the parameters of the kernel are fitted by maximum a posteriori.

    Rasmussen and Williams, "Gaussian processes for machine learning", 2006, algorithm 2.1 and chapter 5.

    Args:
        kernel: One of `KERNELS`.

    Example:
        >>> space, rng = aw.Space(x=aw.integer(0, 9)), np.random.default_rng(0)
        >>> predictor, measured = aw.surrogates.GaussianProcess("decisions"), list(space.enumerate())
        >>> fitted = predictor.fit(space, measured, np.arange(10.0), rng)
        >>> fitted.predict([aw.Architecture({"x": 9})])[0].round()
        array([9.])
    """

    kernel: str = "network"

    def fit(
        self, space: Space, architectures: Sequence[Architecture], scores: Array, rng: np.random.Generator
    ) -> FittedGaussianProcess:
        """Fit the kernel's parameters to measured architectures; deterministic."""
        terms = kernel_for(space, self.kernel)
        inputs = [term.inputs(architectures) for term in terms]
        standard, centre, spread = standardise(scores)
        return FittedGaussianProcess(terms, fit_parameters(terms, inputs, standard), inputs, standard, centre, spread)


@dataclass(frozen=True)
class FittedGaussianProcess(Fitted):
    """A Gaussian process with its parameters and the architectures it was fitted to."""

    terms: Sequence[Term]
    parameters: Array
    inputs: Sequence[Rows]
    scores: Array
    centre: float
    spread: float

    def predict(self, architectures: Sequence[Architecture]) -> tuple[Array, Array]:
        """Return (n,) means and (n,) standard deviations, in the unit of the scores."""
        posterior = Posterior(self.terms, self.parameters, [term.inputs(architectures) for term in self.terms])
        posterior.observe(self.inputs, len(self.scores))
        mean, deviation = posterior.expect(self.scores)
        return self.centre + self.spread * mean, self.spread * deviation


def _split(terms: Sequence[Term], items: Sequence[Any], parameters: Array) -> Iterator[tuple[Term, Any, Array]]:
    """Iterate over terms with something of each and its own parameters."""
    start = 0
    for term, item in zip(terms, items, strict=True):
        yield term, item, parameters[start : start + len(term.prior)]
        start += len(term.prior)


def _total(parts: Sequence[Array]) -> Array:
    return np.asarray(sum(parts[1:], start=parts[0]))
