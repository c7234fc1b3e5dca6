"""The decisions of a space as columns with few levels, and where in the space each of them is active."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, reduce
from itertools import pairwise
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from archwright.errors import SpaceError
from archwright.space import Choice, Decision, Integer, Real, Repeat, Space, Subset

Array: TypeAlias = NDArray[np.float64]
Mask: TypeAlias = NDArray[np.bool_]
Box: TypeAlias = Mapping[int, Mask]
"""A part of a space: the levels that columns, by number, are restricted to; the other columns have any level."""

_BINS = 16  # intervals of a range of numbers
_SUBSETS = 16  # the most sets of a subset that are levels of one column
_LISTED = 10_000  # the most values of an integer that are counted interval by interval
_BOXES = 64  # the most boxes of the region in which a decision is active
_SAMPLE = 4096  # draws by which the probability of a region of more boxes is estimated


@dataclass(frozen=True, eq=False)
class Column:
    """A decision, or an option of a subset with many sets, with its levels.

    Args:
        name: The decision's name; for an option of a subset "decision: option".
        decision: The decision's name.
        labels: A text for each level.
        weights: (levels,) the probability of each in `Space.sample`, given that the decision is active.
        ordered: Whether neighbouring levels are similar.
        option: The option of a subset, if the column is about one.
        values: The level of each value; `None` for intervals of numbers.
    """

    name: str
    decision: str
    labels: tuple[str, ...]
    weights: Array
    ordered: bool
    option: Any = None
    values: Mapping[Any, int] | None = None

    def level(self, decision: Decision, value: Any) -> int:
        """Return the level of a value of the decision."""
        if isinstance(decision, Subset) and self.values is None:
            return int(self.option in value)
        return _bin(decision, value) if self.values is None else self.values[value]


class Columns:
    """The decisions of a space as columns.

    Decisions with one value are left out. The regions in which decisions are active are unions of disjoint boxes, by
    which probabilities are sums of products. Constraints of the space are not considered.

    Args:
        space: The space.

    Attributes:
        regions: For each column the boxes in which it is active; `None` if they are too many to be listed.

    Raises:
        SpaceError: The space has no decision with two or more values.
    """

    def __init__(self, space: Space) -> None:
        if space.is_recursive:
            raise SpaceError(
                "the importance of decisions is told of spaces whose decisions are listed, which a recursive space has "
                "not; Space.expand() writes the rules of a small one out"
            )
        self.space = space
        self.columns: list[Column] = []
        self._of: dict[str, list[int]] = {}
        for name, decision in space.decisions.items():
            made = _columns_of(name, decision) if decision.size > 1 else []
            self._of[name] = list(range(len(self.columns), len(self.columns) + len(made)))
            self.columns += made
        if not self.columns:
            raise SpaceError(f"{space!r} has no decision with two or more values, so there is nothing to compare")
        program = space.program
        self._always = {program.names[root] for root in program.roots}
        self._openers: dict[str, list[tuple[str, Box]]] = {name: [] for name in program.decisions}
        for name, decision in program.decisions.items():
            for opened, box in self._opened(name, decision):
                self._openers[opened].append((name, box))
        self.regions = self._regions()

    def codes(self, architectures: Sequence[Mapping[str, Any]]) -> NDArray[np.int64]:
        """Return (n, columns) levels; -1 where a decision is not active.

        Raises:
            ArchitectureError: An architecture does not belong to the space.
        """
        codes = np.full((len(architectures), len(self.columns)), -1)
        decisions = self.space.decisions
        for row, architecture in zip(codes, map(self.space.canonical, architectures), strict=True):
            for index, column in enumerate(self.columns):
                if column.decision in architecture:
                    row[index] = column.level(decisions[column.decision], architecture[column.decision])
        return codes

    def probability(self, box: Box) -> float:
        """Return the probability of a box."""
        return math.prod(float(self.columns[index].weights[mask].sum()) for index, mask in box.items())

    def active(self, *indices: int) -> float:
        """Return the probability that columns are active, all at once; where regions are unknown that in a sample."""
        if any(self.regions[index] is None for index in indices):
            return float(self._sampled[:, indices].all(axis=1).mean())
        return sum(map(self.probability, self.common(*indices)))

    def common(self, *indices: int) -> list[Box]:
        """Return the disjoint boxes in which columns are active, all at once; the space where a region is unknown."""
        regions = [self.regions[index] for index in indices]
        if None in regions:
            return [{}]
        found: list[Box] = [{}]
        for region in regions:
            found = [both for box in found for other in region or () if (both := intersection(box, other)) is not None]
        return found

    def activity(self, codes: NDArray[np.int64]) -> Mask:
        """Tell for (n, columns) levels, each column of which has one, which columns are active: (n, columns)."""
        found: dict[str, Mask] = {}

        def active(name: str) -> Mask:
            if name not in found:
                found[name] = np.full(len(codes), name in self._always)
                for parent, box in () if name in self._always else self._openers[name]:
                    found[name] = found[name] | reduce(
                        np.logical_and, (mask[codes[:, at]] for at, mask in box.items()), active(parent)
                    )
            return found[name]

        return np.stack([active(column.decision) for column in self.columns], axis=1)

    def draw(self, count: int, rng: np.random.Generator) -> NDArray[np.int64]:
        """Return (count, columns) levels, each drawn by its weights, also where it is not active."""
        return np.stack([rng.choice(len(each.weights), count, p=each.weights) for each in self.columns], axis=1)

    @cached_property
    def _sampled(self) -> Mask:
        return self.activity(self.draw(_SAMPLE, np.random.default_rng(0)))

    def _regions(self) -> list[list[Box] | None]:
        """Return for each column the disjoint boxes in which it is active; `None` where they are too many."""
        found: dict[str, list[Box] | None] = {}

        def region(name: str) -> list[Box] | None:
            if name not in found:
                found[name] = [{}] if name in self._always else _union(self._conditions(name, region))
            return found[name]

        return [region(column.decision) for column in self.columns]

    def _conditions(self, name: str, region: Callable[[str], list[Box] | None]) -> list[Box] | None:
        """Return the boxes, which may overlap, in which some decision activates another."""
        boxes: list[Box] = []
        for parent, box in self._openers[name]:
            above = region(parent)
            if above is None:
                return None
            boxes += [both for under in above if (both := intersection(under, box)) is not None]
        return boxes

    def _opened(self, name: str, decision: Decision) -> list[tuple[str, Box]]:
        """Return the decisions that values of a decision activate, and the box of these values."""
        program = self.space.program
        if not decision.branches:
            return []
        indices = self._of[name]
        if len(indices) > 1:  # a subset, option by option
            return [
                (program.names[inner], {index: np.array([False, True])})
                for index in indices
                for inner in program.opened(decision, (self.columns[index].option,))
            ]
        opened = [{program.names[inner] for inner in program.opened(decision, value)} for value in decision.values()]
        found: list[tuple[str, Box]] = []
        for inner in sorted(set().union(*opened)):
            mask = np.array([inner in each for each in opened])
            found.append((inner, {} if mask.all() else {indices[0]: mask}))
        return found


def intersection(first: Box, second: Box) -> Box | None:
    """Return what two boxes have in common; `None` if it is empty."""
    both = {**first, **{index: first[index] & mask if index in first else mask for index, mask in second.items()}}
    return both if all(mask.any() for mask in both.values()) else None


def _union(boxes: Sequence[Box] | None) -> list[Box] | None:
    """Return disjoint boxes that cover the same; `None` if they are too many."""
    found: list[Box] = []
    for box in sorted(boxes or (), key=len):
        pieces = [box]
        for held in found:
            pieces = [left for piece in pieces for left in _without(piece, held)]
        found += pieces
        if len(found) > _BOXES:
            return None
    return None if boxes is None else found


def _without(box: Box, held: Box) -> list[Box]:
    """Return disjoint boxes that cover what is in the first and not in the second."""
    pieces: list[Box] = []
    rest: Box | None = box
    for index, mask in held.items():
        assert rest is not None
        outside = intersection(rest, {index: ~mask})
        if outside is not None:
            pieces.append(outside)
        rest = intersection(rest, {index: mask})
        if rest is None:
            return [box]
    return pieces


def _columns_of(name: str, decision: Decision) -> list[Column]:
    if isinstance(decision, Subset) and decision.size > _SUBSETS:
        n, ks = len(decision.options), range(decision.low, decision.high + 1)
        share = sum(math.comb(n - 1, k - 1) for k in ks if k) / int(decision.size)
        weights = np.array([1 - share, share])
        return [
            Column(f"{name}: {label}", name, ("without", "with"), weights, ordered=False, option=label)
            for label in decision.labels
            if 0 < share < 1
        ]
    if isinstance(decision, Choice | Repeat | Subset) or (decision.size <= _BINS and not _is_log(decision)):
        values = list(decision.values())
        labels = tuple(", ".join(map(str, value)) if isinstance(value, tuple) else str(value) for value in values)
        ordered = not isinstance(decision, Subset) and getattr(decision, "ordered", True)
        weights = np.full(len(values), 1 / len(values))
        return [Column(name, name, labels, weights, ordered, values={value: i for i, value in enumerate(values)})]
    return [_numbers(name, decision)]


def _numbers(name: str, decision: Decision) -> Column:
    """Return the column of a range of numbers: intervals of equal width on its scale, which may be logarithmic."""
    if decision.size > _LISTED:
        ends = [f"{decision.decode([index / _BINS]):.4g}" for index in range(_BINS + 1)]
        labels = tuple(f"{low} to {high}" for low, high in pairwise(ends))
        return Column(name, name, labels, np.full(_BINS, 1 / _BINS), ordered=True)
    assert isinstance(decision, Integer)
    values = range(decision.low, decision.high + 1, decision.step)
    weights = np.full(len(values), 1 / len(values))
    if decision.log:  # drawn on a logarithmic scale, and rounded
        bounds = np.log([decision.low, *(np.array(values[:-1]) + 0.5), decision.high])
        weights = np.diff(bounds) / (bounds[-1] - bounds[0])
    if len(values) <= _BINS:
        labels = tuple(map(str, values))
        return Column(name, name, labels, weights, ordered=True, values={value: i for i, value in enumerate(values)})
    bins = np.array([_bin(decision, value) for value in values])
    held, level = np.unique(bins, return_inverse=True)
    groups = [[value for value, at in zip(values, level, strict=True) if at == index] for index in range(len(held))]
    labels = tuple(f"{group[0]} to {group[-1]}" if len(group) > 1 else str(group[0]) for group in groups)
    levels = {value: int(at) for value, at in zip(values, level, strict=True)}
    return Column(name, name, labels, np.bincount(level, weights).astype(float), ordered=True, values=levels)


def _bin(decision: Decision, value: Any) -> int:
    return min(int(decision.encode(value)[0] * _BINS), _BINS - 1)


def _is_log(decision: Decision) -> bool:
    return isinstance(decision, Integer | Real) and decision.log
