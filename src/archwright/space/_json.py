"""Expressions as JSON; `_read` is the way back."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from enum import Enum
from functools import partial
from typing import TYPE_CHECKING, Any

from archwright.space._graph import Graph
from archwright.space._names import write_callable, write_predicate
from archwright.space._nodes import Call, Node
from archwright.space._read import FIELDS, OPTIONAL
from archwright.space._spec import TensorSpec

if TYPE_CHECKING:
    from archwright.space._space import Space


def dump_space(space: Space) -> dict[str, Any]:
    """Return a space as a JSON object."""
    specs = space.example_input
    return {
        "name": space.name,
        "example_input": specs and [{"shape": list(spec.shape), "dtype": spec.dtype} for spec in specs],
        "where": [write_predicate(predicate) for predicate in space.where],
        **({"imports": list(space.imports)} if space.imports else {}),
        **_dump_parts(space.parts),
    }


def _dump_parts(parts: Mapping[str, Any]) -> dict[str, Any]:
    """Return expressions as a JSON object: a table of nodes, in which ties are kept, and the parts that refer to it.

    What cannot be written down (a lambda, any other object) is written as {"opaque": its description}: enough to
    compare two spaces by, not enough to load one.
    """
    nodes: list[dict[str, Any]] = []
    places: dict[int, int] = {}

    def dump(item: Any) -> Any:
        if isinstance(item, Enum):  # before numbers and texts, which it may be too
            home = write_callable(type(item))
            is_named = "import" in home and item.name in type(item).__members__
            return {"member": [home, item.name]} if is_named else write_callable(item)
        if isinstance(item, float) and not math.isfinite(item):
            return {"float": str(item)}
        if item is None or isinstance(item, bool | int | float | str):
            return item
        if item is ...:
            return {"ellipsis": True}
        if isinstance(item, slice):
            return {"slice": [dump(part) for part in (item.start, item.stop, item.step)]}
        if isinstance(item, list):
            return [dump(part) for part in item]
        if isinstance(item, tuple):
            return {"tuple": [dump(part) for part in item]}
        if isinstance(item, Mapping):
            return {"dict": [[dump(key), dump(value)] for key, value in item.items()]}
        if isinstance(item, partial) and "import" in write_callable(item.func):
            return {"partial": [write_callable(item.func), dump(list(item.args)), dump(item.keywords)]}
        if not isinstance(item, Node | TensorSpec):
            return write_callable(item)
        if id(item) not in places:
            if isinstance(item, Graph):
                for value in item.labels:  # first what is executed first
                    dump(value)
                data = _dump_graph(item, dump)
            else:
                data = {name: dump(getattr(item, name)) for name in _fields(item)}
            if isinstance(item, Call) and item.callee is not None and "opaque" in write_callable(item.callee):
                data["callee"] = write_callable(item.callee)
            places[id(item)] = len(nodes)
            nodes.append({"is": type(item).__name__, **data})
        return {"node": places[id(item)]}

    written = {name: dump(part) for name, part in parts.items()}
    return {"nodes": nodes, "parts": written}


def _fields(item: Any) -> list[str]:
    """Return the fields of a node that are written: of those that files need not have, the ones that say something."""
    optional = OPTIONAL.get(type(item), {})
    values = {name: getattr(item, name) for name in FIELDS[type(item)]}
    return [name for name, value in values.items() if isinstance(value, Node) or optional.get(name, _NEVER) != value]


_NEVER = object()


def _dump_graph(graph: Graph, dump: Callable[[Any], Any]) -> dict[str, Any]:
    return {
        "inputs": dump(list(graph.inputs)),
        "output": dump(graph.output),
        "name": graph.name,
        "edges": [[i, j, dump(apply)] for (i, j), apply in graph.edges.items()],
        "nodes": dump(list(graph.nodes)),
        "keep_unused": graph.keep_unused,
    }
