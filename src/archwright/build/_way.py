"""One way through what an expression leaves open."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from archwright.build._conditions import Conditions
from archwright.space import Value

__all__ = ["DeadEnd", "Way"]


class DeadEnd(BaseException):
    """Nothing is possible on a way; no layer is to take it for an error."""


class Way:
    """One way through what is decided and what comes out, where there are several.

    Args:
        sets: The sets of architectures.
        when: In which architectures it begins; narrowed by each step.
        script: Which of the possibilities to take, at the first steps; the first at all that follow.

    Attributes:
        decided: The value of each decision that was asked for.
        taken: The options of choices between modules among them.
        has_parts: Whether parts of the expression are run inside of the layer that is made.
    """

    def __init__(self, sets: Conditions, when: int, script: list[int]) -> None:
        self.when = when
        self.decided: dict[str, Value] = {}
        self.taken: list[str] = []
        self.has_parts = False
        self._sets = sets
        self._script = script
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
            raise DeadEnd
        step = len(self._steps)
        index = self._script[step] if step < len(self._script) else 0
        self._steps.append((index, len(open_)))
        value, self.when = open_[index]
        return value

    def mark(self) -> tuple[int, int]:
        """Return how far it has come."""
        return len(self._steps), self.when

    def back(self, mark: tuple[int, int]) -> None:
        """Go back to where it was, to make the same steps again; nothing may have been decided since."""
        count, self.when = mark
        del self._steps[count:]

    def others(self) -> Iterator[list[int]]:
        """Return the scripts of those that part from it after its own script; the nearest last."""
        before = [index for index, _ in self._steps]
        for step in range(len(self._script), len(self._steps)):
            for other in range(self._steps[step][1] - 1, 0, -1):
                yield [*before[:step], other]
