"""Expressions as JSON, both ways. Nothing is executed and nothing is unpickled on the way back."""

from __future__ import annotations

import hashlib
import importlib
import json
import sys
from collections.abc import Callable, Mapping
from typing import Any

from archwright.errors import SpaceError
from archwright.space._decisions import Choice, Integer, Real, Repeat, Subset
from archwright.space._nodes import Apply, Call, Graph, Input, Merge, Node
from archwright.space._spec import TensorSpec

__all__ = ["digest", "dump_parts", "find", "load_parts", "restore_callable", "write_callable"]

_FIELDS: dict[type, tuple[str, ...]] = {
    Call: ("target", "args", "kwargs", "names"),
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


def digest(data: Any) -> str:
    """Return 16 hexadecimal digits that depend on a JSON value alone."""
    text = json.dumps(data, sort_keys=True, separators=(",", ":"))
    return hashlib.blake2b(text.encode(), digest_size=8).hexdigest()


def dump_parts(parts: Mapping[str, Any]) -> dict[str, Any]:
    """Return expressions as a JSON object: a table of nodes, in which ties are kept, and the parts that refer to it.

    What cannot be written down (a class of `__main__`, any other object) is written as {"opaque": its name}: enough to
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
            return write_callable(item) if callable(item) else {"opaque": repr(item)}
        if id(item) not in places:
            if isinstance(item, Graph):
                data = _dump_graph(item, dump)
            else:
                data = {name: dump(getattr(item, name)) for name in _FIELDS[type(item)]}
            if isinstance(item, Call) and item.callee is not None:
                data["callee"] = write_callable(item.callee)
            places[id(item)] = len(nodes)
            nodes.append({"is": type(item).__name__, **data})
        return {"node": places[id(item)]}

    written = {name: dump(part) for name, part in parts.items()}
    return {"nodes": nodes, "parts": written}


def load_parts(data: Mapping[str, Any]) -> dict[str, Any]:
    """Return the expressions that `dump_parts` wrote.

    Raises:
        SpaceError: A part could not be written down, or names code that has not been imported here.
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
        return restore_callable(item)

    for entry in data["nodes"]:
        fields = {name: value for name, value in entry.items() if name != "is"}
        kind = _KINDS[entry["is"]]
        if kind is Graph:
            nodes.append(_load_graph(fields, load))
            continue
        loaded = {name: load(value) for name, value in fields.items()}
        if kind is Call:
            find(loaded["target"], loaded.get("callee"))
        nodes.append(kind(**loaded))
    return {name: load(part) for name, part in data["parts"].items()}


def _dump_graph(graph: Graph, dump: Callable[[Any], Any]) -> dict[str, Any]:
    return {
        "inputs": dump(list(graph.inputs)),
        "output": dump(graph.output),
        "name": graph.name,
        "edges": [[i, j, dump(apply)] for (i, j), apply in graph.edges.items()],
        "nodes": dump(list(graph.nodes)),
    }


def _load_graph(fields: Mapping[str, Any], load: Callable[[Any], Any]) -> Graph:
    edges = {(i, j): load(apply) for i, j, apply in fields["edges"]}
    nodes = tuple(load(fields["nodes"]))
    return Graph(tuple(load(fields["inputs"])), load(fields["output"]), fields["name"], edges, nodes)


def write_callable(item: Any) -> dict[str, Any]:
    """Return how a callable is found again; a lambda or local function is only described."""
    module, name = getattr(item, "__module__", None), getattr(item, "__qualname__", None)
    if module is None or name is None:
        return {"opaque": repr(type(item))}
    if "<" not in name:
        return {"import": f"{module}:{name}"}
    code = item.__code__
    constants = [repr(constant) for constant in code.co_consts if not hasattr(constant, "co_code")]
    closed_over = [repr(cell.cell_contents) for cell in item.__closure__ or () if _is_plain(cell.cell_contents)]
    return {"opaque": f"{name} {digest([code.co_code.hex(), constants, list(code.co_names), closed_over])}"}


def restore_callable(data: Mapping[str, Any]) -> Any:
    """Return the callable that `write_callable` described.

    Raises:
        SpaceError: It was only described, or lies in code that has not been imported here.
    """
    if "import" not in data:
        raise SpaceError(
            f"the space holds {data.get('opaque')}, which cannot be loaded from a file; give the space again (space=...)"
        )
    return find(data["import"], None)


def find(target: str, callee: Any) -> Any:
    """Return what a dotted name stands for.

    Only torch, archwright and modules that the running program has imported already are looked into: a file that is
    loaded cannot make other code run.

    Args:
        target: "package.module.Name" within torch.nn, torch.optim or operator, else "package.module:Name".
        callee: The object itself, where it is known.

    Raises:
        SpaceError: There is no such thing, or its module has not been imported here.
    """
    if callee is not None:
        return callee
    module_name, _, name = target.partition(":") if ":" in target else target.rpartition(".")
    known = module_name.split(".")[0] in ("torch", "archwright") or module_name == "operator"
    if module_name not in sys.modules and not known:
        raise SpaceError(
            f"the space uses {target}, and {module_name} is not imported; import it first, or give the space again "
            f"(space=...)"
        )
    found: Any = sys.modules.get(module_name) or importlib.import_module(module_name)
    for part in name.split("."):
        if not hasattr(found, part):
            raise SpaceError(f"{module_name} has no {name}, which the space uses; give the space again (space=...)")
        found = getattr(found, part)
    return found


def _is_plain(value: Any) -> bool:
    return value is None or isinstance(value, bool | int | float | str | tuple)
