"""Learning-rate schedules: functions from progress, 0 at the start and 1 at the end, to a share of the peak."""

from __future__ import annotations

import math
from collections.abc import Callable

WARM_UP = 0.25  # share of the training in which the rate rises
START = 1 / 25  # of the peak
END = START / 1e4  # of the peak


def one_cycle(progress: float) -> float:
    """Rise along a half cosine for a quarter of the training, then fall along another to almost zero.

    The policy of Smith and Topin, "Super-Convergence: Very Fast Training of Neural Networks Using
    Large Learning Rates" (2018), with its two phases; momentum is left as it is.
    """
    if progress < WARM_UP:
        return _half_cosine(START, 1.0, progress / WARM_UP)
    return _half_cosine(1.0, END, (progress - WARM_UP) / (1 - WARM_UP))


def cosine(progress: float) -> float:
    """Fall along a half cosine from the peak to zero.

    Loshchilov and Hutter, "SGDR: Stochastic Gradient Descent with Warm Restarts" (2017), without
    restarts.
    """
    return _half_cosine(1.0, 0.0, progress)


def constant(progress: float) -> float:
    """Stay at the peak."""
    return 1.0


def _half_cosine(start: float, end: float, share: float) -> float:
    """Return the value at `share` of the way from `start` to `end`."""
    return end + (start - end) * (1 + math.cos(math.pi * share)) / 2


SCHEDULES: dict[str, Callable[[float], float]] = {"one-cycle": one_cycle, "cosine": cosine, "constant": constant}
