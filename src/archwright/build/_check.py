"""Check the shapes of a whole space at once: an open expression is run on the meta device, every option of it."""

from __future__ import annotations

import math
import warnings
from collections.abc import Mapping
from functools import partial
from itertools import combinations
from typing import Any

import numpy as np
import torch

from archwright.build._conditions import Conditions, Diagram, Sample, TooMany
from archwright.build._interpreter import ShapeInterpreter
from archwright.build._kinds import is_layer
from archwright.build._meta import zeros_for
from archwright.build._shapes import Case, Failure, shapes_in, told
from archwright.errors import ShapeError
from archwright.space import (
    Architecture,
    Choice,
    Decision,
    Integer,
    Real,
    Space,
    Subset,
    TensorSpec,
    Value,
    as_specs,
    is_value,
)

_VALUES = 8  # of a number in a long range that are looked at, both ends among them
_DEEP = 300  # decisions, up to which a space is followed exactly
_SUBSETS = 512  # of a subset's options, up to which all are looked at
_LAYERS = 1_000  # that are run at most to follow a space exactly
_COUNTED = 10_000  # architectures before constraints, up to which all that keep to them are looked at
_FEW = 16  # architectures of a space that is too large to look at all
_RECURSIVE = 128  # of a recursive space, where it takes more for each value of each rule to occur
_MEMBERS = 512  # the same, where it takes more for each value to occur


def check(space: Space, example_input: Any) -> None:
    """Check the shapes of all architectures of a space: layers match their inputs, and the output shape is unique.

    Options of a choice may differ in shape if the next layers accept all of them: a lazy layer, adaptive pooling, or a
    layer that does not depend on that axis. Shapes are propagated together with the decisions that lead to them, so the
    check is exact for any number of architectures; of a long range eight values are checked, both ends included. If
    that takes too many runs of layers, or the space has constraints, all architectures of a small space are checked, or
    else some hundreds in which each option occurs. The output shape may depend on numbers and depths, but not on the
    option of a choice. A space is checked once for each input.

    Args:
        space: The space.
        example_input: The input of the model.

    Raises:
        ShapeError: Layers of an architecture do not match; the message names the path and the options.

    Example:
        >>> from archwright.build import check
        >>> check(aw.Space(model=nn.Sequential(nn.Linear(4, aw.ordinal(8, 16)), nn.LazyLinear(2))), (4,)) is None
        True
    """
    specs = as_specs(example_input)
    sound: set[tuple[TensorSpec, ...]] = space.memo.setdefault("sound", set())
    if specs is None or "model" not in space.parts or specs in sound:
        return
    sets, cases = _followed(space, specs)
    failures = [case for case in cases if isinstance(case.value, Failure)]
    if failures:
        raise ShapeError(_explained(space, sets, failures[0], cases))
    _check_output(space, sets, cases)
    sound.add(specs)


def _followed(space: Space, specs: tuple[TensorSpec, ...]) -> tuple[Conditions, list[Case]]:
    """Return what comes out of the model, and in which architectures."""
    model, known = space.parts["model"], dict[Any, Any]()
    inputs = shapes_in(zeros_for(specs, "meta"))
    with warnings.catch_warnings(), torch.random.fork_rng(devices=[]):
        warnings.simplefilter("ignore")  # whoever builds one of the networks will hear of it
        exact = _all(space)
        if exact is not None:
            try:
                return exact, ShapeInterpreter(space, exact, known, _LAYERS).apply(
                    model, inputs, "model", exact.everything
                )
            except TooMany:
                pass
        some = Sample(_some(space))
        return some, ShapeInterpreter(space, some, known, math.inf).apply(model, inputs, "model", some.everything)


# ---------------------------------------------------------------------- what is looked at


def _values(decision: Decision) -> list[Value]:
    """Return the values of a decision that are looked at: all, but for long ranges and subsets of many options."""
    is_number = isinstance(decision, Integer | Real) or (isinstance(decision, Choice) and decision.ordered)
    if is_number and decision.size > _VALUES:
        return list(dict.fromkeys(decision.decode([index / (_VALUES - 1)]) for index in range(_VALUES)))
    if isinstance(decision, Subset) and decision.size > _SUBSETS:
        n = len(decision.options)
        windows = [
            {(start + step) % n for step in range(k)} for k in {decision.low, decision.high} for start in range(n)
        ]
        return list(dict.fromkeys(decision.decode([float(i in window) for i in range(n)]) for window in windows))
    return list(decision.values())


def _all(space: Space) -> Conditions | None:
    """Return all architectures of a space, as far as values are looked at; None where they are not to be told."""
    if not space.where and not space.is_recursive:
        is_deep = len(space.decisions) > _DEEP
        return None if is_deep else Diagram({name: _values(decision) for name, decision in space.decisions.items()})
    return Sample(list(space.enumerate())) if space.bound <= _COUNTED else None


