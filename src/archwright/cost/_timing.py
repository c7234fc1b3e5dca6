"""Timing: warm-up, interleaved rounds, the median, and its spread."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from archwright.errors import Unsteady

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
    """Duration of one run.

    Args:
        milliseconds: The median over the rounds.
        spread: The interquartile range of the rounds, relative to the median; for many interleaved calls, after
            correction for the speed of the machine in each round.
        runs: Number of timed runs.

    Example:
        >>> str(aw.cost.Timing(milliseconds=1.5, spread=0.02, runs=21))
        'Timing(milliseconds=1.5, spread=0.02, runs=21)'
    """

    milliseconds: float
    spread: float
    runs: int


def time_calls(
    calls: Sequence[Callable[[], object]], *, limit: float = 0.1, watch: Watch | None = None
) -> list[Timing]:
    """Return the durations of several calls.

    After a warm-up the rounds of the calls are interleaved, so that temporary slowdowns of the machine affect all
    alike. With eight or more calls, the median of each round is divided out (a step of Tukey's median polish,
    "Exploratory data analysis", 1977). If the spread of a call exceeds the limit, more rounds follow.

    Args:
        calls: The functions.
        limit: The maximum interquartile range of the rounds, relative to their median.
        watch: The clock; by default the wall clock.

    Raises:
        Unsteady: The spread exceeds the limit.

    Example:
        >>> (timing,) = aw.cost.time_calls([lambda: None], watch=lambda call, runs: 0.001 * runs)
        >>> timing.milliseconds
        1.0
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
