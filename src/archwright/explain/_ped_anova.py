"""PED-ANOVA: how the distribution of each decision among the best trials differs from that among the others."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from archwright.explain._columns import Array, Column, Columns
from archwright.explain._fit import INTERVAL, check_varied
from archwright.explain._sample import LEAST, Sample
from archwright.space import Space

_BEST = 0.1  # the share of the trials that count as the best,
_BETTER = 0.25  # and of those that they are compared with among the best
_FEWEST = 8  # trials that count as the best
_DRAWS = 400  # bootstrap samples, and permutations
_CHANCE = 0.99  # the quantile of permutations that a share has to exceed to be told from noise
_PRIOR = 1.0  # trials that a level is credited with, of which the mean share is among the best


@dataclass(frozen=True)
class Rated:
    """A decision's share of the variance of "is this one of the best", with its interval."""

    share: float
    low: float
    high: float
    noise: bool
    trials: int


def ped_anova(space: Space, sample: Sample, among: str, seed: int) -> tuple[Columns, list[Rated]]:
    """Return for each column how much it tells about whether a trial is one of the best.

    Within the trials in which the decision is active, with n_v of n trials at level v, of which h_v are among the best,
    and a = sum h_v / n, the share is sum n_v / n (h_v / n_v - a)^2 / (a (1 - a)), which is a / (1 - a) times the
    Pearson divergence of PED-ANOVA, times the share of the compared trials in which the decision is active.
    """
    check_varied(sample)
    rng = np.random.default_rng(seed)
    columns = Columns(space)
    order = np.argsort(-sample.scores, kind="stable")
    count = len(order) if among == "all" else max(LEAST, round(_BETTER * len(order)))
    best = max(_FEWEST, round(_BEST * len(order)))
    codes = columns.codes([sample.trials[index].architecture for index in order[:count]])
    is_best = np.arange(count) < best
    return columns, [_rated(column, codes[:, i], is_best, rng) for i, column in enumerate(columns.columns)]


def _rated(column: Column, codes: NDArray[Any], is_best: NDArray[Any], rng: np.random.Generator) -> Rated:
    active = codes >= 0
    level, hit = codes[active], is_best[active]
    trials, size = len(level), len(column.weights)
    if not 0 < hit.sum() < trials:
        return Rated(0.0, 0.0, 0.0, True, trials)
    counts = np.bincount(level, minlength=size)
    hits = np.bincount(level[hit], minlength=size)
    smooth = _smoothing(column, level)
    share = is_best.mean()
    scale = trials / len(codes) / (share * (1 - share))

    def of(counts: NDArray[Any], hits: NDArray[Any]) -> Array:
        """Return the share for (..., levels) numbers of trials, and of the best among them."""
        mean = hits.sum(axis=-1, keepdims=True) / counts.sum(axis=-1, keepdims=True)
        rate = (hits @ smooth + _PRIOR * mean) / (counts @ smooth + _PRIOR)
        weight = counts / counts.sum(axis=-1, keepdims=True)
        middle = (weight * rate).sum(axis=-1, keepdims=True)
        return np.asarray(scale * (weight * (rate - middle) ** 2).sum(axis=-1))

    cells = np.concatenate([hits, counts - hits]) / trials
    drawn = rng.multinomial(trials, cells, size=_DRAWS).reshape(_DRAWS, 2, size)
    permuted = rng.multivariate_hypergeometric(counts, int(hit.sum()), size=_DRAWS)
    found = float(of(counts, hits))
    low, high = np.quantile(of(drawn.sum(axis=1), drawn[:, 0]), INTERVAL)
    chance = np.quantile(of(np.broadcast_to(counts, permuted.shape), permuted), _CHANCE)
    return Rated(found, min(found, float(low)), max(found, float(high)), bool(found <= chance), trials)


def _smoothing(column: Column, level: NDArray[Any]) -> Array:
    """Return (levels, levels) by which counts of ordered levels are smoothed, with the bandwidth of Scott's rule."""
    size = len(column.weights)
    width = 1.06 * level.std() * len(level) ** -0.2
    if not column.ordered or width == 0:
        return np.eye(size)
    apart = np.subtract.outer(np.arange(size), np.arange(size)) / width
    kernel = np.exp(-0.5 * apart**2)
    return np.asarray(kernel / kernel.sum(axis=1, keepdims=True))
