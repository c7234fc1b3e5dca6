"""What is proposed in place of a suggestion that cannot be."""

from __future__ import annotations

import numpy as np

from archwright.space import Architecture, Space
from archwright.trials import History

__all__ = ["unseen_near"]

_STEPS = 10  # mutations away from the suggestion
_SMALL = 50_000  # the largest space in which the next unseen architecture is looked for in order


def unseen_near(space: Space, history: History, suggested: Architecture, rng: np.random.Generator) -> Architecture:
    """Return a suggestion; where it was seen or constraints refuse it, what a walk of mutations from it finds.

    Args:
        space: Where to search.
        history: What has been tried.
        suggested: Decisions of the space; its constraints may refuse them.
        rng: Draws the mutations.

    Returns:
        An architecture of the space. Where the walk meets nothing unseen, the first unseen of a small space; in a large
        one, or where there is none, one that was seen.
    """
    refused = bool(space.where) and suggested not in space
    small = space.bound <= _SMALL
    first = history.unseen(space) if small else None
    if small and first is None:
        return space.sample(rng) if refused else suggested
    architecture = space.mutate(suggested, rng) if refused else suggested
    for _ in range(_STEPS):
        if not history.seen(architecture):
            return architecture
        architecture = space.mutate(architecture, rng)
    return first if first is not None and history.seen(architecture) else architecture
