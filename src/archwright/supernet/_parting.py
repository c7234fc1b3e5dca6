"""Decisions of which each value has weights of its own."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

from archwright.space import Program, Value

__all__ = ["Parting"]


@dataclass(frozen=True)
class Parting:
    """Says which weights a layer has, where they hang on decisions.

    Args:
        program: The decisions of the space.
        roots: The parts of the open expression that the layer is made from.
        names: The decisions on which its first weights hang, by name.
    """

    program: Program
    roots: tuple[Any, ...]
    names: tuple[str, ...]

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        """Return itself: parts of a space are known by their identity, and nothing of it changes."""
        return self

    def decided(self, values: Mapping[str, Value]) -> dict[str, Value]:
        """Return those of the decisions that are active in the layer, by name.

        Args:
            values: Values of decisions, whether they are active or not, by name.
        """
        active: dict[str, Value] = {}
        stack = [decision for root in self.roots for decision in self.program.exposed(root)]
        while stack:
            decision = stack.pop()
            name = self.program.names[decision]
            if name in values and name not in active:
                active[name] = values[name]
                stack += self.program.opened(decision, values[name])
        return {name: active[name] for name in self.names if name in active}
