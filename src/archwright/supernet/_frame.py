"""What is decided while a supernet runs: values, and mixtures where nothing is decided yet."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from torch import Tensor

from archwright.space import Blank, Value

__all__ = ["Draw", "Frame", "Mix"]


@dataclass(frozen=True)
class Mix:
    """Several options at once.

    Args:
        weights: (n,) what each option is multiplied by. None for 1 each.
        active: The options that are run, by number; all of them when None. Others count as zero.
        channels: Only one in so many channels goes through the options; the others go past them.
    """

    weights: Tensor | None = None
    active: tuple[int, ...] | None = None
    channels: int = 1


@dataclass(frozen=True)
class Draw:
    """What a supernet is to run next.

    Args:
        values: A value for each decision that is made, by name.
        mixes: What is mixed instead, by the decision's name.
        edges: (operands,) weights for the values that a node of a cell sums up, by the node's name.
        log_probs: () the log-probability of each value that was drawn from what is being learned, by name.
    """

    values: Mapping[str, Value]
    mixes: Mapping[str, Mix] = field(default_factory=dict)
    edges: Mapping[str, Tensor] = field(default_factory=dict)
    log_probs: Mapping[str, Tensor] = field(default_factory=dict)

    def decided(self, values: Mapping[str, Value]) -> Draw:
        """Return the draw with some more decisions made."""
        if not values:
            return self
        mixes = {name: mix for name, mix in self.mixes.items() if name not in values}
        log_probs = {name: each for name, each in self.log_probs.items() if name not in values}
        return Draw({**self.values, **values}, mixes, self.edges, log_probs)


class Frame:
    """A draw while it is run, with the blanks of templates filled in.

    Args:
        draw: What is run.
        filled: What blanks stand for.
        divisor: How many times fewer channels layers have than they would.
        used: The names of the values that were asked for; added to while running.
        taken: Of the decisions that are mixed, the values of those options inside of which something is run.

    Attributes:
        shared: In a graph: what layers that have no state gave, by what they do and by the `id` of what they were
            given, which is kept beside it. Edges that begin alike share that work.
    """

    __slots__ = ("divisor", "draw", "filled", "shared", "taken", "used")

    def __init__(
        self,
        draw: Draw,
        filled: Mapping[Blank, Any] | None = None,
        divisor: int = 1,
        used: set[str] | None = None,
        taken: tuple[tuple[str, Value], ...] = (),
    ) -> None:
        self.draw = draw
        self.filled = {} if filled is None else filled
        self.divisor = divisor
        self.used = set[str]() if used is None else used
        self.taken = taken
        self.shared: dict[tuple[str, int], tuple[Tensor, Any]] | None = None

    def value(self, name: str) -> Value:
        """Return what was decided."""
        self.used.add(name)
        return self.draw.values[name]

    def within(self, filled: Mapping[Blank, Any]) -> Frame:
        """Return a frame with other blanks filled in."""
        return self._like(filled, self.divisor)

    def drawing(self, draw: Draw) -> Frame:
        """Return a frame in which something else is run."""
        frame = self._like(self.filled, self.divisor)
        frame.draw = draw
        return frame

    def taking(self, name: str, value: Value) -> Frame:
        """Return a frame inside of an option of a decision that is mixed."""
        frame = self._like(self.filled, self.divisor)
        frame.taken = (*self.taken, (name, value))
        return frame

    def narrowed(self, divisor: int) -> Frame:
        """Return a frame in which layers have fewer channels."""
        return self._like(self.filled, self.divisor * divisor)

    def _like(self, filled: Mapping[Blank, Any], divisor: int) -> Frame:
        frame = Frame(self.draw, filled, divisor, self.used, self.taken)
        frame.shared = self.shared
        return frame
