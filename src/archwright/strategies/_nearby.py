"""Replacement of suggestions that were seen or are infeasible."""

from __future__ import annotations

import numpy as np

from archwright.space import Architecture, Space
from archwright.trials import History

_STEPS = 10  # mutations away from the suggestion
_SMALL = 50_000  # the largest space in which the next unseen architecture is looked for in order


def unseen_near(space: Space, history: History, suggested: Architecture, rng: np.random.Generator) -> Architecture:
    """Return a suggestion, or an unseen architecture that a walk of mutations from it finds.

    Args:
        space: The space.
        history: The trials so far.
        suggested: Decisions of the space, which may have been seen or violate its constraints.
        rng: The generator of the mutations.

    Returns:
        An architecture of the space. If the walk finds none that is unseen: the first unseen of a small space; in a
        large one, or if all were seen, a seen one.

    Example:
        >>> space, history = aw.Space(x=aw.choice("a", "b")), aw.History(aw.Objective("value"))
        >>> history.add(aw.Trial(0, aw.Architecture({"x": "a"})))
        >>> dict(aw.strategies.unseen_near(space, history, aw.Architecture({"x": "a"}), np.random.default_rng(0)))
        {'x': 'b'}
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
