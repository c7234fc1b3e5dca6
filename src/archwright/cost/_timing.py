"""How long something takes: warm-up, interleaved rounds, the median, and whether it can be believed."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from archwright.errors import Unsteady

__all__ = ["Timing", "Watch", "time_calls"]

_WARM_SECONDS = 0.1
_WARM_RUNS = 3
_ROUND_SECONDS = 0.01  # a round of runs takes at least this, so that the clock's own grain is nothing
_ROUNDS = 21
_AGAIN = 4  # times more rounds, where those at first disagree
_MANY = 8  # calls that take turns, from which on they tell how fast the machine was in a round

Watch = Callable[[Callable[[], object], int], float]
"""Returns how many seconds a number of runs takes, one after the other."""


@dataclass(frozen=True)
class Timing:
    """How long one run takes.

    Args:
        milliseconds: The median over the rounds.
        spread: How far the rounds are apart: the distance between their quartiles as a share of the median; of many
            calls that took turns, after what slowed all of them in a round was divided out.
        runs: How many runs were timed.
    """

    milliseconds: float
    spread: float
    runs: int


def time_calls(
    calls: Sequence[Callable[[], object]], *, limit: float = 0.1, watch: Watch | None = None
) -> list[Timing]:
    """Return how long each of several calls takes.

    Each is run until it is warm. Then all take turns, round by round, so that what slows the machine down for a while
    slows all of them down. From eight calls on, their median in a round says how fast the machine was there, and is
    divided out (a step of Tukey's median polish, "Exploratory data analysis", 1977): what is left tells them apart.
    Where the rounds of any disagree more than the limit, more rounds follow, and where they still do, no number is
    given.

    Args:
        calls: What to run.
        limit: The greatest spread that is believed, as a share of the median.
        watch: The clock; the wall clock when not given.

    Raises:
        Unsteady: The rounds disagree more than the limit.
    """
    watch = watch or _by_the_wall
    repeats = [_warm(call, watch) for call in calls]
    rounds: list[list[float]] = [[] for _ in calls]
    found: list[Timing] = []
    for _ in range(_AGAIN):
        for _ in range(_ROUNDS):
            for call, count, times in zip(calls, repeats, rounds, strict=True):
                times.append(watch(call, count) / count)
        found = _timings(np.array(rounds), repeats)
        if all(timing.spread <= limit for timing in found):
            return found
    worst = max(found, key=lambda timing: timing.spread)
    raise Unsteady(
        f"the measured times spread by {worst.spread:.0%} of their median ({worst.milliseconds:.3g} ms), more than the "
        f"limit of {limit:.0%}: other processes use the machine. Measure when it is idle, with fewer threads, or raise "
        "the limit (--limit)"
    )


def _warm(call: Callable[[], object], watch: Watch) -> int:
    """Run something until it is warm, and return how many runs make a round."""
    begun, runs = time.perf_counter(), 0
    while runs < _WARM_RUNS or time.perf_counter() - begun < _WARM_SECONDS:
        call()
        runs += 1
    return max(1, math.ceil(_ROUND_SECONDS / max(watch(call, _WARM_RUNS) / _WARM_RUNS, 1e-9)))


def _timings(times: NDArray[np.float64], counts: Sequence[int]) -> list[Timing]:
    """Return the timings of calls, by the (calls, rounds) seconds of a run and how many runs made a round of each."""
    if len(times) >= _MANY:
        pace = np.median(times / np.median(times, axis=1, keepdims=True), axis=0)
        times = times / (pace / np.median(pace))
    quartiles = np.quantile(times, (0.25, 0.5, 0.75), axis=1).T
    return [
        Timing(float(median) * 1e3, float((high - low) / median), count * times.shape[1])
        for (low, median, high), count in zip(quartiles, counts, strict=True)
    ]


def _by_the_wall(call: Callable[[], object], count: int) -> float:
    begun = time.perf_counter()
    for _ in range(count):
        call()
    return time.perf_counter() - begun
