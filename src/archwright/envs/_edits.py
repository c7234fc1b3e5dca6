"""Edits of an architecture, numbered: layers are added, removed and changed."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from archwright.space import Architecture, Choice, Decision, Repeat, Space, Subset, Value

_PARTS = 12  # a decision of more values, or a real number, moves by such a part of its range

Kind = Literal["up", "down", "to", "toggle", "swap"]


@dataclass(frozen=True, slots=True)
class Edit:
    """A change of one decision."""

    name: str  # of the decision
    # "up" and "down" of what has an order, which adds and removes a layer of a `repeat`; "to" an option of an unordered
    # choice; "toggle" an option of a subset, or "swap" two where their number is fixed.
    kind: Kind
    option: int = 0  # the option, by number; of a swap the one that goes
    other: int = 0  # of a swap the option that comes

    def apply(self, space: Space, architecture: Architecture) -> Architecture | None:
        """Return the architecture after the change; None where there is nothing to change in this way.

        What the change brings to life takes its first value. Constraints are not looked at.
        """
        if self.name not in architecture:
            return None
        changed = self._values(space.decisions[self.name], architecture[self.name])
        if not changed:
            return None
        values = {**architecture, self.name: changed[0]}
        return space.decide(lambda name, decision: values.get(name, decision.decode([0.0] * decision.width)))

    def describe(self, space: Space) -> str:
        """Return what the change does, in words."""
        decision = space.decisions[self.name]
        if isinstance(decision, Repeat):
            return f"add a layer to {self.name}" if self.kind == "up" else f"remove a layer from {self.name}"
        if isinstance(decision, Subset):
            one, two = decision.labels[self.option], decision.labels[self.other]
            words = {"toggle": f"put {one!r} in or out", "swap": f"put {two!r} in and {one!r} out"}
            return f"{self.name}: {words[self.kind]}"
        if isinstance(decision, Choice) and self.kind == "to":
            return f"{self.name}: change to {decision.labels[self.option]!r}"
        return f"{self.name}: {'raise' if self.kind == 'up' else 'lower'}"

    def _values(self, decision: Decision, value: Value) -> list[Value]:
        """Return the value after the change; nothing where there is none, or it is the same."""
        if isinstance(decision, Subset):
            return self._subsets(decision, value)
        if self.kind == "to":
            assert isinstance(decision, Choice)
            return [] if decision.indices(value) == [self.option] else [decision.labels[self.option]]
        unit = decision.encode(value)[0]
        step = 1 / _PARTS if self.kind == "up" else -1 / _PARTS
        moved = decision.decode([unit + step])
        if decision.size > _PARTS and decision.encode(moved) != [unit]:
            return [moved]
        return [near for near in decision.neighbours(value) if (decision.encode(near)[0] - unit) * step > 0]

    def _subsets(self, decision: Subset, value: Value) -> list[Value]:
        inside = {decision.labels.index(label) for label in value}  # type: ignore[union-attr]  # a tuple of labels
        if self.kind == "swap":
            fits = self.option in inside and self.other not in inside
            return [decision.pick(inside - {self.option} | {self.other})] if fits else []
        changed = inside ^ {self.option}
        return [decision.pick(changed)] if decision.low <= len(changed) <= decision.high else []


def edits_of(space: Space) -> list[Edit]:
    """Return all changes that architectures of a space can take, in the order of the decisions."""
    return [edit for name, decision in space.decisions.items() for edit in _edits(name, decision)]


def _edits(name: str, decision: Decision) -> Iterator[Edit]:
    if decision.size == 1:
        return
    if isinstance(decision, Subset):
        numbers = range(len(decision.options))
        if decision.low < decision.high:
            yield from (Edit(name, "toggle", number) for number in numbers)
        else:
            yield from (Edit(name, "swap", one, two) for one in numbers for two in numbers if one != two)
    elif isinstance(decision, Choice) and not decision.ordered:
        yield from (Edit(name, "to", number) for number in range(len(decision.options)))
    else:
        yield from (Edit(name, "up"), Edit(name, "down"))
