"""Mutation, neighbours and crossover, without constraints."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any, Literal, TypeAlias, get_args

import numpy as np

from archwright.errors import ArchitectureError, SpaceError
from archwright.space._architecture import Architecture
from archwright.space._decisions import Decision, Value
from archwright.space._grammar import Recursive
from archwright.space._program import Program

Crossover: TypeAlias = Literal["uniform", "one-point", "subtree"]


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
        if self._program.is_recursive:
            return [name for name in architecture if self._program.decisions[name].size != 1]
        single = self._single
        return [name for name in architecture if name not in single] if single else list(architecture)

    def mutated(self, architecture: Mapping[str, Any], name: str, rng: np.random.Generator) -> Architecture:
        """Change one decision to another value."""
        return self.changed(architecture, name, self._program.decisions[name].mutate(architecture[name], rng), rng)

    def changed(
        self, architecture: Mapping[str, Any], name: str, value: Value, rng: np.random.Generator | None
    ) -> Architecture:
        """Change one decision to a value; what it closes is dropped, and what it opens is decided."""
        decision, values = self._program.decisions[name], dict(architecture.items())
        values[name] = value
        opened = self._program.opened
        if opened(decision, value) or opened(decision, architecture[name]):
            if self._program.is_recursive:
                values |= self._carried(decision, architecture[name], value, architecture)
            return self.complete(values, rng)
        return Architecture(values)

    def _carried(self, decision: Decision, old: Value, new: Value, values: Mapping[str, Value]) -> dict[str, Value]:
        """Return decisions in uses of rules under a new option: those in uses of the same rules under the old one."""
        before, after = (
            [each for each in self._program.exposed_by(decision, option) if isinstance(each, Recursive)]
            for option in (old, new)
        )
        carried: dict[str, Value] = {}
        for use in after:
            source = next((each for each in before if _is_alike(each, use)), None)
            if source is not None:
                before.remove(source)
                there, here = self._program.uses[source].path, self._program.uses[use].path
                inside = (name for name in values if name == there or name.startswith(f"{there}."))
                carried |= {here + name[len(there) :]: values[name] for name in inside}
        return carried


def inherit(
    program: Program, first: Mapping[str, Value], second: Mapping[str, Value], kind: Crossover, rng: np.random.Generator
) -> dict[str, Value]:
    """Return the decisions of a child."""
    if program.is_recursive:
        if kind == "subtree":
            return graft(program, first, second, rng)
        names = list({**first, **second})
    else:
        names = [name for name in program.decisions if name in first or name in second]
    taken = _from_second(names, kind, rng)

    def rule(name: str, decision: Decision) -> Value:
        for parent in (second, first) if name in taken else (first, second):
            if name in parent:
                return parent[name]
        return decision.sample(rng)

    return program.decide(rule)


def graft(
    program: Program, first: Mapping[str, Value], second: Mapping[str, Value], rng: np.random.Generator
) -> dict[str, Value]:
    """Return the first parent with one use of a rule replaced by a use of the same rule in the second.

    Koza, "Genetic programming", 1992. What is too deep for its new place is drawn anew there.
    """
    places, sources = program.uses_in(first), program.uses_in(second)
    inner = [place for place in places if place.outer is not None] or places
    pairs = [(place, [s for s in sources if _is_alike(s.use, place.use)]) for place in inner]
    pairs = [(place, found) for place, found in pairs if found]
    if not pairs:
        return dict(first)
    place, found = pairs[int(rng.integers(len(pairs)))]
    source = found[int(rng.integers(len(found)))]

    def rule(name: str, decision: Decision) -> Value:
        home = program.home(decision)
        if home is None or not home.is_within(place):
            return first[name] if name in first else decision.sample(rng)
        there = source.path + name[len(place.path) :]
        try:
            return decision.check(second[there]) if there in second else decision.sample(rng)
        except ArchitectureError:
            return decision.sample(rng)

    return program.decide(rule)


def _is_alike(first: Recursive, second: Recursive) -> bool:
    return first.grammar is second.grammar and first.rule == second.rule


def _from_second(names: Sequence[str], kind: Crossover, rng: np.random.Generator) -> set[str]:
    """Return which decisions the second parent is asked for first."""
    if kind not in get_args(Crossover):
        raise SpaceError(f"a crossover is {', '.join(map(repr, get_args(Crossover)))}, not {kind!r}")
    if kind == "uniform":
        return {name for name, coin in zip(names, rng.random(len(names)).tolist(), strict=True) if coin < 0.5}
    if kind == "one-point":
        return set(names[int(rng.integers(1, max(2, len(names)))) :])
    # Paths name the parts of the expression: every beginning of a path is a part. Parts with the same decisions in
    # them are one, or what is wrapped in much would be taken more often.
    paths = [name.split(".") for name in names]
    parts = sorted({".".join(path[:depth]) for path in paths for depth in range(1, len(path) + 1)})
    inside = dict.fromkeys(tuple(name for name in names if f"{name}.".startswith(f"{part}.")) for part in parts)
    smaller = [found for found in inside if len(found) < len(names)] or [tuple(names)]
    return set(smaller[int(rng.integers(len(smaller)))])
