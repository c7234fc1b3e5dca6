"""Predictor-guided search."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from archwright._checks import check_counts, check_options
from archwright.space import Architecture, Space
from archwright.strategies._base import register
from archwright.strategies._ranked import Ranked, Ranking, candidates
from archwright.surrogates import PREDICTORS, Predictor, log_expected_improvement, upper_confidence_bound

Acquisition = Literal["thompson", "ei", "ucb", "mean"]

_LEAST = 1e-9  # a deviation, in standardised scores; members of an ensemble may agree


@register("predictor")
@dataclass(frozen=True)
class PredictorGuided(Ranked):
    """Predictor-guided search: fit a performance predictor and evaluate its best predictions.

    White et al., "How powerful are performance predictors in neural architecture search?", NeurIPS 2021. After some
    random trials the predictor is fitted to all complete trials; candidates (mutants of the best ten and random
    architectures, a thousand in all, or the whole of a smaller space) are ranked by the acquisition function and
    proposed in that order until the next batch is complete. Low scores are compressed: see `surrogates.squash`.

    Args:
        predictor: One of `surrogates.PREDICTORS`: "mlp", "boosted-trees", "graph" (for spaces with cells) or
            "gaussian-process"; or any `Predictor`, which cannot be kept in a run folder.
        acquisition: "thompson", a sample of each candidate's predictive distribution; "ei", expected improvement;
            "ucb", mean plus two standard deviations; "mean".
        initial: Number of random trials at the start, at least 1.
        batch: Number of complete trials between two fits, at least 1; it grows with the history.

    Raises:
        StrategyError: The value of a setting is not allowed.

    Example:
        >>> study = aw.Study(aw.Space(x=aw.integer(0, 63)), strategy=aw.strategies.PredictorGuided())
        >>> study = study.run(lambda candidate: -abs(candidate.settings["x"] - 40), aw.Budget(trials=30))
        >>> study.best.trial.architecture["x"]
        40
    """

    predictor: str | Predictor = "mlp"
    acquisition: Acquisition = "thompson"
    initial: int = 5
    batch: int = 2

    def __post_init__(self) -> None:
        if not isinstance(self.predictor, Predictor):
            check_options(self, predictor=PREDICTORS)
        check_options(self, acquisition=get_args(Acquisition))
        check_counts(self, "initial", "batch")

    def check(self, space: Space) -> None:
        """Check that the predictor has features in a space."""
        self._predictor().check(space)

    def _predictor(self) -> Predictor:
        return self.predictor if isinstance(self.predictor, Predictor) else PREDICTORS[self.predictor]()

    def _rank(
        self, space: Space, measured: Sequence[Architecture], scores: NDArray[np.float64], rng: np.random.Generator
    ) -> Ranking:
        fitted = self._predictor().fit(space, measured, scores, rng)
        found = candidates(space, measured, scores, rng)
        if self.acquisition == "thompson":
            return found, fitted.draw(found, rng)
        mean, deviation = fitted.predict(found)
        if self.acquisition == "ei":
            best = float(scores.max())
            return found, log_expected_improvement(mean, np.maximum(deviation, _LEAST), best)
        return found, upper_confidence_bound(mean, deviation) if self.acquisition == "ucb" else mean
