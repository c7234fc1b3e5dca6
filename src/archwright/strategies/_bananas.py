"""BANANAS."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from archwright._checks import check_counts, check_options
from archwright.space import Architecture, Space
from archwright.strategies._base import register
from archwright.strategies._ranked import Ranked, Ranking, candidates
from archwright.surrogates import ENCODINGS, Encoding, Ensemble


@register("bananas")
@dataclass(frozen=True)
class Bananas(Ranked):
    """BANANAS: an ensemble of MLPs on the path encoding, with independent Thompson sampling.

    White, Neiswanger and Savani, "BANANAS: Bayesian optimization with neural architectures for neural architecture
    search", AAAI 2021. Candidates are mutants of the best ten and random architectures, a thousand in all (the whole of
    a smaller space); the score of each is sampled from a normal distribution with the ensemble's mean and standard
    deviation, and they are proposed in that order until the next batch is complete. Low scores are compressed
    (`surrogates.squash`), in place of the paper's loss function.

    Args:
        encoding: The input of the networks: "path" is the paper's; "both" adds the decisions themselves; "vector";
            "network", the decisions, features of the cells, parameters and FLOPs. In a space without cells "path" and
            "both" are "vector".
        members: Number of networks, at least 1; a single one has no deviation, and does not explore.
        initial: Number of random trials at the start, at least 1.
        batch: Number of complete trials between two fits, at least 1; it grows with the history.

    Raises:
        StrategyError: The value of a setting is not allowed.

    Example:
        >>> study = aw.Study(aw.Space(x=aw.integer(0, 63)), strategy=aw.strategies.Bananas(initial=5, batch=2))
        >>> study = study.run(lambda candidate: -abs(candidate.settings["x"] - 40), aw.Budget(trials=30))
        >>> study.best.trial.architecture["x"]
        40
    """

    encoding: Encoding = "both"
    members: int = 5
    initial: int = 10
    batch: int = 10

    def __post_init__(self) -> None:
        check_options(self, encoding=ENCODINGS)
        check_counts(self, "members", "initial", "batch")

    def _rank(
        self, space: Space, measured: Sequence[Architecture], scores: NDArray[np.float64], rng: np.random.Generator
    ) -> Ranking:
        ensemble = Ensemble(encoding=self.encoding, members=self.members)
        fitted = ensemble.fit(space, measured, scores, rng)
        found = candidates(space, measured, scores, rng)
        return found, fitted.draw(found, rng)