def _some(space: Space) -> list[Architecture]:
    """Return architectures of a space that hold between them each value that is looked at, as far as that can be."""
    rng = np.random.default_rng(0)
    if space.is_recursive:
        return _some_recursive(space, rng)
    values = {name: _values(decision) for name, decision in space.decisions.items()}
    first = {name: each[0] for name, each in values.items()}
    found: dict[Architecture, None] = {}
    met: set[tuple[str, Value]] = set()
    for index in range(_VALUES):
        alike = {name: each[min(index, len(each) - 1)] for name, each in values.items()}
        apart = {name: each[(index + place) % len(each)] for place, (name, each) in enumerate(values.items())}
        for architecture in (space.canonical(alike), space.canonical(apart), space.sample(rng), space.sample(rng)):
            brings = not met.issuperset(architecture.items())
            if (brings or len(found) < _FEW) and (not space.where or architecture in space):
                met.update(architecture.items())
                found[architecture] = None
    waiting = list(found)
    while waiting and len(found) < _MEMBERS:  # what is not met yet: by changing one decision
        architecture = waiting.pop(0)
        for name in architecture:
            for value in values[name]:
                if (name, value) not in met:
                    changed = space.canonical({**first, **architecture, name: value})
                    if not space.where or changed in space:
                        met.update(changed.items())
                        found[changed] = None
                        waiting.append(changed)
    return list(found)


def _some_recursive(space: Space, rng: np.random.Generator) -> list[Architecture]:
    """Return architectures that hold between them each value of each rule that is looked at, as far as that can be."""

    def met_in(architecture: Architecture) -> set[tuple[Any, ...]]:
        return {(space.program.place(name), value) for name, value in architecture.items()}

    found = dict.fromkeys(space.sample(rng) for _ in range(_FEW))
    met = set[tuple[Any, ...]]().union(*map(met_in, found))
    waiting = list(found)
    while waiting and len(found) < _RECURSIVE:  # what is not met yet: by changing one decision
        held = waiting.pop(0)
        for name in held:
            for value in _values(space.decisions[name]):
                if (space.program.place(name), value) not in met:
                    changed = space.decide(partial(_changed, {**held, name: value}))
                    if not space.where or changed in space:
                        met |= met_in(changed)
                        found[changed] = None
                        waiting.append(changed)
    return list(found)


def _changed(values: Mapping[str, Value], name: str, decision: Decision) -> Value:
    return values[name] if name in values else decision.decode([0.0] * decision.width)


# ---------------------------------------------------------------------- what is wrong


def _explained(space: Space, sets: Conditions, failed: Case, cases: list[Case]) -> str:
    """Return what does not fit, with the two options at which it parts from what fits, if they stand elsewhere."""
    failure: Failure = failed.value
    fits = 0
    for case in cases:
        if not isinstance(case.value, Failure):
            fits = sets.either(fits, case.when)
    wrong, right = sets.nearest(failed.when, fits) if fits else ({}, {})
    differing = [name for name in {**wrong, **right} if wrong.get(name) != right.get(name)]
    active = [name for name in differing if name in wrong and name in right]
    is_inside = any(name in failure.own or f"{failure.path}.".startswith(f"{name}.") for name in differing)
    if is_inside or len(active) != 1 or len(differing) > 1:
        return failure.text
    (name,) = active
    wanted = _written(space, name, wrong[name])
    one, other = _in_order(space, name, wrong[name], right[name])
    return f"{one} and {other} disagree in shape: with {wanted}, {failure.text}{_hint(space, {name: wrong[name]})}"


def _check_output(space: Space, sets: Conditions, cases: list[Case]) -> None:
    """Refuse models whose output has another shape with another option of a choice: one loss is to take them all."""
    # Of a recursive space those that the sample has named.
    settings = [name for name, decision in space.program.met.items() if not _is_between_modules(decision)]
    for first, last in combinations(cases, 2):
        shapes = told(first.value), told(last.value)
        if shapes[0] == shapes[1]:
            continue
        one, other = sets.nearest(first.when, last.when, but=settings)
        names = [name for name in {**one, **other} if one.get(name) != other.get(name)]
        if names:
            sides = [[_written(space, name, side[name]) for name in names if name in side] for side in (one, other)]
            raise ShapeError(
                f"{', '.join(sides[0])} and {', '.join(sides[1])} disagree in shape: {shapes[0]} and {shapes[1]} (the "
                f"batch is 2), and the output of a model must have the same shape for all options"
                f"{_hint(space, one) or _hint(space, other)}"
            )


def _is_between_modules(decision: Decision) -> bool:
    """Tell whether a decision is between modules or values of a graph, rather than about a number or a depth."""
    options = decision.options if isinstance(decision, Choice | Subset) else ()
    return any(map(is_value, options)) or (isinstance(decision, Choice) and any(map(is_layer, options)))


def _written(space: Space, name: str, value: Value) -> str:
    """Return an option by its path, and a number by its name and value."""
    decision = space.decisions[name]
    is_option = isinstance(decision, Choice) and _is_between_modules(decision)
    return f"{name}.{value}" if is_option else f"{name}={value!r}"


def _in_order(space: Space, name: str, one: Value, other: Value) -> list[str]:
    """Return two values of a decision in the order in which they were written."""
    values = _values(space.decisions[name])
    both = sorted((one, other), key=lambda value: values.index(value) if value in values else len(values))
    return [_written(space, name, value) for value in both]


def _hint(space: Space, values: Mapping[str, Value]) -> str:
    """Return what to know where an option of no operation was taken."""
    for name, value in values.items():
        decision = space.decisions[name]
        if isinstance(decision, Choice) and value in decision.labels and decision.chosen(value) == (None,):
            return (
                "; where every operation is None the result is zeros in the shape of what went in: write an operation "
                "that gives zeros of the other shape instead"
            )
    return ""
