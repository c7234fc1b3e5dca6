"""Graphs: modules whose forward pass is a directed acyclic graph of values."""

from __future__ import annotations

import itertools
import keyword
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from archwright.errors import SpaceError
from archwright.space._grammar import Recursive, Symbol
from archwright.space._nodes import Apply, Call, GraphValue, Input, Merge, Node, body_of, is_value, with_options
from archwright.space._text import last_name, written


@dataclass(frozen=True, eq=False)
class Graph(Node):
    """A module whose forward pass is a directed acyclic graph of values.

    Args:
        inputs: The input values.
        output: The output value.
        name: A name, the prefix of the names of the decisions inside, wherever the graph is used.
        edges: For a cell: the operation from node i to node j.
        nodes: For a cell: the values at its nodes, inputs first.
        labels: The attribute name or path part of values, by node.
        path: The path of the graph, in resolved expressions only.
        keep_unused: For a cell: whether operations that are not connected to the output stay in the network.

    Example:
        >>> cell = aw.cell(lambda source, node: nn.ReLU(), nodes=2)
        >>> sorted(cell.edges), len(cell.nodes)
        ([(0, 1), (0, 2), (1, 2)], 3)
    """

    inputs: tuple[Input, ...]
    output: Any
    name: str | None = None
    edges: Mapping[tuple[int, int], Apply] = field(default_factory=dict)
    nodes: tuple[Any, ...] = ()
    labels: dict[Apply | Merge, str] = field(default_factory=dict)
    path: str = ""
    keep_unused: bool = False

    def __post_init__(self) -> None:
        """Name the values, and refuse values of another graph."""
        if not is_value(self.output):
            raise SpaceError(f"a graph returns one of its values, not {self.output!r}")
        if not self.labels:
            object.__setattr__(self, "labels", _label(self))

    def __repr__(self) -> str:
        return f"graph({self.name!r})" if self.name else f"graph({', '.join(self.labels.values())})"

    def always(self) -> list[Apply | Merge]:
        """Return the values that are needed whatever is decided, in the order of execution.

        Each comes after all that it is made from, unless a decision stands between.
        """
        needed: set[Any] = set()
        stack = [self.output, *(self.nodes if self.keep_unused else ())]
        while stack:
            value = stack.pop()
            if value in self.labels and value not in needed:
                needed.add(value)
                stack += value.sources
        return [value for value in self.labels if value in needed]


def _label(graph: Graph) -> dict[Apply | Merge, str]:
    """Give every application and merge of a graph a name of its own, in the order of execution."""
    ordered = _ordered(graph)
    given = Counter(item.name for item in ordered if item.name)
    for name, count in given.items():
        if not _is_attribute(name):
            raise SpaceError(f"the name of a value becomes an attribute in Python; {name!r} cannot be one")
        if count > 1:
            raise SpaceError(f"two values of one graph are named {name!r}")
    labels: dict[Apply | Merge, str] = {}
    taken = set(given)
    for item in ordered:
        label = item.name or next(name for name in _numbered(_stem(item)) if name not in taken)
        taken.add(label)
        labels[item] = label
    return labels


def _ordered(graph: Graph) -> list[Apply | Merge]:
    """Return the applications and merges of a graph in the order of execution, and refuse what cannot be executed."""
    ordered: list[Apply | Merge] = []
    visited: set[int] = set()
    stack = [(item, False) for item in (graph.output, *graph.nodes[::-1])]
    while stack:
        item, is_ready = stack.pop()
        if is_ready:
            ordered.append(item)
            continue
        if id(item) in visited or item is None:
            continue
        visited.add(id(item))
        if isinstance(item, Input):
            if item not in graph.inputs:
                raise SpaceError("a graph uses a value of another graph: pass that value in as an input of its own")
            continue
        if isinstance(item, Apply):
            _check_present(item.inputs, f"{written(item.module)} is applied to")
        parts = item.sources if isinstance(item, GraphValue) else getattr(item, "options", ())
        if isinstance(item, GraphValue):
            stack.append((item, True))
        elif not parts:
            raise SpaceError(f"{written(item)} stands where a graph needs one of its values")
        stack.extend((part, False) for part in parts[::-1])
    _check_present((graph.output,), "the graph returns")
    return ordered


def _check_present(values: tuple[Any, ...], what: str) -> None:
    for value in values:
        if _may_be_absent(value):
            raise SpaceError(
                f"{what} {written(value)}, which need not be one value: the operation None gives none, and a subset "
                f"any number; both may stand only where values are merged (aw.merge, or a + b)"
            )


def _may_be_absent(value: Any) -> bool:
    return any(
        part is None or hasattr(part, "low") or (isinstance(part, Apply) and None in with_options(part.module))
        for part in with_options(value)
    )


def _stem(item: Apply | Merge) -> str:
    if isinstance(item, Merge):
        return item.kind if isinstance(item.kind, str) else "merge"
    module, stem = body_of(item.module), "op"
    if isinstance(module, Call):
        stem = last_name(module.target).lower().removeprefix("lazy")
    elif isinstance(module, Graph):
        stem = module.name or "graph"
    elif isinstance(module, Symbol | Recursive):
        stem = module.name if isinstance(module, Symbol) else module.rule
    return {"getitem": "item"}.get(stem, stem) if _is_attribute(stem) else "op"


def _is_attribute(name: str) -> bool:
    return name.isidentifier() and not keyword.iskeyword(name)


def _numbered(stem: str) -> Iterator[str]:
    return itertools.chain((stem,), (f"{stem}_{number}" for number in itertools.count(2)))
