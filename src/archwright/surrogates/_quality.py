"""Evaluation of predictors by rank correlation and training set size."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import scipy
from numpy.typing import NDArray

from archwright._scalars import scalars
from archwright.errors import DataError
from archwright.space import Architecture, Space
from archwright.surrogates._base import Predictor

Array: TypeAlias = NDArray[np.float64]


@dataclass(frozen=True)
class PredictorQuality:
    """Agreement of predictions with held-out scores; nan where predictions or scores are constant.

    Args:
        sizes: (s,) numbers of training architectures.
        seeds: (r,) seeds of the splits.
        kendall: (s, r) Kendall's rank correlation, tau-b: from -1 to 1.
        spearman: (s, r) Spearman's rank correlation: from -1 to 1.
        r2: (s, r) the coefficient of determination, at most 1; below 0 if worse than predicting the mean.

    Example:
        >>> quality = aw.surrogates.PredictorQuality((20,), (0,), *np.array([[[0.5]], [[0.7]], [[0.4]]]))
        >>> quality.to_json()["kendall"]
        [[0.5]]
    """

    sizes: tuple[int, ...]
    seeds: tuple[int, ...]
    kendall: Array
    spearman: Array
    r2: Array

    def to_json(self) -> dict[str, Any]:
        """Return the quality as a JSON object; `None` stands for nan."""
        measures = {"kendall": self.kendall, "spearman": self.spearman, "r2": self.r2}
        return {
            "sizes": list(self.sizes),
            "seeds": list(self.seeds),
            **{
                name: [[None if math.isnan(value) else value for value in row] for row in values.tolist()]
                for name, values in measures.items()
            },
        }

    def __str__(self) -> str:
        """Return a table: for each size the means over the seeds, with their standard deviations."""
        lines = [f"{'architectures':>13}{'Kendall':>16}{'Spearman':>16}{'R2':>16}"]
        for size, *rows in zip(self.sizes, self.kendall, self.spearman, self.r2, strict=True):
            lines.append(f"{size:13,}" + "".join(f"{row.mean():8.3f} ± {row.std():5.3f}" for row in rows))
        return "\n".join(lines)


def evaluate_predictor(
    predictor: Predictor,
    space: Space,
    architectures: Sequence[Architecture],
    scores: Sequence[float] | Array,
    *,
    sizes: Sequence[int] = (20, 50, 100),
    seeds: int | Sequence[int] = 5,
    held_out: int = 1000,
) -> PredictorQuality:
    """Return the learning curve of a predictor: its rank correlations on held-out architectures by training set size.

    For each seed the architectures are shuffled once: the last ones are held out, and each size takes the first of the
    others, so that the training sets are nested.

    Args:
        predictor: The predictor.
        space: The space of the architectures.
        architectures: Distinct measured architectures.
        scores: (n,) finite numbers; greater is better.
        sizes: Numbers of training architectures.
        seeds: The number of repetitions, or their seeds.
        held_out: Maximum number of held-out architectures, at least 2; limited by what the largest size leaves.

    Raises:
        DataError: The numbers of scores and architectures differ, sizes or seeds are missing or below 1, or fewer than
            2 architectures are left to hold out.

    Example:
        >>> space, predictor = aw.Space(x=aw.integer(0, 49)), aw.surrogates.GaussianProcess("decisions")
        >>> measured, scores = list(space.enumerate()), np.arange(50.0)
        >>> quality = aw.surrogates.evaluate_predictor(predictor, space, measured, scores, sizes=[20])
        >>> bool(quality.kendall.mean() > 0.9)
        True
    """
    seeds = scalars(seeds)
    numbers = tuple(range(seeds)) if isinstance(seeds, int) else tuple(map(scalars, seeds))
    values = np.asarray(scores, dtype=np.float64)
    if values.shape != (len(architectures),):
        raise DataError(f"{len(architectures)} architectures need as many scores; scores of shape {values.shape} given")
    if min(len(sizes), len(numbers), *sizes) < 1:
        raise DataError(f"sizes and seeds are at least one of each, and sizes 1 or more; {sizes=}, {seeds=} was given")
    left = len(values) - max(sizes)
    if min(left, held_out) < 2:
        raise DataError(
            f"at least 2 architectures are held out: of {len(values)}, sizes={tuple(sizes)} leaves {left}, "
            f"and held_out={held_out} was given"
        )
    found = np.empty((3, len(sizes), len(numbers)))
    for column, seed in enumerate(numbers):
        rng = np.random.default_rng(seed)
        order = rng.permutation(len(values))
        held = order[-min(left, held_out) :]
        for row, size in enumerate(sizes):
            known = order[:size]
            fitted = predictor.fit(space, [architectures[index] for index in known], values[known], rng)
            mean, _ = fitted.predict([architectures[index] for index in held])
            found[:, row, column] = _agreement(mean, values[held])
    return PredictorQuality(tuple(sizes), numbers, *found)


def _agreement(predicted: Array, scores: Array) -> tuple[float, float, float]:
    """Return Kendall's and Spearman's rank correlation and the share of the variance that is explained."""
    if np.ptp(scores) == 0:
        return math.nan, math.nan, math.nan
    size = float(np.abs(scores).max())  # squares of what is near the largest float would overflow
    wrong = np.square(predicted / size - scores / size).mean()
    r2 = 1 - wrong / np.var(scores / size)
    if np.ptp(predicted) == 0:
        return math.nan, math.nan, float(r2)
    return (
        float(scipy.stats.kendalltau(predicted, scores).statistic),
        float(scipy.stats.spearmanr(predicted, scores).statistic),
        float(r2),
    )
