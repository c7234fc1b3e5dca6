"""NPENAS."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from archwright._checks import check_counts, check_options
from archwright.space import Architecture, Space
from archwright.strategies._base import Strategy, register
from archwright.strategies._ranked import Measured, Ranking, next_in_rank
from archwright.surrogates import PREDICTORS
from archwright.trials import History

__all__ = ["Npenas"]


@register("npenas")
@dataclass(frozen=True)
class Npenas(Strategy):
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
        """Check the settings."""
        if self.predictor is not None:
            check_options(self, predictor=PREDICTORS)
        check_counts(self, "parents", "children", "initial", "batch")

    def check(self, space: Space) -> None:
        """Refuse a space in which the predictor sees nothing."""
        PREDICTORS[self._name(space)]().check(space)

    def propose(self, space: Space, history: History, rng: np.random.Generator) -> Architecture:
        """Return the child that is predicted best of those not proposed yet, or a random start."""
        return next_in_rank(
            self.state_of(history, Ranking),
            space,
            history,
            rng,
            rank=self._rank,
            initial=self.initial,
            batch=self.batch,
        )

    def _name(self, space: Space) -> str:
        return self.predictor or ("graph" if space.cells else "mlp")

    def _rank(
        self, space: Space, measured: Measured, rng: np.random.Generator
    ) -> tuple[Sequence[Architecture], NDArray[np.float64]]:
        fitted = PREDICTORS[self._name(space)]().fit(space, measured.architectures, measured.scores, rng)
        pairs = rng.integers(len(measured.scores), size=(self.parents, 2))
        winners = [max(pair, key=measured.scores.__getitem__) for pair in pairs.tolist()]
        born = [space.mutate(measured.architectures[one], rng) for one in winners for _ in range(self.children)]
        found = list(dict.fromkeys(born))
        return found, fitted.predict(found)[0]
