"""BANANAS."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from archwright._checks import check_counts, check_options
from archwright.space import Architecture, Space
from archwright.strategies._base import Strategy, register
from archwright.strategies._ranked import Measured, Ranking, candidates, next_in_rank
from archwright.surrogates import ENCODINGS, Encoding, Ensemble
from archwright.trials import History

__all__ = ["Bananas"]


@register("bananas")
@dataclass(frozen=True)
class Bananas(Strategy):
    """BANANAS: an ensemble of MLPs on the path encoding, with independent Thompson sampling.

    White, Neiswanger and Savani, "BANANAS: Bayesian optimization with neural architectures for neural architecture
    search", AAAI 2021. Candidates are mutants of the best ten and random architectures, a thousand in all (the whole
    of a smaller space); each draws a score from the members' mean and deviation, and they are proposed in that order
    until the next batch is complete. Low scores are drawn together (`surrogates.squash`), which does here what the
    paper's loss does there.

    Args:
        encoding: What the networks see of an architecture: "path" is the paper's; "both" adds the decisions
            themselves; "vector"; "network", the decisions, what the cells compute, parameters and FLOPs. In a space
            without cells "path" and "both" are "vector".
        members: How many networks there are, at least 1; a single one explores nothing.
        initial: How many random trials come first, at least 1.
        batch: How many trials are completed before the networks learn again, at least 1; more when there are many.

    Raises:
        StrategyError: A setting is none of these.
    """

    encoding: Encoding = "both"
    members: int = 5
    initial: int = 10
    batch: int = 10

    def __post_init__(self) -> None:
        """Check the settings."""
        check_options(self, encoding=ENCODINGS)
        check_counts(self, "members", "initial", "batch")

    def propose(self, space: Space, history: History, rng: np.random.Generator) -> Architecture:
        """Return the candidate with the greatest draw of those not proposed yet, or a random start."""
        return next_in_rank(
            self.state_of(history, Ranking),
            space,
            history,
            rng,
            rank=self._rank,
            initial=self.initial,
            batch=self.batch,
        )

    def _rank(
        self, space: Space, measured: Measured, rng: np.random.Generator
    ) -> tuple[Sequence[Architecture], NDArray[np.float64]]:
        ensemble = Ensemble(encoding=self.encoding, members=self.members)
        fitted = ensemble.fit(space, measured.architectures, measured.scores, rng)
        found = candidates(space, measured, rng)
        return found, fitted.draw(found, rng)
