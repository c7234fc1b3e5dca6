"""The next proposal of a study."""

from __future__ import annotations

import math

import numpy as np

from archwright.errors import Exhausted, StrategyError
from archwright.space import Architecture, Space
from archwright.strategies import Strategy
from archwright.trials import History

__all__ = ["preparation_seed", "propose", "trial_seed"]

_ASKS = 20  # how often a strategy is asked for something unseen
_SAMPLES = 100  # how many random samples are tried after that
_CROWDED = 0.9  # the share of a space that has been seen, above which asking again and drawing are of no use


def propose(strategy: Strategy, space: Space, history: History, seed: int) -> Architecture:
    """Return an architecture that was not proposed yet: the strategy's, or one nobody asked for.

    It follows from the seed and the history alone. In an infinite space something seen may be proposed again,
    after as many tries.

    Raises:
        Exhausted: Everything in the space has been proposed.
        StrategyError: The strategy proposed something that is not in the space.
    """
    number = len(history.trials)
    rng = np.random.default_rng([seed, number])
    crowded = number >= _CROWDED * space.bound
    for _ in range(1 if crowded else _ASKS):
        architecture = strategy.propose(space, history, rng)
        if not history.seen(architecture):
            if architecture in space:
                return architecture
            raise StrategyError(f"{type(strategy).__name__} proposed {architecture!r}, which is not in the space")
    if not crowded:
        for _ in range(_SAMPLES):
            architecture = space.sample(rng)
            if not history.seen(architecture):
                return architecture
    if math.isinf(space.bound):
        return architecture
    unseen = history.unseen(space)
    if unseen is None:
        raise Exhausted(f"all {number:,} architectures of the space have been proposed")
    return unseen


def trial_seed(seed: int, number: int) -> int:
    """Return the seed of a trial's evaluation, in [0, 2**31), apart from that of its proposal."""
    sequence = np.random.SeedSequence([seed, number], spawn_key=(1,))
    return int(sequence.generate_state(1)[0]) >> 1


def preparation_seed(seed: int) -> int:
    """Return the seed of what an evaluator does before the first trial, in [0, 2**31), apart from those of trials."""
    return int(np.random.SeedSequence([seed], spawn_key=(2,)).generate_state(1)[0]) >> 1
