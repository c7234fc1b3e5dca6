"""Which decisions of a child come from which parent."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal, TypeAlias, get_args

import numpy as np

from archwright.errors import SpaceError
from archwright.space._decisions import Decision, Value
from archwright.space._program import Program

__all__ = ["Crossover", "inherit"]

Crossover: TypeAlias = Literal["uniform", "one-point", "subtree"]


def inherit(
    program: Program, first: Mapping[str, Value], second: Mapping[str, Value], kind: Crossover, rng: np.random.Generator
) -> dict[str, Value]:
    """Return the decisions of a child.

    Raises:
        SpaceError: There is no such kind of crossover.
    """
    taken = _from_second([name for name in program.decisions if name in first or name in second], kind, rng)

    def rule(name: str, decision: Decision) -> Value:
        for parent in (second, first) if name in taken else (first, second):
            if name in parent:
                return parent[name]
        return decision.sample(rng)

    return program.decide(rule)


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
