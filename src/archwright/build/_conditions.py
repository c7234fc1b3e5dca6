"""Sets of architectures, which say where a shape comes out, and execution paths through what is decided."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Protocol

from archwright.space import Value


class TooMany(BaseException):
    """A space cannot be followed exactly within the limits; no layer that is run is to take it for an error."""


class Conditions(Protocol):
    """Sets of architectures, as whole numbers; 0 is the set of none.

    Attributes:
        everything: The set of all.
    """

    everything: int

    def values(self, name: str) -> Sequence[Value]:
        """Return the values of a decision that are looked at."""

    def where(self, name: str, values: Iterable[Value]) -> int:
        """Return those in which a decision has one of some values."""

    def both(self, one: int, other: int) -> int:
        """Return what is in two sets."""

    def either(self, one: int, other: int) -> int:
        """Return what is in at least one of two sets."""

    def regardless(self, number: int, names: frozenset[str]) -> int:
        """Return a set with what differs from its members in other decisions than some; it may leave that out."""

    def nearest(self, one: int, other: int, *, but: Iterable[str] = ()) -> tuple[dict[str, Value], dict[str, Value]]:
        """Return alike members of two sets that agree in the decisions `but`; two empty ones where there are none."""


class Diagram:
    """All architectures of a space, each set a decision diagram: exact, and small where few decisions matter together.

    A set is a node of a directed graph: it looks at one decision and has one node below it for each of its values
    (Srinivasan, Kam, Malik and Brayton, "Algorithms for discrete function manipulation", ICCAD 1990). Nodes that say
    the same are one, so that sets are equal where their numbers are.
    """

    everything = 1

    def __init__(self, domains: Mapping[str, Sequence[Value]], most: int = 50_000) -> None:
        self._domains = dict(domains)
        self._names = list(domains)
        self._levels = {name: level for level, name in enumerate(domains)}
        self._last = len(self._names)
        self._nodes: list[tuple[int, tuple[int, ...]]] = [(self._last, ()), (self._last, ())]
        self._numbers: dict[tuple[int, tuple[int, ...]], int] = {}
        self._memo: dict[tuple[str, int, int], int] = {}
        self._free: dict[tuple[frozenset[str], int], int] = {}
        self._where: dict[tuple[str, frozenset[Value]], int] = {}
        self._most = most

    def values(self, name: str) -> Sequence[Value]:
        return self._domains[name]

    def where(self, name: str, values: Iterable[Value]) -> int:
        wanted = frozenset(values)
        if (name, wanted) not in self._where:
            below = tuple(int(value in wanted) for value in self._domains[name])
            self._where[name, wanted] = self._node(self._levels[name], below)
        return self._where[name, wanted]

    def both(self, one: int, other: int) -> int:
        if one == other or other == 1:
            return one
        if one == 1 or 0 in (one, other):
            return other if one == 1 else 0
        return self._combined("both", one, other)

    def either(self, one: int, other: int) -> int:
        if one == other or other == 0:
            return one
        if one == 0 or 1 in (one, other):
            return other if one == 0 else 1
        return self._combined("either", one, other)

    def regardless(self, number: int, names: frozenset[str]) -> int:
        """Return a set with all that differs from its members in other decisions than some."""
        level, below = self._nodes[number]
        if not below:
            return number
        if (names, number) not in self._free:
            children = []
            for child in below:
                children.append(self.regardless(child, names))
            if self._names[level] in names:
                found = self._node(level, tuple(children))
            else:
                found = 0
                for child in children:
                    found = self.either(found, child)
            self._free[names, number] = found
        return self._free[names, number]

    def nearest(self, one: int, other: int, *, but: Iterable[str] = ()) -> tuple[dict[str, Value], dict[str, Value]]:
        """Return members of two sets that have none in common, alike in all decisions but one where there are such.

        From a member of the first, decision after decision is changed to that of a member of the second: the step that
        leads out of the first leads from one to the other, or to what is in neither.
        """
        fixed = frozenset(but)
        shared = self.both(self.regardless(one, fixed), self.regardless(other, fixed))
        if not shared:
            return {}, {}
        same = self._member(shared)
        held = {name: same[name] for name in fixed}
        first, last = (self._member(each, held) for each in (one, other))
        for name in self._names:
            step = {**first, name: last[name]}
            if not self._holds(one, step):
                return first, step if self._holds(other, step) else last
            first = step
        return first, last

    def _member(self, number: int, held: Mapping[str, Value] | None = None) -> dict[str, Value]:
        """Return a member of a set, with some values that a member is known to have."""
        found = {name: values[0] for name, values in self._domains.items()} | dict(held or {})
        for name, value in (held or {}).items():
            number = self.both(number, self.where(name, (value,)))
        while number > 1:
            level, below = self._nodes[number]
            index = next(index for index, child in enumerate(below) if child)
            found[self._names[level]], number = self._domains[self._names[level]][index], below[index]
        return found

    def _holds(self, number: int, values: Mapping[str, Value]) -> bool:
        while number > 1:
            level, below = self._nodes[number]
            name = self._names[level]
            number = below[self._domains[name].index(values[name])]
        return bool(number)

    def _combined(self, kind: str, one: int, other: int) -> int:
        key = (kind, one, other) if one < other else (kind, other, one)
        if key not in self._memo:
            level = min(self._nodes[one][0], self._nodes[other][0])
            count = len(self._domains[self._names[level]])
            combine = self.both if kind == "both" else self.either
            below = []
            for first, last in zip(self._below(one, level, count), self._below(other, level, count), strict=True):
                below.append(combine(first, last))  # no comprehension: each level is two frames of the stack, not three
            self._memo[key] = self._node(level, tuple(below))
        return self._memo[key]

    def _below(self, number: int, level: int, count: int) -> tuple[int, ...]:
        at, below = self._nodes[number]
        return below if at == level else (number,) * count

    def _node(self, level: int, below: tuple[int, ...]) -> int:
        if len(set(below)) == 1:
            return below[0]
        key = level, below
        if key not in self._numbers:
            if len(self._nodes) >= self._most:
                raise TooMany
            self._numbers[key] = len(self._nodes)
            self._nodes.append(key)
        return self._numbers[key]


class Sample:
    """Some architectures, or all of a small space; the bits of a set say which are in it."""

    def __init__(self, members: Sequence[Mapping[str, Value]]) -> None:
        self._members = list(members)
        self.everything = (1 << len(self._members)) - 1
        self._masks: dict[str, dict[Value, int]] = {}
        for index, member in enumerate(self._members):
            for name, value in member.items():
                masks = self._masks.setdefault(name, {})
                masks[value] = masks.get(value, 0) | 1 << index

    def values(self, name: str) -> Sequence[Value]:
        return list(self._masks.get(name, ()))

    def where(self, name: str, values: Iterable[Value]) -> int:
        masks, found = self._masks.get(name, {}), 0
        for value in values:
            found |= masks.get(value, 0)
        return found

    def both(self, one: int, other: int) -> int:
        return one & other

    def either(self, one: int, other: int) -> int:
        return one | other

    def regardless(self, number: int, names: frozenset[str]) -> int:
        """Return a set as it is."""
        return number

    def nearest(self, one: int, other: int, *, but: Iterable[str] = ()) -> tuple[dict[str, Value], dict[str, Value]]:
        """Return the members of two sets, of the first few of each, that differ in the fewest decisions."""
        fixed = tuple(but)
        groups: dict[tuple[Value | None, ...], list[Mapping[str, Value]]] = {}
        for member in self._some(other):
            groups.setdefault(tuple(member.get(name) for name in fixed), []).append(member)
        pairs = [
            (sum(first.get(name) != last.get(name) for name in {**first, **last}), index, first, last)
            for index, first in enumerate(self._some(one))
            for last in groups.get(tuple(first.get(name) for name in fixed), ())
        ]
        if not pairs:
            return {}, {}
        _, _, first, last = min(pairs, key=lambda pair: pair[:2])
        return dict(first), dict(last)

    def _some(self, number: int, most: int = 256) -> list[Mapping[str, Value]]:
        found: list[Mapping[str, Value]] = []
        while number and len(found) < most:
            lowest = number & -number
            found.append(self._members[lowest.bit_length() - 1])
            number ^= lowest
        return found


class InfeasiblePath(BaseException):
    """Nothing is possible on an execution path; no layer is to take it for an error."""


class ExecutionPath:
    """One path through what is decided and what comes out, where there are several; `when` is its path condition."""

    def __init__(self, sets: Conditions, when: int, script: list[int]) -> None:
        self.when = when
        self.decided: dict[str, Value] = {}  # the value of each decision that was asked for
        self.taken: list[str] = []  # the options of choices between modules among them
        self.has_parts = False  # whether parts of the expression are run inside of the layer that is made
        self._sets = sets
        self._script = script  # which of the possibilities to take, at the first steps; the first at all that follow
        self._steps: list[tuple[int, int]] = []  # which possibility, and of how many

    def decide(self, name: str, *, is_part: bool) -> Value:
        """Return a value of a decision."""
        if name not in self.decided:
            values = [(value, self._sets.where(name, (value,))) for value in self._sets.values(name)]
            self.decided[name] = self.pick(values)
            self.taken += [f"{name}.{self.decided[name]}"] * is_part
        return self.decided[name]

    @property
    def settings(self) -> frozenset[str]:
        """The decisions that were asked for and are no choices between modules."""
        return frozenset(name for name, value in self.decided.items() if f"{name}.{value}" not in self.taken)

    def pick(self, possible: Iterable[tuple[Any, int]]) -> Any:
        """Return one of several values, each with the architectures in which it is the one."""
        open_ = [(value, both) for value, when in possible if (both := self._sets.both(self.when, when))]
        if not open_:
            raise InfeasiblePath
        step = len(self._steps)
        index = self._script[step] if step < len(self._script) else 0
        self._steps.append((index, len(open_)))
        value, self.when = open_[index]
        return value

    def mark(self) -> tuple[int, int]:
        """Return how far it has come."""
        return len(self._steps), self.when

    def rewind(self, mark: tuple[int, int]) -> None:
        """Go back to where it was, to make the same steps again; nothing may have been decided since."""
        count, self.when = mark
        del self._steps[count:]

    def alternatives(self) -> Iterator[list[int]]:
        """Return the scripts of those that part from it after its own script; the nearest last."""
        before = [index for index, _ in self._steps]
        for step in range(len(self._script), len(self._steps)):
            for other in range(self._steps[step][1] - 1, 0, -1):
                yield [*before[:step], other]
