"""What is wrong with the decisions of an architecture, and the architecture nearest to them."""

from __future__ import annotations

import difflib
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, get_args

from archwright._scalars import is_number, scalar
from archwright.errors import ArchitectureError
from archwright.space._architecture import Architecture
from archwright.space._decisions import Choice, Decision, Integer, Real, Repeat, Scalar, Subset, Value
from archwright.space._print import called, describe_decision

if TYPE_CHECKING:
    from archwright.space._space import Space

Kind = Literal["unknown", "missing", "invalid", "constraint", "shape"]

_TOLD = 300  # characters of what is told of a value
_LABELS = 2_000  # labels among which one that is spelt alike is looked for
_ALIKE = 0.5  # how much of two labels agrees, for one to be taken for the other
_NAMES_ALIKE = 0.8  # and the same of two names


@dataclass(frozen=True)
class Problem:
    """One thing that is wrong with the decisions of an architecture.

    Args:
        kind: "unknown", no decision has the name; "missing", an active decision has no value; "invalid", the value is
            not allowed; "constraint", a constraint of the space is violated; "shape", the network does not run.
        decision: The name of the decision; for a shape error "model", for a constraint its name.
        message: What was given, and what is allowed.
        nearest: The nearest allowed value; for an unknown name the nearest name; `None` where nothing is near.

    Example:
        >>> aw.space.Problem("invalid", "width", "99 is not a whole number from 1 to 9", 9).to_json()["nearest"]
        9
    """

    kind: Kind
    decision: str
    message: str
    nearest: Value = None

    def __post_init__(self) -> None:
        assert self.kind in get_args(Kind)

    def __str__(self) -> str:
        near = "" if self.nearest is None else f"; the nearest is {self.nearest!r}"
        return f"{self.decision!r}: {self.message}{near}"

    def to_json(self) -> dict[str, Any]:
        """Return the problem as a JSON object."""
        near = list(self.nearest) if isinstance(self.nearest, tuple) else self.nearest
        return {"kind": self.kind, "decision": self.decision, "message": self.message, "nearest": near}


@dataclass(frozen=True)
class Examination:
    """The result of `examine`.

    Args:
        architecture: The architecture nearest to the decisions. Constraints of the space may not hold for it.
        problems: What is wrong; empty if the decisions are an architecture of the space.
        inactive: Names of given decisions that the values of others make inactive; they are ignored.

    Example:
        >>> space = aw.Space(width=aw.integer(1, 9))
        >>> [problem.kind for problem in aw.space.examine(space, {}).problems]
        ['missing']
    """

    architecture: Architecture
    problems: tuple[Problem, ...]
    inactive: tuple[str, ...] = ()


def examine(space: Space, decisions: Mapping[str, Any], *, base: Mapping[str, Value] | None = None) -> Examination:
    """Return everything that is wrong with decisions, and the architecture of the space that is nearest to them.

    A number out of range becomes the nearest one in range, a label the one that is spelt most alike; a decision without
    a value gets that of `base`, else the middle of its range or its first option. Networks are not built.

    Args:
        space: The space.
        decisions: Values by the names of decisions.
        base: An architecture from which missing values are taken.

    Example:
        >>> space = aw.Space(width=aw.integer(1, 9), kind=aw.choice("relu", "tanh"))
        >>> found = aw.space.examine(space, {"width": 12, "kind": "ReLU", "hight": 3})
        >>> dict(found.architecture), [problem.kind for problem in found.problems]
        ({'width': 9, 'kind': 'relu'}, ['unknown', 'invalid', 'invalid'])
    """
    problems: list[Problem] = []
    given = dict(decisions)
    for name in decisions:
        if name not in space.decisions:
            near = difflib.get_close_matches(str(name)[:_TOLD], space.program.met, n=1, cutoff=_NAMES_ALIKE)
            problems.append(Problem("unknown", _cut(name), "the space has no decision of that name", *near))
            if near and near[0] not in given:
                given[near[0]] = decisions[name]

    def rule(name: str, decision: Decision) -> Value:
        known = None if base is None else base.get(name, None)
        fallback = _allowed(decision, known) if base is not None and name in base else None
        if fallback is None:
            middle = 0.0 if isinstance(decision, Choice) and not decision.ordered else 0.5
            fallback = (decision.decode([middle] * decision.width),)
        if name not in given:
            message = f"it has no value: {describe_decision(decision)}"
            problems.append(Problem("missing", name, _cut(message), fallback[0]))
            return fallback[0]
        found = _allowed(decision, given[name])
        if found is not None:
            return found[0]
        near = _nearest(decision, given[name])
        message = f"{_cut(repr(given[name]))} is not allowed: {describe_decision(decision)}"
        problems.append(Problem("invalid", name, _cut(message), *(near or ())))
        return (near or fallback)[0]

    architecture = Architecture(space.program.decide(rule))
    if space.where and architecture not in space:
        for predicate in space.where:
            if not predicate(architecture):
                problems.append(Problem("constraint", called(predicate), "the constraint of the space is violated"))
    inactive = tuple(name for name in decisions if name in space.decisions and name not in architecture)
    return Examination(architecture, tuple(problems), inactive)


