"""NPENAS."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from archwright._checks import check_counts, check_options
from archwright.space import Architecture, Space
from archwright.strategies._base import register
from archwright.strategies._ranked import Ranked, Ranking
from archwright.surrogates import PREDICTORS


@register("npenas")
@dataclass(frozen=True)
class Npenas(Ranked):
    """NPENAS: evolution in which a graph neural network predictor selects from many mutations.

    Wei, Niu, Tang, Wang, Hu and Liang, "NPENAS: Neural predictor guided evolution for neural architecture search", IEEE
    Transactions on Neural Networks and Learning Systems 2022. Parents are selected by tournaments of two among all
    complete trials; the mutants that are predicted best are evaluated until the next batch is complete.

    Args:
        predictor: One of `surrogates.PREDICTORS`; by default "graph", and "mlp" in a space without cells.
        parents: Number of tournaments of a batch, at least 1.
        children: Number of mutants of each parent, at least 1.
        initial: Number of random trials at the start, at least 1.
        batch: Number of complete trials between two fits, at least 1; it grows with the history.

    Raises:
        StrategyError: The value of a setting is not allowed.

    Example:
        >>> study = aw.Study(aw.Space(x=aw.integer(0, 63)), strategy=aw.strategies.Npenas(batch=2))
        >>> study = study.run(lambda candidate: -abs(candidate.settings["x"] - 40), aw.Budget(trials=40))
        >>> study.best.trial.architecture["x"]
        40
    """

    predictor: str | None = None
    parents: int = 10
    children: int = 10
    initial: int = 10
    batch: int = 5

    def __post_init__(self) -> None:
        if self.predictor is not None:
            check_options(self, predictor=PREDICTORS)
        check_counts(self, "parents", "children", "initial", "batch")

    def check(self, space: Space) -> None:
        """Check that the predictor has features in a space."""
        PREDICTORS[self._name(space)]().check(space)

    def _name(self, space: Space) -> str:
        return self.predictor or ("graph" if space.cells else "mlp")

    def _rank(
        self, space: Space, measured: Sequence[Architecture], scores: NDArray[np.float64], rng: np.random.Generator
    ) -> Ranking:
        fitted = PREDICTORS[self._name(space)]().fit(space, measured, scores, rng)
        pairs = rng.integers(len(scores), size=(self.parents, 2))
        winners = [max(pair, key=scores.__getitem__) for pair in pairs.tolist()]
        born = [space.mutate(measured[one], rng) for one in winners for _ in range(self.children)]
        found = list(dict.fromkeys(born))
        return found, fitted.predict(found)[0]
