"""Size limits of expressions, counting shared parts at each use."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from archwright.errors import SpaceError
from archwright.space._decisions import Choice, Decision
from archwright.space._fold import below
from archwright.space._grammar import Grammar, Recursive
from archwright.space._graph import Graph
from archwright.space._nodes import Apply, Call, Filled, Merge, is_value

MAX_DEPTH = 160
"""How deep calls, graphs and decisions may be nested; values of a graph that follow each other are not nested."""
MAX_PARTS = 200_000
"""How many calls, containers and constants the largest network of a space may consist of."""
MAX_OPTIONS = 100_000
"""How many options a decision may have."""


class Extent(NamedTuple):
    """How large an expression is with every shared part written out as often as it is used."""

    depth: int  # how deep it is nested
    parts: int  # of how many calls, containers and constants the largest network consists
    places: int  # the same, with all options of all decisions side by side


_COMPOUND = (Call, Graph, Apply, Merge, Filled, Decision, Grammar, Recursive, list, tuple, slice, Mapping)
_ONE = Extent(0, 1, 1)
_WITHIN = Extent(-1, 0, 0)  # of what is being walked


def extent_of(parts: Mapping[str, Any]) -> Extent:
    """Return how large the expressions of a space are together.

    Raises:
        SpaceError: An expression contains itself, is nested too deep, has a decision with too many options, or one of
            its networks would have too many parts.
    """
    extents: dict[int, Extent] = {}
    for name, part in parts.items():
        stack = [(part, False)]
        while stack:
            item, is_ready = stack.pop()
            key = id(item)
            if is_ready:
                extents[key] = _extent(item, extents)
                _refuse_above(name, item, extents[key])
            elif extents.get(key) is _WITHIN:
                raise SpaceError(f"{name} holds a {type(item).__name__} that contains itself")
            elif key not in extents and isinstance(item, _COMPOUND):
                extents[key] = _WITHIN
                stack.append((item, True))
                stack += [(each, False) for each in _below(item)]
    whole = [extents.get(id(part), _ONE) for part in parts.values()]
    return Extent(max(each.depth for each in whole), sum(e.parts for e in whole), sum(e.places for e in whole))


def _refuse_above(name: str, item: Any, extent: Extent) -> None:
    kind = type(item).__name__
    if isinstance(item, Decision) and len(item.branches) > MAX_OPTIONS:
        raise SpaceError(f"{name} holds a {kind} of {len(item.branches):,} options; {MAX_OPTIONS:,} are allowed")
    if extent.depth > MAX_DEPTH:
        raise SpaceError(
            f"{name} is nested more than {MAX_DEPTH} deep; write what follows each other side by side in one "
            f"nn.Sequential or in one graph"
        )
    if extent.parts > MAX_PARTS:
        raise SpaceError(
            f"{name} describes networks of more than {MAX_PARTS:,} parts: a part that is used several times is built "
            f"as often, and so are the parts inside it"
        )


def _below(item: Any) -> list[Any]:
    """Return what an item is made from: of a graph all its values."""
    return [*item.labels, item.output] if isinstance(item, Graph) else below(item)


def _extent(item: Any, extents: Mapping[int, Extent]) -> Extent:
    """Return how large an item is, of whose parts that is known."""

    def of(part: Any) -> Extent:
        return extents.get(id(part), _ONE)

    below = [of(each) for each in _below(item)]
    depth = 1 + max((each.depth for each in below), default=0)
    parts, places = [each.parts for each in below], [each.places for each in below]
    if isinstance(item, Apply | Merge):  # a graph computes each value once: what they are made from is elsewhere
        module = of(item.module if isinstance(item, Apply) else item.kind)
        depths = [of(each).depth + isinstance(each, Decision) for each in item.sources]
        open_ = sum(of(each).places for each in item.sources if isinstance(each, Decision))
        return Extent(max([1 + module.depth, *depths]), 1 + module.parts, 1 + module.places + open_)
    if isinstance(item, Graph):
        open_ = places[-1] if isinstance(item.output, Decision) else 0
        return Extent(depth - 1, 1 + sum(parts[:-1]), 1 + sum(places[:-1]) + open_)
    if isinstance(item, Decision) and is_value(item):
        places = [1 if isinstance(each, Apply | Merge) else of(each).places for each in item.branches]
    if isinstance(item, Filled):
        body, *values = below
        nested = 1 + body.depth + max((each.depth for each in values), default=0)
        return Extent(nested, body.parts * max([1, *parts[1:]]), body.places * max([1, *places[1:]]))
    if isinstance(item, Recursive):  # of its parts those of one use: how many there are, an architecture says
        return Extent(item.depth * depth, 1 + sum(parts), 1 + sum(places))
    if isinstance(item, Choice):
        return Extent(depth, 1 + max(parts, default=0), 1 + sum(places))
    return Extent(depth, 1 + sum(parts), 1 + sum(places))
