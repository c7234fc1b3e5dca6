"""Proposals in the order in which a predictor ranks candidates; what all strategies with a predictor do."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from archwright.space import Architecture, Space
from archwright.strategies._pool import everything, near_and_random
from archwright.surrogates import squash
from archwright.trials import History

__all__ = ["Measured", "Rank", "Ranking", "candidates", "next_in_rank"]

_SHARE = 20  # of many trials, one in so many is a batch


@dataclass(frozen=True)
class Measured:
    """What a ranking is made from.

    Args:
        architectures: (n,) those of the complete trials, in the order in which they ended.
        scores: (n,) their scores, the low ones drawn together: see `surrogates.squash`.
    """

    architectures: Sequence[Architecture]
    scores: NDArray[np.float64]


@dataclass
class Ranking:
    """Candidates in the order in which they are to be proposed, and how many trials they were ranked by."""

    trials: int = 0
    architectures: Sequence[Architecture] = ()


Rank: TypeAlias = Callable[[Space, Measured, np.random.Generator], tuple[Sequence[Architecture], NDArray[np.float64]]]


def next_in_rank(
    ranking: Ranking,
    space: Space,
    history: History,
    rng: np.random.Generator,
    *,
    rank: Rank,
    initial: int,
    batch: int,
) -> Architecture:
    """Return the best candidate that was not proposed yet; a random one at the start, and where there is none.

    Candidates are ranked anew after `initial` complete trials and whenever `batch` more have been completed; of more
    than 20 times as many, one in 20. So proposals of trials that run side by side are different ones of one ranking.
    A ranking follows from the trials before it and from the seed of the last of them, whoever is still running.

    Args:
        ranking: The last ranking, which is brought up to date.
        space: Where to search.
        history: What has been tried.
        rng: Draws random proposals.
        rank: Returns candidates and what each is worth, greater being better, and may draw from a generator.
        initial: Random trials before the first ranking.
        batch: Complete trials between two rankings, at least.
    """
    later = len(history.complete) - initial
    if later < 0:
        return space.sample(rng)
    due = len(history.complete) - later % max(batch, later // _SHARE)
    if ranking.trials != due:
        last = history.complete[due - 1]
        measured = Measured(
            [trial.architecture for trial in history.complete[:due]], squash(np.asarray(history.scores[:due]))
        )
        found, worth = rank(space, measured, np.random.default_rng([last.seed, due]))
        order = np.argsort(-worth, kind="stable")
        ranking.trials, ranking.architectures = due, [found[index] for index in order]
    left = (one for one in ranking.architectures if not history.seen(one))
    return next(left, None) or space.sample(rng)


def candidates(
    space: Space, measured: Measured, rng: np.random.Generator, *, parents: int = 10, size: int = 1000
) -> list[Architecture]:
    """Return all of a space of at most `size`, in random order; of a larger one mutants of the best and random ones."""
    if space.bound <= size:
        listed = everything(space) or ()
        return [listed[index] for index in rng.permutation(len(listed))]
    best = np.argsort(-measured.scores, kind="stable")[:parents]
    return near_and_random(space, [measured.architectures[index] for index in best], rng, size)
