"""Candidates of model-based strategies."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from archwright.space import Architecture, Space
from archwright.strategies._initial import best_earlier
from archwright.trials import History

_SMALL = 2**16  # the largest space that is looked at as a whole


def everything(space: Space) -> Sequence[Architecture] | None:
    """Return all architectures of a small space, in the order of enumeration; `None` for a large one."""
    if space.bound > _SMALL:
        return None
    if "everything" not in space.memo:
        space.memo["everything"] = tuple(space.enumerate())
    found: tuple[Architecture, ...] = space.memo["everything"]
    return found


def positions(space: Space) -> Mapping[Architecture, int]:
    """Return the place of each architecture of a small space in the order of enumeration."""
    if "positions" not in space.memo:
        space.memo["positions"] = {architecture: place for place, architecture in enumerate(everything(space) or ())}
    places: dict[Architecture, int] = space.memo["positions"]
    return places


def pool(
    space: Space, history: History, rng: np.random.Generator, *, parents: int = 10, size: int = 600
) -> list[Architecture]:
    """Return architectures that were not proposed yet: all of a small space, else near the best ones and random.

    They are distinct: at most `size` of a large space, half of them mutants of the best `parents` of this search and of
    earlier runs, and with a prior a quarter as many drawn from it; fewer where few are found, and none where everything
    has been proposed.
    """
    found = everything(space)
    if found is None:
        scores = np.asarray(history.scores)
        best = [history.complete[index].architecture for index in np.argsort(-scores, kind="stable")[:parents]]
        prior = history.background.prior
        believed = [prior.sample(space, rng) for _ in range(size // 4)] if prior else []
        found = [*near_and_random(space, [*best, *best_earlier(history)[:parents]], rng, size), *believed]
    return [architecture for architecture in dict.fromkeys(found) if not history.seen(architecture)]


def near_and_random(
    space: Space, parents: Sequence[Architecture], rng: np.random.Generator, size: int
) -> list[Architecture]:
    """Return distinct architectures, at most `size`: by turns random and, where there are parents, mutants of them."""
    found: dict[Architecture, None] = {}
    for number in range(size):
        if parents and number % 2:
            architecture = space.mutate(parents[int(rng.integers(len(parents)))], rng)
            if rng.random() < 0.5:
                architecture = space.mutate(architecture, rng)
        else:
            architecture = space.sample(rng)
        found[architecture] = None
    return list(found)
