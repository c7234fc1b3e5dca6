"""The first architectures of a search: what is known before it, and random ones."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from archwright.space import Architecture, Space
from archwright.trials import History, ranks

_OPENING = 2  # trials that earlier runs are allowed before anything is known of this task
_SHARE = 0.5  # of the random trials at the start, that are drawn from what is known instead
_GOOD = 4  # of the earlier trials, one in so many is worth to be measured again


def openings(space: Space, history: History) -> Iterator[Architecture]:
    """Iterate over the architectures that a search with a background begins with, whatever its strategy.

    These are the mode of the prior, and the best of the earlier runs, in turn.

    Example:
        >>> history, run = aw.History(aw.Objective("value")), aw.Architecture({"x": 3})
        >>> history.background = aw.transfer.Background((aw.transfer.EarlierRun("first", (run,), ({"value": 1.0},)),))
        >>> [architecture["x"] for architecture in aw.strategies.openings(aw.Space(x=aw.integer(0, 9)), history)]
        [3]
    """
    background = history.background
    if background.prior:
        yield background.prior.mode(space, np.random.default_rng(0))
    yield from best_earlier(history)[:_OPENING]


def initial(space: Space, history: History, rng: np.random.Generator) -> Architecture:
    """Return a draw for the random trials at the start of a strategy.

    With a prior, half of them are drawn from it. With earlier runs, half of them are the best of those that were not
    proposed yet, as long as such architectures have been no worse here than others. All else is a sample of the space.

    Example:
        >>> history = aw.History(aw.Objective("value"))
        >>> aw.strategies.initial(aw.Space(x=aw.integer(3, 3)), history, np.random.default_rng(0))["x"]
        3
    """
    background = history.background
    if background.prior and rng.random() < _SHARE:
        return background.prior.sample(space, rng)
    if background.runs and rng.random() < _SHARE:
        found = best_earlier(history)
        if _is_helpful(history, found):
            unseen = next((each for each in found if not history.seen(each)), None)
            if unseen is not None:
                return unseen
    return space.sample(rng)


def best_earlier(history: History) -> list[Architecture]:
    """Return the best quarter of each earlier run, of all runs in turn, each architecture once."""
    listed = []
    for run in history.background.runs:
        points = np.array([history.values(metrics) for metrics in run.metrics])
        order = np.argsort(ranks(points) if points.shape[1] > 1 else -points[:, 0], kind="stable")
        listed.append([run.architectures[place] for place in order[: -(-len(run) // _GOOD)]])
    rows = max(map(len, listed), default=0)
    return list(dict.fromkeys(part[row] for row in range(rows) for part in listed if row < len(part)))


def _is_helpful(history: History, best: list[Architecture]) -> bool:
    """Tell whether what was good earlier is here, as far as it was measured, no worse than the rest."""
    known = set(best)
    is_known = np.array([trial.architecture in known for trial in history.complete], dtype=bool)
    if is_known.sum() < 2 or is_known.all():
        return True
    scores = np.asarray(history.scores)
    return bool(np.median(scores[is_known]) >= np.median(scores[~is_known]))
