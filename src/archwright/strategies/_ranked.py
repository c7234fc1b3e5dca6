"""Proposals in the order of a predictor's ranking, shared by all predictor-based strategies."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from archwright.space import Architecture, Space
from archwright.strategies._base import Strategy
from archwright.strategies._earlier import EarlierModels, relevant
from archwright.strategies._initial import initial
from archwright.strategies._pool import everything, near_and_random
from archwright.surrogates import squash
from archwright.trials import History

_SHARE = 20  # of many trials, one in so many is a batch
_PARENTS = 10  # of the mutants among the candidates
_CANDIDATES = 1000

Ranking: TypeAlias = tuple[Sequence[Architecture], NDArray[np.float64]]
"""Candidates, and what each is worth: greater is better."""


@dataclass
class _Ranked:
    """Candidates in the order in which they are to be proposed, and how many trials they were ranked by."""

    trials: int = 0
    architectures: Sequence[Architecture] = ()
    earlier: EarlierModels = field(default_factory=EarlierModels)


class Ranked(Strategy):
    """Proposes the best candidate that was not proposed yet; a random one at the start, and where there is none.

    Candidates are ranked anew after `initial` complete trials and whenever `batch` more have been completed; of more
    than 20 times as many, one in 20. So proposals of trials that run side by side are different ones of one ranking.
    Trials of earlier runs are learnt from, as long as such a run ranks the trials well (`surrogates.rank_weights`).
    A ranking follows from the trials before it and from the seed of the last of them, whoever is still running.
    """

    initial: int
    batch: int

    def propose(self, space: Space, history: History, rng: np.random.Generator) -> Architecture:
        """Return the candidate that is ranked first of those not proposed yet, or a random start."""
        later = len(history.complete) - self.initial
        if later < 0:
            return initial(space, history, rng)
        due = len(history.complete) - later % max(self.batch, later // _SHARE)
        ranked = self.state_of(history, _Ranked)
        if ranked.trials != due:
            measured = history.complete[:due]
            earlier, theirs = relevant(space, history, due, ranked.earlier)
            found, worth = self._rank(
                space,
                [*earlier, *(trial.architecture for trial in measured)],
                np.concatenate([theirs, squash(np.asarray(history.scores[:due]))]),
                np.random.default_rng([measured[-1].seed, due]),
            )
            ranked.trials, ranked.architectures = due, [found[index] for index in np.argsort(-worth, kind="stable")]
        left = (one for one in ranked.architectures if not history.seen(one))
        return next(left, None) or space.sample(rng)

    @abstractmethod
    def _rank(
        self, space: Space, measured: Sequence[Architecture], scores: NDArray[np.float64], rng: np.random.Generator
    ) -> Ranking:
        """Return candidates and their worth, by (n,) measured ones in the order in which they ended, and their scores.

        Low scores are drawn together: see `surrogates.squash`.
        """


def candidates(
    space: Space, measured: Sequence[Architecture], scores: NDArray[np.float64], rng: np.random.Generator
) -> list[Architecture]:
    """Return all of a space of up to 1000, in random order; of a larger one mutants of the best and random ones."""
    if space.bound <= _CANDIDATES:
        listed = everything(space) or ()
        return [listed[index] for index in rng.permutation(len(listed))]
    best = np.argsort(-scores, kind="stable")[:_PARENTS]
    return near_and_random(space, [measured[index] for index in best], rng, _CANDIDATES)
