"""Decisions as plain numbers, for optimisers of other libraries."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeGuard

from archwright.space import Choice, Decision, Integer, Real, Subset, Value


@dataclass(frozen=True)
class Part:
    """A number that a decision comes to."""

    name: str  # the decision's name; with the option in brackets where it is one of a subset
    # "category": an index, no order is meant; "whole": a whole number, or the rank of an ordered value; "real".
    kind: Literal["category", "whole", "real"]
    low: float  # the least
    high: float  # the greatest; for a category the number of options less one
    log: bool = False  # whether small numbers are as likely as large ones


def parts(name: str, decision: Decision) -> tuple[Part, ...]:
    """Return what a decision comes to: nothing where it has one value, 0 or 1 for each option of a subset."""
    if decision.size == 1:
        return ()
    if isinstance(decision, Subset):
        return tuple(Part(f"{name}[{label!r}]", "category", 0, 1) for label in decision.labels)
    if isinstance(decision, Real):
        return (Part(name, "real", decision.low, decision.high, decision.log),)
    if _is_plain(decision):
        return (Part(name, "whole", decision.low, decision.high, decision.log),)
    ordered = not isinstance(decision, Choice) or decision.ordered
    return (Part(name, "whole" if ordered else "category", 0, int(decision.size) - 1),)


def split(decision: Decision, value: Any) -> list[Any]:
    """Return a value of a decision as the numbers of its parts."""
    if decision.size == 1:
        return []
    if isinstance(decision, Subset):
        return [int(label in value) for label in decision.labels]
    if isinstance(decision, Real) or _is_plain(decision):
        return [value]
    if isinstance(decision, Choice):
        return [decision.labels.index(value)]
    return [round(decision.encode(value)[0] * (int(decision.size) - 1))]


def join(decision: Decision, numbers: Sequence[Any]) -> Value:
    """Return the value that the numbers of the parts make; numbers out of range count as the nearest end."""
    if decision.size == 1:
        return next(decision.values())
    if isinstance(decision, Subset):
        return decision.decode([float(number) for number in numbers])
    if isinstance(decision, Real) or _is_plain(decision):
        number = min(max(float(numbers[0]), decision.low), decision.high)
        return decision.check(number if isinstance(decision, Real) else round(number))
    if isinstance(decision, Choice):
        return decision.labels[min(max(round(float(numbers[0])), 0), int(decision.size) - 1)]
    return decision.decode([float(numbers[0]) / (int(decision.size) - 1)])


def _is_plain(decision: Decision) -> TypeGuard[Integer]:
    """Tell whether a decision is any whole number of a range; one with a step is its rank, as ordered options are."""
    return isinstance(decision, Integer) and decision.step == 1
