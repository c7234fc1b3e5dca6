"""Decisions as actions, for strategies that learn a policy."""

from __future__ import annotations

import numpy as np

from archwright.space import Decision, Subset, Value

__all__ = ["action_of", "count_actions", "value_of"]

_BINS = 12  # actions of a decision that has more values than that, or infinitely many
_LISTED = 64  # a subset that has more values is drawn as one of its sizes


def count_actions(decision: Decision) -> int:
    """Return how many actions a decision has: its values where they are few, else twelve parts of its range.

    A subset with many values has an action for each number of options that it may hold.
    """
    if isinstance(decision, Subset):
        return int(decision.size) if decision.size <= _LISTED else decision.high - decision.low + 1
    return int(decision.size) if decision.size <= _BINS or decision.width > 1 else _BINS


def value_of(decision: Decision, action: int, rng: np.random.Generator) -> Value:
    """Return the value that an action stands for; one of them, drawn, where it stands for several."""
    if count_actions(decision) == decision.size:
        return list(decision.values())[action]
    if isinstance(decision, Subset):
        chosen = rng.choice(len(decision.options), size=decision.low + action, replace=False)
        return decision.check([decision.labels[index] for index in chosen])
    return decision.decode([(action + rng.random()) / _BINS])


def action_of(decision: Decision, value: Value) -> int:
    """Return the action that stands for a value."""
    if count_actions(decision) == decision.size:
        return list(decision.values()).index(value)
    if isinstance(decision, Subset):
        return len(decision.check(value)) - decision.low  # type: ignore[arg-type]
    return min(int(decision.encode(value)[0] * _BINS), _BINS - 1)
