"""Expressions as JSON, both ways. Nothing is executed and nothing is unpickled on the way back."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from archwright.space._decisions import Choice, Integer, Real, Repeat, Subset
from archwright.space._names import allowed_call, restore, write_callable
from archwright.space._nodes import Apply, Blank, Call, Filled, Graph, Input, Merge, Node
from archwright.space._spec import TensorSpec

__all__ = ["dump_parts", "load_parts"]

_FIELDS: dict[type, tuple[str, ...]] = {
    Call: ("target", "args", "kwargs", "names"),
    Blank: ("name",),
    Filled: ("body", "blanks", "values"),
    Input: ("index",),
    Apply: ("module", "inputs", "name"),
    Merge: ("kind", "operands", "name"),
    Choice: ("options", "labels", "ordered", "name"),
    Subset: ("options", "labels", "low", "high", "name"),
    Repeat: ("bodies", "low", "name"),
    Integer: ("low", "high", "log", "name"),
    Real: ("low", "high", "log", "name"),
    TensorSpec: ("shape", "dtype"),
}
_KINDS = {kind.__name__: kind for kind in (*_FIELDS, Graph)}


def dump_parts(parts: Mapping[str, Any]) -> dict[str, Any]:
    """Return expressions as a JSON object: a table of nodes, in which ties are kept, and the parts that refer to it.

    What cannot be written down (a lambda, any other object) is written as {"opaque": its description}: enough to
    compare two spaces by, not enough to load one.
    """
    nodes: list[dict[str, Any]] = []
    places: dict[int, int] = {}

    def dump(item: Any) -> Any:
        if item is None or isinstance(item, bool | int | float | str):
            return item
        if isinstance(item, list):
            return [dump(part) for part in item]
        if isinstance(item, tuple):
            return {"tuple": [dump(part) for part in item]}
        if isinstance(item, Mapping):
            return {"dict": [[dump(key), dump(value)] for key, value in item.items()]}
        if not isinstance(item, Node | TensorSpec):
            return write_callable(item)
        if id(item) not in places:
            if isinstance(item, Graph):
                for value in item.labels:  # first what is executed first
                    dump(value)
                data = _dump_graph(item, dump)
            else:
                data = {name: dump(getattr(item, name)) for name in _FIELDS[type(item)]}
            if isinstance(item, Call) and item.callee is not None and "opaque" in write_callable(item.callee):
                data["callee"] = write_callable(item.callee)
            places[id(item)] = len(nodes)
            nodes.append({"is": type(item).__name__, **data})
        return {"node": places[id(item)]}

    written = {name: dump(part) for name, part in parts.items()}
    return {"nodes": nodes, "parts": written}


def load_parts(data: Mapping[str, Any], code: Callable[[Mapping[str, Any]], Any] = restore) -> dict[str, Any]:
    """Return the expressions that `dump_parts` wrote.

    Args:
        data: What it wrote.
        code: Returns what stands for a class or function that the data name.

    Raises:
        SpaceError: A part could not be written down, or names what a file may not name.
    """
    nodes: list[Any] = []

    def load(item: Any) -> Any:
        if isinstance(item, list):
            return [load(part) for part in item]
        if not isinstance(item, Mapping):
            return item
        ((key, value),) = item.items()
        if key == "node":
            return nodes[value]
        if key == "tuple":
            return tuple(load(part) for part in value)
        if key == "dict":
            return {load(k): load(v) for k, v in value}
        return code(item)

    def callee(entry: Mapping[str, Any]) -> Any:
        if "callee" in entry:
            return code(entry["callee"])
        return allowed_call(str(entry["target"])) if code is restore else None

    for entry in data["nodes"]:
        kind = _KINDS[entry["is"]]
        if kind is Graph:
            nodes.append(_load_graph(entry, load))
            continue
        fields = {name: load(entry[name]) for name in _FIELDS[kind]}
        if kind is Call and not all(str(key).isidentifier() for key in fields["kwargs"]):
            raise ValueError(f"{list(fields['kwargs'])} are no names of arguments")  # they are written into source
        nodes.append(Call(**fields, callee=callee(entry)) if kind is Call else kind(**fields))
    return {name: load(part) for name, part in data["parts"].items()}


def _dump_graph(graph: Graph, dump: Callable[[Any], Any]) -> dict[str, Any]:
    return {
        "inputs": dump(list(graph.inputs)),
        "output": dump(graph.output),
        "name": graph.name,
        "edges": [[i, j, dump(apply)] for (i, j), apply in graph.edges.items()],
        "nodes": dump(list(graph.nodes)),
        "keep_unused": graph.keep_unused,
    }


def _load_graph(fields: Mapping[str, Any], load: Callable[[Any], Any]) -> Graph:
    edges = {(i, j): load(apply) for i, j, apply in fields["edges"]}
    nodes = tuple(load(fields["nodes"]))
    inputs, output = tuple(load(fields["inputs"])), load(fields["output"])
    return Graph(inputs, output, fields["name"], edges, nodes, keep_unused=fields["keep_unused"])