def _allowed(decision: Decision, value: Any) -> tuple[Value] | None:
    """Return a value in its canonical form, if it is allowed."""
    try:
        return (decision.check(value),)
    except (ArchitectureError, TypeError, ValueError, OverflowError):
        return None


def _nearest(decision: Decision, value: Any) -> tuple[Value] | None:
    """Return the allowed value that is nearest to one that is not; `None` where nothing is near."""
    value = scalar(value)
    if isinstance(decision, Subset):
        return _nearest_subset(decision, value)
    if isinstance(decision, Choice):
        return _nearest_label(decision.labels, value)
    number = _number(value)
    if number is None:
        return None
    if isinstance(decision, Real):
        return (decision.check(min(max(number, decision.low), decision.high)),)
    assert isinstance(decision, Integer | Repeat)
    low, step = decision.low, decision.step if isinstance(decision, Integer) else 1
    rank = round((min(max(number, low), low + (decision.size - 1) * step) - low) / step)
    return (low + rank * step,)


def _nearest_label(labels: Sequence[Scalar], value: Any) -> tuple[Scalar] | None:
    number = _number(value)
    numbers = [label for label in labels if is_number(label)]
    if number is not None and numbers:
        return (min(numbers, key=lambda label: abs(label - number)),)
    if not isinstance(value, str | bool | None):
        return None
    texts: dict[str, Scalar] = {}
    for label in labels[:_LABELS]:
        texts.setdefault(str(label).casefold(), label)
    text = str(value).strip().casefold()[:_TOLD]
    alike = [text] if text in texts else difflib.get_close_matches(text, texts, n=1, cutoff=_ALIKE)
    return (texts[alike[0]],) if alike else None


def _nearest_subset(decision: Subset, value: Any) -> tuple[Value] | None:
    if not isinstance(value, list | tuple):
        value = [value]
    near = (_nearest_label(decision.labels, scalar(each)) for each in value[:_LABELS])
    found = [each[0] for each in near if each is not None]
    if not found:
        return None
    places = list(dict.fromkeys(decision.labels.index(label) for label in found))[: decision.high]
    others = (place for place in range(len(decision.labels)) if place not in places)
    return (decision.pick([*places, *(next(others) for _ in range(decision.low - len(places)))]),)


def _number(value: Any) -> float | None:
    """Return a number, or what a text says; `None` for what is not one, and not finite."""
    try:
        number = float(value) if isinstance(value, str) or is_number(value) else math.nan
    except (OverflowError, ValueError):
        return None
    return number if math.isfinite(number) else None


def _cut(text: object) -> str:
    told = str(text)
    return told if len(told) <= _TOLD else f"{told[: _TOLD - 1]}…"
