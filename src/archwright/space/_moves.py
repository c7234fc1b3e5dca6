"""Steps from one architecture to another; constraints are not looked at."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from typing import Any

import numpy as np

from archwright.space._architecture import Architecture
from archwright.space._decisions import Decision, Value
from archwright.space._program import Program

__all__ = ["Moves"]


class Moves:
    """The steps in the architectures of a program."""

    def __init__(self, program: Program) -> None:
        self._program = program

    @cached_property
    def _single(self) -> frozenset[str]:
        """The decisions that have one value."""
        return frozenset(name for name, decision in self._program.decisions.items() if decision.size == 1)

    def complete(self, values: Mapping[str, Any], rng: np.random.Generator | None) -> Architecture:
        """Keep the values that are active, and decide what they leave open: by draws, or by the first value."""

        def rule(name: str, decision: Decision) -> Value:
            if name in values:
                value: Value = values[name]
                return value
            return decision.decode([0.0] * decision.width) if rng is None else decision.sample(rng)

        return Architecture(self._program.decide(rule))

    def open(self, architecture: Mapping[str, Any]) -> list[str]:
        """Return the active decisions that have another value to take."""
        single = self._single
        return [name for name in architecture if name not in single] if single else list(architecture)

    def mutated(self, architecture: Mapping[str, Any], name: str, rng: np.random.Generator) -> Architecture:
        """Change one decision to another value."""
        return self.changed(architecture, name, self._program.decisions[name].mutate(architecture[name], rng), rng)

    def changed(
        self, architecture: Mapping[str, Any], name: str, value: Value, rng: np.random.Generator | None
    ) -> Architecture:
        """Change one decision to a value; what it closes is dropped, and what it opens is decided."""
        decision, values = self._program.decisions[name], {**architecture, name: value}
        opened = self._program.opened
        if opened(decision, value) or opened(decision, architecture[name]):
            return self.complete(values, rng)
        return Architecture(values)
