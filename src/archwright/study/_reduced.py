"""Reduced widths and depths as a fidelity."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from fnmatch import fnmatchcase
from typing import Any

from archwright._scalars import is_number, scalars
from archwright.errors import SchedulerError
from archwright.evaluate import Fidelity, Spent
from archwright.schedulers import Ladder, Range, Scheduler, narrowed
from archwright.space import Architecture, Decision, Space, Value

_MANY = 10_000  # values that a decision has, from which it is no size of a layer


def reduced(space: Space, architecture: Architecture, spent: Spent | None, known: Collection[str] = ()) -> Architecture:
    """Return an architecture whose decisions have shares of their values.

    Args:
        space: The space.
        architecture: What is made smaller.
        spent: Shares by patterns of decisions, such as `{"*.width": 0.5}`; other fidelities are the evaluator's.
        known: The names of the evaluator's fidelities, which are no patterns.

    Returns:
        The architecture in which each such decision has the largest value that is not above its share of the number it
        has, or the least there is; itself where nothing is to be smaller.

    Raises:
        SchedulerError: A constraint of the space refuses the smaller architecture.
    """
    given = {name: share for name, share in (spent or {}).items() if name not in known}
    shares = {pattern: share for pattern, share in given.items() if share < 1 and matches(space, pattern)}
    if not shares:
        return architecture
    changed: dict[str, Value] = dict(architecture)
    for name, value in architecture.items():
        share = min((share for pattern, share in shares.items() if fnmatchcase(name, pattern)), default=1.0)
        numbers = _numbers(space.decisions[name]) if share < 1 else []
        if numbers:
            assert isinstance(value, int | float)
            changed[name] = max((each for each in numbers if each <= share * value), default=min(numbers))
    smaller = space.canonical(changed)
    if smaller not in space:
        raise SchedulerError(
            f"{architecture!r} cannot be made smaller by {shares}: the space's constraints refuse {smaller!r}. "
            "Take other fidelities, such as epochs"
        )
    return smaller


def own_fidelity(
    space: Space, architecture: Architecture, spent: Spent | None, full: Spent, known: Collection[str]
) -> Spent | None:
    """Return what a trial gets where the space decides what all of it is, such as the number of epochs.

    Returns:
        What the rung gives; of a fidelity that the space has as a part, the same share of the part's value as the rung
        is of the last one. That may be a fraction where the rungs are whole numbers.
    """
    parts = [name for name in spent or {} if name in known and name in space.parts]
    if spent is None or not parts:
        return spent
    values = space.resolve(architecture)
    return {**spent, **{name: spent[name] / full[name] * values[name] for name in parts}}


def describe_spent(space: Space, ladder: Ladder, spent: Spent) -> str:
    """Return in words what a trial is given: "epochs 3 of 9", or "30% of its epochs" where the space decides them."""
    full = ladder.rungs[-1] if ladder.rungs else {}

    def told(name: str, value: float) -> str:
        if name in space.parts:
            return f"{value / full[name]:.0%} of its {name}"
        return f"{name} {value:g}" + (f" of {full[name]:g}" if name in full else "")

    return ", ".join(told(name, value) for name, value in spent.items())


def as_ladder(scheduler: Scheduler, fidelity: Mapping[str, Range] | Ladder | None, space: Space) -> Ladder:
    """Return the rungs of a study: those given, or those of the ranges; none where each trial is a full evaluation.

    Raises:
        SchedulerError: The ranges are no mapping of names to ranges, or there is nothing to be given less of.
    """
    if not scheduler.partial:
        return Ladder()
    if isinstance(fidelity, Ladder):
        return fidelity
    ranges = {name: _as_shares(name, range_, space) for name, range_ in _as_mapping(fidelity or {}).items()}
    return Ladder.of(ranges, eta=scheduler.eta)


def wanted_ranges(
    known: Mapping[str, Fidelity], wanted: Mapping[str, tuple[float, float]] | None, space: Space
) -> dict[str, Range]:
    """Return what trials are to be given less of: what the evaluator knows, or decisions of the space.

    Args:
        known: What the evaluator knows.
        wanted: The ranges that are asked for; the whole of the first that is known when not given.
        space: The space.

    Raises:
        SchedulerError: A range is empty or reversed.
        UnknownName: There is nothing of that name.
    """
    if wanted is None:
        return narrowed(known, None)
    wanted = _as_mapping(wanted)
    of_space = {name: range_ for name, range_ in wanted.items() if name not in known and matches(space, name)}
    ranges = narrowed(known, {name: range_ for name, range_ in wanted.items() if name not in of_space})
    return ranges | {name: _as_shares(name, range_, space) for name, range_ in of_space.items()}


def _as_shares(name: str, given: Range, space: Space) -> Range:
    """Return a range; one of a decision goes up to 1, and the decision has numbers to be made smaller."""
    if isinstance(given, Fidelity) or not matches(space, name):
        return given
    match scalars(given):
        case (int() | float() as low, 1) if 0 < low < 1:
            return (float(low), 1.0)
    raise SchedulerError(
        f"fidelity {name!r}: decisions are made smaller by a share that goes up to 1, such as (0.25, 1); "
        f"{given!r} was given"
    )


def matches(space: Space, pattern: str) -> bool:
    """Tell whether a pattern names decisions that can be made smaller."""
    return any(fnmatchcase(name, pattern) and _numbers(decision) for name, decision in space.decisions.items())


def _numbers(decision: Decision) -> list[float]:
    """Return the values of a decision among several numbers; none where it is about something else."""
    values = list(decision.values()) if 1 < decision.size < _MANY else []
    return [value for value in values if is_number(value)] if all(map(is_number, values)) else []


def _as_mapping(given: Any) -> Any:
    if not isinstance(given, Mapping):
        raise SchedulerError(f"fidelity is a mapping such as {{'epochs': (1, 27)}}, not {given!r}")
    return given
