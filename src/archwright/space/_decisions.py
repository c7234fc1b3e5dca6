"""The five kinds of decisions: domains, mutations, encodings, and the parts that their values activate."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import combinations
from typing import Any, TypeAlias

import numpy as np

from archwright._scalars import is_number, scalar
from archwright.errors import ArchitectureError
from archwright.space._nodes import Apply, Node, body_of
from archwright.space._text import written

Scalar: TypeAlias = bool | int | float | str | None
Value: TypeAlias = Scalar | tuple[Scalar, ...]

_STEP = 0.2
"""Standard deviation of a mutation along an ordered range, as a share of the range."""


class Decision(Node, ABC):
    """Base class of decisions: a variable of an architecture and its domain.

    A decision is independent of its place in the expression. Its value in an architecture is a number or the label of
    an option, not an index.

    Example:
        >>> space = aw.Space(model=nn.Linear(4, aw.ordinal(8, 16, name="width")))
        >>> decision = space.decisions["width"]
        >>> decision.size, list(decision.values()), decision.encode(16)
        (2, [8, 16], [1.0])
    """

    size: int | float
    """The number of values; `math.inf` for reals."""
    width: int
    """The number of slots that the decision takes in a vector."""

    @property
    def is_setting(self) -> bool:
        """Whether all its values are numbers or other constants."""
        return all(part.is_setting for part in self.branches if isinstance(part, Node))

    @abstractmethod
    def sample(self, rng: np.random.Generator) -> Value:
        """Return a value drawn uniformly (log-uniformly on a log scale)."""

    @abstractmethod
    def mutate(self, value: Any, rng: np.random.Generator) -> Value:
        """Return another value than the one given; call it only where `size` is above 1."""

    @abstractmethod
    def neighbours(self, value: Any) -> list[Value]:
        """Return the values that a local search compares with a value, the nearest first.

        Of ordered values those 1, 2, 4, ... steps away in both directions: few of many, and as many far as near ones.
        """

    @abstractmethod
    def values(self) -> Iterator[Value]:
        """Iterate over every value; only where `size` is finite."""

    @abstractmethod
    def check(self, value: Any) -> Value:
        """Return the value in its canonical form; ArchitectureError, with the allowed values, if it is invalid."""

    @abstractmethod
    def encode(self, value: Any) -> list[float]:
        """Return the value as `width` numbers in [0, 1]."""

    @abstractmethod
    def decode(self, slots: Sequence[float]) -> Value:
        """Return the value nearest to `width` numbers."""

    def chosen(self, value: Any) -> tuple[Any, ...]:
        """Return the parts of the expression that a value brings to life."""
        return ()

    @property
    def branches(self) -> tuple[Any, ...]:
        """Every part that some value brings to life."""
        return ()


class _Ranked(Decision):
    """Shared by decisions whose values stand in a row of finite length: encoding and steps by rank."""

    width = 1

    @abstractmethod
    def _rank(self, value: Any) -> int: ...

    @abstractmethod
    def _at(self, rank: int) -> Value: ...

    def sample(self, rng: np.random.Generator) -> Value:
        return self._at(int(rng.integers(int(self.size))))

    def mutate(self, value: Any, rng: np.random.Generator) -> Value:
        rank, last = self._rank(value), int(self.size) - 1
        moved = round(rank + rng.normal(0.0, max(1.0, _STEP * last)))
        moved = min(max(moved, 0), last)
        if moved == rank:  # the nearest other rank, up or down
            moved = rank + 1 if rank == 0 or (rank < last and rng.random() < 0.5) else rank - 1
        return self._at(moved)

    def neighbours(self, value: Any) -> list[Value]:
        rank, last = self._rank(value), int(self.size) - 1
        steps = [2**power for power in range(last.bit_length())]
        return [self._at(near) for step in steps for near in (rank - step, rank + step) if 0 <= near <= last]

    def values(self) -> Iterator[Value]:
        return (self._at(rank) for rank in range(int(self.size)))

    def encode(self, value: Any) -> list[float]:
        return [self._rank(value) / max(1, int(self.size) - 1)]

    def decode(self, slots: Sequence[float]) -> Value:
        last = int(self.size) - 1
        return self._at(min(max(round(float(slots[0]) * last), 0), last))


@dataclass(frozen=True, eq=False, repr=False)
class Choice(_Ranked):
    """One of several options; encoded as its rank if ordered, else one-hot.

    Args:
        options: The options.
        labels: The labels of the options in an architecture; all different.
        ordered: Whether the options are ordered.
        name: The decision's name; by default its path in the expression.

    Example:
        >>> decision = aw.choice("a", "b", "c")
        >>> decision.encode("b"), decision.neighbours("b")
        ([0.0, 1.0, 0.0], ['a', 'c'])
    """

    options: tuple[Any, ...]
    labels: tuple[Scalar, ...]
    ordered: bool = False
    name: str | None = None
    _index: dict[Value, int] = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "size", len(self.options))
        object.__setattr__(self, "width", 1 if self.ordered else len(self.options))
        object.__setattr__(self, "_index", {label: index for index, label in enumerate(self.labels)})

    def __repr__(self) -> str:
        word = "ordinal" if self.ordered else "choice"
        return _call(word, [written(option) for option in self.options], self.name)

    def _rank(self, value: Any) -> int:
        return self._index[value]

    def _at(self, rank: int) -> Value:
        return self.labels[rank]

    def mutate(self, value: Any, rng: np.random.Generator) -> Value:
        if self.ordered:
            return super().mutate(value, rng)
        other = int(rng.integers(len(self.options) - 1))
        return self.labels[other + (other >= self._index[value])]

    def neighbours(self, value: Any) -> list[Value]:
        if self.ordered:
            return super().neighbours(value)
        return [label for label in self.labels if label != value]

    def check(self, value: Any) -> Value:
        try:
            return self.labels[self._index[scalar(value)]]
        except (KeyError, TypeError):
            allowed = ", ".join(map(repr, self.labels))
            raise ArchitectureError(f"{value!r} is none of {allowed}") from None

    def encode(self, value: Any) -> list[float]:
        if self.ordered:
            return super().encode(value)
        rank = self._rank(value)
        return [float(index == rank) for index in range(len(self.options))]

    def decode(self, slots: Sequence[float]) -> Value:
        return super().decode(slots) if self.ordered else self.labels[int(np.argmax(slots))]

    def indices(self, value: Any) -> list[int]:
        """Return which of the options a value takes."""
        return [self._rank(value)]

    def chosen(self, value: Any) -> tuple[Any, ...]:
        return (self.options[self._rank(value)],)

    @property
    def branches(self) -> tuple[Any, ...]:
        return self.options


@dataclass(frozen=True, eq=False, repr=False)
class Repeat(_Ranked):
    """A depth: the number of bodies, taken from the first, that are applied in sequence.

    Args:
        bodies: The bodies, as many as the maximum depth.
        low: The minimum depth.
        name: The decision's name; by default its path in the expression.

    Example:
        >>> decision = aw.repeat(lambda i: nn.LazyLinear(8), 1, 3)
        >>> list(decision.values()), len(decision.bodies)
        ([1, 2, 3], 3)
    """

    bodies: tuple[Any, ...]
    low: int
    name: str | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "size", len(self.bodies) - self.low + 1)

    def __repr__(self) -> str:
        return _call("repeat", [written(self.bodies[0]), repr(self.low), repr(len(self.bodies))], self.name)

    def _rank(self, value: Any) -> int:
        return int(value) - self.low

    def _at(self, rank: int) -> Value:
        return self.low + rank

    def check(self, value: Any) -> Value:
        return _whole(value, self.low, len(self.bodies))

    def chosen(self, value: Any) -> tuple[Any, ...]:
        return self.bodies[:value]

    @property
    def branches(self) -> tuple[Any, ...]:
        return self.bodies


@dataclass(frozen=True, eq=False, repr=False)
class Integer(_Ranked):
    """An integer from `low` to `high`, both included, in steps of `step`; with `log`, sampled on a logarithmic scale.

    Example:
        >>> aw.integer(1, 5).neighbours(5), aw.integer(1, 5).encode(3)
        ([4, 3, 1], [0.5])
    """

    low: int
    high: int
    log: bool = False
    name: str | None = None
    step: int = 1

    def __post_init__(self) -> None:
        object.__setattr__(self, "size", (self.high - self.low) // self.step + 1)

    def __repr__(self) -> str:
        step = [] if self.step == 1 else [f"step={self.step}"]
        return _call("integer", [repr(self.low), repr(self.high), *step, *["log=True"] * self.log], self.name)

    def _rank(self, value: Any) -> int:
        return (int(value) - self.low) // self.step

    def _at(self, rank: int) -> Value:
        return self.low + rank * self.step

    def sample(self, rng: np.random.Generator) -> Value:
        return self.decode([rng.random()]) if self.log else super().sample(rng)

    def mutate(self, value: Any, rng: np.random.Generator) -> Value:
        if not self.log:
            return super().mutate(value, rng)
        moved = self.decode([self.encode(value)[0] + rng.normal(0.0, _STEP)])
        if moved != value:
            return moved
        return self.neighbours(value)[int(rng.integers(len(self.neighbours(value))))]

    def check(self, value: Any) -> Value:
        found = _whole(value, self.low, self.high)
        if (found - self.low) % self.step:
            raise ArchitectureError(f"{value!r} is not a number from {self.low} to {self.high} in steps of {self.step}")
        return found

    def encode(self, value: Any) -> list[float]:
        return [_to_unit(value, self.low, self.high)] if self.log else super().encode(value)

    def decode(self, slots: Sequence[float]) -> Value:
        if not self.log:
            return super().decode(slots)
        return min(max(round(_from_unit(float(slots[0]), self.low, self.high)), self.low), self.high)


@dataclass(frozen=True, eq=False, repr=False)
class Real(Decision):
    """A real number from `low` to `high`, rounded to six significant digits, which makes its text exact.

    On a linear scale it is also rounded to nine decimals of the range, so that decoding an encoding is exact near zero.

    Example:
        >>> [round(number, 3) for number in aw.real(1e-4, 1e-2, log=True).encode(1e-3)]
        [0.5]
    """

    low: float
    high: float
    log: bool = False
    name: str | None = None

    size = math.inf
    width = 1

    def __repr__(self) -> str:
        return _call("real", [f"{self.low:g}", f"{self.high:g}", *["log=True"] * self.log], self.name)

    def sample(self, rng: np.random.Generator) -> Value:
        return self.decode([rng.random()])

    def mutate(self, value: Any, rng: np.random.Generator) -> Value:
        unit = self.encode(value)[0]
        moved = self.decode([unit + rng.normal(0.0, _STEP)])
        while moved == value:  # a step cut off at the end of the range, where the value stood already
            moved = self.decode([rng.random()])
        return moved

    def neighbours(self, value: Any) -> list[Value]:
        unit = self.encode(value)[0]
        near = [self.decode([unit - _STEP / 2]), self.decode([unit + _STEP / 2])]
        return [other for other in near if other != value]

    def values(self) -> Iterator[Value]:
        raise ArchitectureError("a real number has no list of values")

    def check(self, value: Any) -> Value:
        value = scalar(value)
        if not is_number(value) or not self.low <= value <= self.high:
            raise ArchitectureError(f"{value!r} is not a number from {self.low:g} to {self.high:g}")
        return self._round(float(value))

    def encode(self, value: Any) -> list[float]:
        if self.log:
            return [_to_unit(value, self.low, self.high)]
        return [(value - self.low) / (self.high - self.low)]

    def decode(self, slots: Sequence[float]) -> Value:
        unit = min(max(float(slots[0]), 0.0), 1.0)
        if self.log:
            return self._round(_from_unit(unit, self.low, self.high))
        return self._round(self.low + unit * (self.high - self.low))

    def _round(self, value: float) -> float:
        if not self.log:
            value = round(value, 9 - math.floor(math.log10(self.high - self.low)))
        return min(max(float(f"{value:.6g}"), self.low), self.high) + 0.0  # never the zero below zero


@dataclass(frozen=True, eq=False, repr=False)
class Subset(Decision):
    """From `low` to `high` of several options, in the given order.

    Example:
        >>> decision = aw.subset("a", "b", "c", k=(1, 2))
        >>> decision.size, decision.encode(("a", "c"))
        (6, [1.0, 0.0, 1.0])
    """

    options: tuple[Any, ...]
    labels: tuple[Scalar, ...]
    low: int
    high: int
    name: str | None = None

    def __post_init__(self) -> None:
        n = len(self.options)
        count, size = math.comb(n, self.low), 0
        for k in range(self.low, self.high + 1):
            size += count
            count = count * (n - k) // (k + 1)
        object.__setattr__(self, "size", size)
        object.__setattr__(self, "width", n)

    def __repr__(self) -> str:
        k = repr(self.low) if self.low == self.high else repr((self.low, self.high))
        return _call("subset", [*map(written, self.options), f"k={k}"], self.name)

    def pick(self, indices: Any) -> Value:
        """Return the value that takes some of the options, by number."""
        return tuple(self.labels[index] for index in sorted(int(index) for index in indices))

    def indices(self, value: Any) -> list[int]:
        """Return which of the options a value takes."""
        return [self.labels.index(label) for label in value]

    def sample(self, rng: np.random.Generator) -> Value:
        n, k = len(self.options), self.low
        drawn = int(rng.random() * 2**53) * int(self.size) >> 53  # uniform over subsets, not over their sizes
        while drawn >= math.comb(n, k):
            drawn -= math.comb(n, k)
            k += 1
        return self.pick(rng.choice(n, size=k, replace=False))

    def mutate(self, value: Any, rng: np.random.Generator) -> Value:
        near = self.neighbours(value)
        return near[int(rng.integers(len(near)))]

    def neighbours(self, value: Any) -> list[Value]:
        inside = set(self.indices(value))
        outside = [index for index in range(len(self.options)) if index not in inside]
        near = [self.pick(inside - {out} | {into}) for out in sorted(inside) for into in outside]
        if len(inside) < self.high:
            near += [self.pick(inside | {into}) for into in outside]
        if len(inside) > self.low:
            near += [self.pick(inside - {out}) for out in sorted(inside)]
        return near

    def values(self) -> Iterator[Value]:
        for k in range(self.low, self.high + 1):
            for indices in combinations(range(len(self.options)), k):
                yield self.pick(indices)

    def check(self, value: Any) -> Value:
        given = [scalar(label) for label in value] if isinstance(value, list | tuple | set | frozenset) else None
        inside = [index for index, label in enumerate(self.labels) if label in (given or ())]
        if given is None or len(inside) != len(given) or not self.low <= len(inside) <= self.high:
            allowed = ", ".join(map(repr, self.labels))
            count = str(self.low) if self.low == self.high else f"{self.low} to {self.high}"
            raise ArchitectureError(f"{value!r} is not {count} of {allowed}")
        return self.pick(inside)

    def encode(self, value: Any) -> list[float]:
        inside = set(self.indices(value))
        return [float(index in inside) for index in range(len(self.options))]

    def decode(self, slots: Sequence[float]) -> Value:
        ranked = sorted(range(len(self.options)), key=lambda index: -float(slots[index]))
        k = sum(float(slot) > 0.5 for slot in slots)
        return self.pick(ranked[: min(max(k, self.low), self.high)])

    def chosen(self, value: Any) -> tuple[Any, ...]:
        return tuple(self.options[index] for index in self.indices(value))

    @property
    def branches(self) -> tuple[Any, ...]:
        return self.options


def choice_of(option: Any) -> Choice | None:
    """Return the choice of the operation that computes a value of a graph, or `None`.

    Example:
        >>> from archwright.space import choice_of
        >>> choice_of(aw.graph(lambda x: aw.choice(nn.ReLU(), nn.Tanh())(x)).output).labels
        ('ReLU()', 'Tanh()')
    """
    module = body_of(option.module) if isinstance(option, Apply) else None
    return module if isinstance(module, Choice) else None


def place_of(decision: Decision, index: int) -> str:
    """Return the name of an option in paths: its label if that can be part of a name, else its index.

    Example:
        >>> from archwright.space import place_of
        >>> place_of(aw.choice("relu", "a b"), 0), place_of(aw.choice("relu", "a b"), 1)
        ('relu', '1')
    """
    labels = getattr(decision, "labels", None)
    label = labels[index] if labels else None
    return label if isinstance(label, str) and label.isidentifier() else str(index)


def _call(word: str, arguments: list[str], name: str | None) -> str:
    return f"{word}({', '.join(arguments + ([f'name={name!r}'] if name else []))})"


def _whole(value: Any, low: int, high: int) -> int:
    value = scalar(value)
    if not is_number(value) or not low <= value <= high or value != int(value):
        raise ArchitectureError(f"{value!r} is not a whole number from {low} to {high}")
    return int(value)


def _to_unit(value: float, low: float, high: float) -> float:
    start, end = math.log(low), math.log(high)
    return (math.log(value) - start) / (end - start) if high > low else 0.0


def _from_unit(unit: float, low: float, high: float) -> float:
    start, end = math.log(low), math.log(high)
    return math.exp(start + min(max(unit, 0.0), 1.0) * (end - start))
