"""Mutants that were not proposed before."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from archwright.space import Architecture, Decision, Space
from archwright.trials import History

_PATIENCE = 6  # mutants that were seen before, after which the last of them is mutated instead
_CONSTRAINED = 2  # the same under constraints, which make a mutation dear: it may be refused many times
_STEPS = 4  # the most mutations
_KICK = 3  # mutations to a new start, beyond what the neighbours of the old one see
_TRIES = 50  # how often constraints may refuse a mutated child before it stays as it is


def mutated(space: Space, child: Architecture, rate: float, rng: np.random.Generator) -> Architecture:
    """Return a copy in which each decision was changed with a probability, from 0 to 1; it may be the same."""

    def rule(name: str, decision: Decision) -> Any:
        if name not in child:  # a change has brought it to life
            return decision.sample(rng)
        changes = decision.size > 1 and rng.random() < rate
        return decision.mutate(child[name], rng) if changes else child[name]

    for _ in range(_TRIES):
        mutant = space.decide(rule)
        if not space.where or mutant in space:
            return mutant
    return child


def new_mutant(
    space: Space, history: History, architecture: Mapping[str, Any], rng: np.random.Generator
) -> Architecture:
    """Return a mutated copy that was not proposed before, with about as few mutations as that takes.

    Around a good architecture all that is one mutation away is soon measured. A strategy that then proposes it again
    gets a random architecture from the study; two mutations away there is something better.
    Where no other is found, it was proposed before.
    """
    for _ in range(_STEPS):
        for _ in range(_CONSTRAINED if space.where else _PATIENCE):
            mutant = space.mutate(architecture, rng)
            if not history.seen(mutant):
                return mutant
        architecture = mutant
    return mutant


def kicked(space: Space, architecture: Architecture, rng: np.random.Generator) -> Architecture:
    """Return a copy a few mutations away, from which a local search goes on."""
    for _ in range(_KICK):
        architecture = space.mutate(architecture, rng)
    return architecture
