"""From what a supernet has learned to architectures."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from archwright.space import Apply, Architecture, Choice, Decision, Subset, Value, body_of

if TYPE_CHECKING:
    from archwright.supernet._supernet import Supernet

__all__ = ["choice_of", "derive", "operations", "sample"]

Rule = Callable[[str, Decision], Value]


def derive(supernet: Supernet) -> Architecture:
    """Return the likeliest value of each decision; constraints are not looked at."""
    shares = {name: each.double().numpy() for name, each in supernet.probabilities().items()}

    def best(name: str, decision: Decision) -> Value:
        if name not in shares:
            return decision.decode([0.5] * decision.width)
        if isinstance(decision, Subset):
            return _strongest(decision, shares[name])
        values = list(decision.values())
        allowed = operations(supernet, decision, values)
        return max(allowed, key=lambda value: shares[name][values.index(value)])

    return _decided(supernet, shares, best)


def sample(supernet: Supernet, rng: np.random.Generator) -> tuple[float, Architecture]:
    """Return an architecture drawn from what was learned, with the logarithm of its probability.

    A node that keeps some of its edges keeps the strongest of what was drawn.
    """
    shares = {name: each.double().numpy() for name, each in supernet.probabilities().items()}
    logarithm = 0.0

    def drawn(name: str, decision: Decision) -> Value:
        nonlocal logarithm
        if name not in shares:
            return decision.sample(rng)
        share = shares[name] / shares[name].sum()
        if isinstance(decision, Subset):
            noisy = np.log(np.maximum(share, 1e-12)) + rng.gumbel(size=len(share))  # the largest k: without replacement
            return _strongest(decision, noisy)
        values = list(decision.values())
        allowed = [values.index(value) for value in operations(supernet, decision, values)]
        weights = share[allowed] / share[allowed].sum() if share[allowed].sum() > 0 else None
        index = int(rng.choice(allowed, p=weights))
        logarithm += math.log(max(share[index], 1e-12))
        return values[index]

    return logarithm, _decided(supernet, shares, drawn)


def _decided(supernet: Supernet, shares: dict[str, Any], rule: Rule) -> Architecture:
    space = supernet.space
    edges = {name: each.detach().double().cpu().numpy() for name, each in supernet.edge_weights().items()}
    of_merge = {
        id(part): (edges[name], offset)
        for merge, name in supernet.named_edges()
        if name in edges
        for offset, part in _offsets(merge)
    }

    def decide(name: str, decision: Decision) -> Value:
        if isinstance(decision, Subset) and name in supernet.branches and name not in shares:
            strengths = np.array([_strength(supernet, option, shares) for option in decision.options])
            if id(decision) in of_merge:
                weights, offset = of_merge[id(decision)]
                strengths = strengths * weights[offset : offset + len(strengths)]
            return _strongest(decision, strengths)
        return rule(name, decision)

    return Architecture(space.program.decide(decide))


def _offsets(merge: Any) -> list[tuple[int, Any]]:
    found, offset = [], 0
    for part in merge.operands:
        found.append((offset, part))
        offset += len(getattr(part, "options", (part,)))
    return found


def _strongest(decision: Subset, strengths: Any) -> Value:
    """Return as many options as the subset takes at least (one at least where it may be empty), the strongest."""
    count = max(decision.low, 1)
    return decision._pick(np.argsort(-np.asarray(strengths), kind="stable")[:count])


def _strength(supernet: Supernet, option: Any, shares: dict[str, Any]) -> float:
    """Return how likely the likeliest operation of an edge is, "no operation" left out of account."""
    choice = choice_of(option)
    name = None if choice is None else supernet.space.program.names[choice]
    if choice is None or name not in shares:
        return 1.0
    return max(
        (float(share) for share, part in zip(shares[name], choice.options, strict=True) if part is not None),
        default=0.0,
    )


def operations(supernet: Supernet, decision: Decision, values: list[Value]) -> list[Value]:
    """Return the values that may be derived: an edge that a node has kept has an operation."""
    if not isinstance(decision, Choice) or supernet.space.program.names[decision] not in supernet.branches:
        return values
    if supernet.relaxation.absent and decision not in _kept_edges(supernet):
        return values
    return [value for value, part in zip(values, decision.options, strict=True) if part is not None] or values


def _kept_edges(supernet: Supernet) -> set[Any]:
    """Return the choices of operation on edges among which a node keeps some."""
    subsets = (each for each in supernet.branches.values() if isinstance(each, Subset))
    return {choice_of(option) for subset in subsets for option in subset.options}


def choice_of(option: Any) -> Choice | None:
    """Return the choice of the operation that makes a value of a graph; None where nothing is open about it."""
    module = body_of(option.module) if isinstance(option, Apply) else None
    return module if isinstance(module, Choice) else None
