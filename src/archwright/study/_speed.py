"""How large the networks of a space are, and how long they train."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from archwright import spaces
from archwright.cost import Counted, TrainingPace
from archwright.evaluate import Evaluator
from archwright.space import Architecture, Space

SAMPLED = 12
"""Networks that are sampled and counted."""

STARTS = 3
"""Known designs that are tried first, at most."""

_SMALLER = 3  # times as many epochs as wanted, that the fastest network gets at most: it leads only in short trainings
_ALIKE = 2  # times as long as the smallest network, below which a network of any size is about as fast
_DIGITS = 3  # of the bounds


@dataclass(frozen=True)
class SpeedProfile:
    """How large a few networks of a space are, and how long their training takes here."""

    flops: tuple[float, ...]  # of each, ascending
    timed: tuple[tuple[float, float], ...]  # the FLOPs of some, ascending, and the seconds of an epoch, not descending
    known: tuple[tuple[float, float], ...]  # the same of known designs, which are often faster; the smallest first

    @classmethod
    def of(cls, space: Space, evaluator: Evaluator, limit: float = math.inf) -> SpeedProfile | None:
        """Draw and count them, and time some; `None` where none of them can be.

        Timed are the smallest, one between and the largest, and the known designs that are tried first. What cannot
        be timed within a limit of seconds, to judge by the one before, is taken to need time in proportion to FLOPs.
        """
        rng, pace, counted = np.random.default_rng(0), TrainingPace(evaluator), Counted(("flops",))
        sizes: dict[Architecture, float] = {}
        drawn, known = [space.sample(rng) for _ in range(SAMPLED)], spaces.starts(space)
        for architecture in (*drawn, *known):
            with suppress(Exception):  # a layer may raise anything
                sizes[architecture] = counted.of(space, architecture, evaluator.example_input)["flops"]
        drawn = sorted((each for each in dict.fromkeys(drawn) if sizes.get(each)), key=sizes.__getitem__)
        known = [each for each in known if each in sizes]
        start, found = time.monotonic(), []
        for chosen in (
            [drawn[place] for place in (0, len(drawn) // 2, -1) if drawn],
            [*known[:STARTS], *sorted(known, key=sizes.__getitem__)[:1]],
        ):
            timed: list[tuple[float, float]] = []
            took = 0.0  # to time the one before
            for architecture in sorted(dict.fromkeys(chosen), key=sizes.__getitem__):
                flops, began = sizes[architecture], time.monotonic()
                if timed and began - start + took * flops / timed[-1][0] > limit:
                    timed.append((flops, timed[-1][1] * flops / timed[-1][0]))
                    continue
                with suppress(Exception):
                    timed.append((flops, pace.of(space, architecture)["seconds_per_epoch"]))
                    took = time.monotonic() - began
            seconds = np.maximum.accumulate([each for _, each in timed]).tolist()
            found.append(tuple(zip((flops for flops, _ in timed), seconds, strict=True)))
        return cls(tuple(sizes[each] for each in drawn), *found) if found[0] else None

    def seconds(self, flops: float) -> float:
        """About the seconds of an epoch of a network of a size, between those that were timed."""
        sizes, seconds = zip(*self.timed, strict=True)
        return float(np.interp(flops, sizes, seconds))

    @property
    def middle(self) -> float:
        """About the seconds of an epoch of a network in the middle of the space."""
        return self.seconds(float(np.median(self.flops)))

    @property
    def fastest(self) -> float:
        """About those of the smallest network: it is let in however slow the machine is."""
        return self.timed[0][1]

    @property
    def slowest(self) -> float:
        """About those of the largest network."""
        return self.timed[-1][1]

    def affordable(self, seconds: float, wanted: float, *, both: bool) -> tuple[tuple[str, ...], str]:
        """Return the bounds within which networks make good use of a time, and what to say of them.

        Args:
            seconds: The time of the final training.
            wanted: The epochs of it that a network has to get.
            both: Whether networks are bounded from below, too, as is needed where they are compared after short
                trainings.
        """
        most = seconds / wanted
        if most >= self.slowest:
            return (), f"size not constrained: all sampled networks fit {wanted:.0f} epochs into the final training"
        if self.slowest < _ALIKE * self.fastest:
            return (), "size not constrained: small networks take about as long as large ones"
        # Known designs often take less time than others of their size; the smallest is let in however slow it is.
        curves = [points for points in (self.timed, self.known) if points]
        bound = _rounded(max(_largest(points, most) for points in curves), math.ceil)
        reason = f"larger networks do not fit {wanted:.0f} epochs into the final training"
        if not both or min(points[0][1] for points in curves) >= most / _SMALLER:
            return (f"flops <= {bound:g}",), f"size up to {bound:.2g} FLOPs: {reason}"
        least = _rounded(_largest(curves[-1], most / _SMALLER), math.floor)
        return (f"flops <= {bound:g}", f"flops >= {least:g}"), (
            f"size from {least:.2g} to {bound:.2g} FLOPs: {reason}; smaller ones lead only in short trainings"
        )


def _largest(timed: Sequence[tuple[float, float]], seconds: float) -> float:
    """Return about the FLOPs of the largest network with such an epoch; those of the smallest, if that takes longer."""
    best = timed[0][0]
    for (low, quick), (high, slow) in pairwise(timed):
        if seconds >= slow:
            best = high
        elif seconds > quick:
            best = low + (high - low) * (seconds - quick) / (slow - quick)
    return best


def _rounded(number: float, to_whole: Callable[[float], int]) -> float:
    """Return a number of few digits that is not less, or not more."""
    unit = 10.0 ** (math.floor(math.log10(number)) - _DIGITS + 1)
    return float(f"{to_whole(number / unit) * unit:.{_DIGITS}g}")
