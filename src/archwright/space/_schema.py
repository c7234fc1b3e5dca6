"""A space as a JSON schema, and as a compact list of its decisions, for programs that propose architectures."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from itertools import product
from typing import TYPE_CHECKING, Any

from archwright.space._decisions import Choice, Decision, Integer, Real, Repeat, Subset
from archwright.space._print import describe_decision

if TYPE_CHECKING:
    from archwright.space._space import Space

_LISTED = 1_000  # values of a range in steps that are listed
_LETTERS = "ijklmnopqrstuvw"
_DIGITS = re.compile(r"\d+")


def json_schema(space: Space, *, conditions: bool = True) -> dict[str, Any]:
    """Return the JSON schema (draft 2020-12) of the architectures of a space: an object of decisions by name.

    Without constraints, exactly the architectures of the space are valid. A decision that others make active is
    required under `if`, and forbidden otherwise. Constraints (`where`) are functions, and cannot be expressed.

    Args:
        space: The space.
        conditions: Whether to say when a decision is active. Without it, all decisions that are not always active are
            optional: a schema of properties alone, which more readers support.

    Raises:
        SpaceError: The space is recursive: its decisions are not listed.

    Example:
        >>> schema = aw.space.json_schema(aw.Space(width=aw.integer(1, 9)))
        >>> schema["properties"], schema["required"]
        ({'width': {'type': 'integer', 'minimum': 1, 'maximum': 9}}, ['width'])
    """
    names = space.program.names
    schema: dict[str, Any] = {
        "type": "object",
        "properties": {name: _domain(decision) for name, decision in space.decisions.items()},
        "required": [names[decision] for decision in space.program.roots],
        "additionalProperties": False,
    }
    rules = [
        {
            "if": {"anyOf": [_given(names[parent], parent, places) for parent, places in parents.items()]},
            "then": {"required": [name]},
            "else": {"not": {"required": [name]}},
        }
        for name, parents in _activations(space).items()
    ]
    return (
        {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema, "allOf": rules}
        if conditions and rules
        else schema
    )


def grammar(space: Space) -> list[str]:
    r"""Return a line for each decision, with its domain, and the condition under which it is active.

    Decisions that differ only in numbers in their names share a line. Of a recursive space the outline.

    Example:
        >>> deep = aw.repeat(lambda i: nn.LazyLinear(aw.ordinal(8, 16)), 1, 3, name="depth")
        >>> print("\n".join(aw.space.grammar(aw.Space(model=deep))))
        depth: repeat  1 to 3
        depth.{i}.out_features: ordinal  8 · 16  (if depth > {i}; for i in 0..2)
    """
    if space.is_recursive:  # whose decisions are not listed: its rules, and how decisions are named
        return str(space).splitlines()
    names, activations = space.program.names, _activations(space)
    groups: dict[tuple[str, str, str], list[tuple[str, str]]] = {}
    for name, decision in space.decisions.items():
        parents = activations.get(name, {})
        condition = " or ".join(_condition(names[parent], parent, places) for parent, places in parents.items())
        key = _DIGITS.sub("#", name), describe_decision(decision), _DIGITS.sub("#", condition)
        groups.setdefault(key, []).append((name, condition))
    return [line for (_, domain, _), members in groups.items() for line in _lines(domain, members)]


def _activations(space: Space) -> dict[str, dict[Decision, list[int]]]:
    """Return by which branches of which decisions each decision is activated; none for what is always active."""
    program = space.program
    always, found = set(program.roots), dict[str, dict[Decision, list[int]]]()
    for parent in space.decisions.values():
        for place, part in enumerate(parent.branches):
            for inner in program.exposed(part):
                if inner not in always:
                    found.setdefault(program.names[inner], {}).setdefault(parent, []).append(place)
    return {name: found[name] for name in space.decisions if name in found}


def _domain(decision: Decision) -> dict[str, Any]:
    if isinstance(decision, Choice):
        return {"enum": list(decision.labels)}
    if isinstance(decision, Subset):
        items = {"enum": list(decision.labels)}
        sizes = {"minItems": decision.low, "maxItems": decision.high}
        return {"type": "array", "items": items, "uniqueItems": True, **sizes}
    if isinstance(decision, Repeat):
        return {"type": "integer", "minimum": decision.low, "maximum": len(decision.bodies)}
    assert isinstance(decision, Integer | Real)
    if isinstance(decision, Integer) and decision.step > 1 and decision.size <= _LISTED:
        return {"enum": list(decision.values())}
    kind = "integer" if isinstance(decision, Integer) else "number"
    return {"type": kind, "minimum": decision.low, "maximum": decision.high}


def _given(name: str, decision: Decision, places: Sequence[int]) -> dict[str, Any]:
    """Return the schema of what takes one of some branches of a decision."""
    test: dict[str, Any]
    if isinstance(decision, Repeat):
        test = {"minimum": min(places) + 1}
    else:
        assert isinstance(decision, Choice | Subset)
        labels = {"enum": [decision.labels[place] for place in places]}
        test = {"contains": labels} if isinstance(decision, Subset) else labels
    return {"properties": {name: test}, "required": [name]}


def _condition(name: str, decision: Decision, places: Sequence[int]) -> str:
    if isinstance(decision, Repeat):
        return f"{name} > {min(places)}"
    assert isinstance(decision, Choice | Subset)
    labels = [str(decision.labels[place]) for place in places]
    verb = "contains" if isinstance(decision, Subset) else "is"
    return f"{name} {verb} {' | '.join(labels)}"


def _lines(domain: str, members: Sequence[tuple[str, str]]) -> Iterable[str]:
    """Yield one line for members that differ in numbers alone, where that can be said in one; else one for each."""
    folded = _folded(members) if len(members) > 1 else None
    for name, condition in [folded] if folded else members:
        yield f"{name}: {domain}" + (f"  ({'' if folded else 'if '}{condition})" if condition else "")


def _folded(members: Sequence[tuple[str, str]]) -> tuple[str, str] | None:
    """Return a name and a condition with letters in the place of numbers that differ."""
    numbers = [tuple(map(int, _DIGITS.findall(name))) for name, _ in members]
    columns = list(zip(*numbers, strict=True))
    moving = dict(zip(_differing(columns), _LETTERS, strict=False))
    if len(moving) < len(_differing(columns)):
        return None
    ranges = [sorted({row[place] for row in numbers}) for place in moving]
    if sorted(tuple(row[place] for place in moving) for row in numbers) != list(product(*ranges)):
        return None
    letters: dict[int, str] = {}
    others = list(zip(*(tuple(map(int, _DIGITS.findall(condition))) for _, condition in members), strict=True))
    for place in _differing(others):
        same = [letter for column, letter in moving.items() if columns[column] == others[place]]
        if not same:
            return None
        letters[place] = same[0]
    name, condition = (_lettered(text, known) for text, known in zip(members[0], (moving, letters), strict=True))
    said = ", ".join(f"{letter} in {_range(each)}" for letter, each in zip(moving.values(), ranges, strict=True))
    return name, f"if {condition}; for {said}" if condition else f"for {said}"


def _differing(columns: Sequence[tuple[int, ...]]) -> list[int]:
    return [place for place, column in enumerate(columns) if len({*column}) > 1]


def _lettered(text: str, letters: Mapping[int, str]) -> str:
    places = iter(range(len(text)))
    return _DIGITS.sub(lambda found: f"{{{letters[place]}}}" if (place := next(places)) in letters else found[0], text)


def _range(numbers: Sequence[int]) -> str:
    is_row = list(numbers) == list(range(numbers[0], numbers[-1] + 1))
    return f"{numbers[0]}..{numbers[-1]}" if is_row else ", ".join(map(str, numbers))
