"""From an open expression to what runs it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from archwright.build import is_layer, is_row
from archwright.errors import RelaxationError
from archwright.space import (
    Apply,
    Blank,
    Call,
    Choice,
    Filled,
    Function,
    Graph,
    Repeat,
    Subset,
    children,
    decisions_in,
    is_value,
    place_of,
    written,
)
from archwright.supernet._execution import Engine
from archwright.supernet._layer import SharedLayer, blanks_in
from archwright.supernet._nodes import Branch, Depth, FunctionNode, GraphNode, Row, Scope, SupernetNode


class Compiler:
    """Compiles the expression of a space."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self.layers: list[SharedLayer] = []
        # The decisions between modules or values, which may be mixed, by name; in the order of the program.
        self.branches: dict[str, Choice | Subset] = {}
        self.graphs: list[GraphNode] = []
        self._filled: dict[Blank, Any] = {}

    def compile(self, item: Any, path: str) -> SupernetNode | None:
        """Return what runs a module of the expression; None where there is no operation."""
        if item is None:
            return None
        if isinstance(item, Choice) and (is_layer(item) or None in item.options):
            self._note(item)
            options = enumerate(item.options)
            nodes = [self.compile(option, f"{path}.{place_of(item, number)}") for number, option in options]
            return Branch(self.engine, item, nodes)
        if isinstance(item, Repeat):
            bodies = enumerate(item.bodies)
            return Depth(self.engine, item, [self._needed(body, f"{path}.{number}") for number, body in bodies])
        if isinstance(item, Graph):
            return self._graph(item, path)
        if isinstance(item, Filled):
            outside, self._filled = self._filled, {**self._filled, **dict(zip(item.blanks, item.values, strict=True))}
            body = self.compile(item.body, path)
            self._filled = outside
            return Scope(self.engine, item, body, path)
        if isinstance(item, Function):
            return FunctionNode(self.engine, item, path)
        if isinstance(item, Call):
            places = list(children(item))
            if is_row(item):
                return Row([self._needed(part, f"{path}.{place}") for place, part in places])
            if item.target == "torch.nn.Sequential" and isinstance(item.args[0], Mapping):
                inner = item.args[0].items()
                return Row([self._needed(part, f"{path}.{places[0][0]}.{key}") for key, part in inner])
            return self._layer(item, path)
        raise RelaxationError(f"{path}: {written(item)} stands where a layer is needed")

    def _needed(self, item: Any, path: str) -> SupernetNode:
        node = self.compile(item, path)
        if node is None:
            raise RelaxationError(f"{path}: None stands in a row of layers; write nn.Identity() there")
        return node

    def _layer(self, call: Call, path: str) -> SharedLayer:
        parts: list[tuple[Any, SupernetNode | None]] = []
        before = len(self.layers)
        stack = [(part, f"{path}.{place}") for place, part in children(call)]
        while stack:
            part, at = stack.pop()
            if _is_module(part):
                if decisions_in(part):
                    parts.append((part, self.compile(part, at)))
            elif isinstance(part, list | tuple | Mapping):
                stack += [(inner, f"{at}.{place}") for place, inner in children(part)]
        layer = SharedLayer(self.engine, call, path, parts, self.layers[before:], self._roots(call))
        self.layers.append(layer)
        return layer

    def _roots(self, call: Call) -> tuple[Any, ...]:
        """Return a call, and what the blanks in it stand for."""
        roots: list[Any] = [call]
        seen: set[Blank] = set()
        for root in roots:
            blanks = [blank for blank in blanks_in(root) if blank in self._filled and blank not in seen]
            seen.update(blanks)
            roots += [self._filled[blank] for blank in blanks]
        return tuple(roots)

    def _graph(self, graph: Graph, path: str) -> GraphNode:
        nodes: dict[Apply, SupernetNode | None] = {}
        for value, label in graph.labels.items():
            if isinstance(value, Apply):
                nodes[value] = self.compile(value.module, f"{path}.{label}")
        for value in graph.labels:
            for part in value.sources:
                self._note_values(part)
        self._note_values(graph.output)
        node = GraphNode(self.engine, graph, nodes, graph.name or path)
        self.graphs.append(node)
        return node

    def _note_values(self, part: Any) -> None:
        names = self.engine.program.names
        if isinstance(part, Choice | Subset) and is_value(part) and names[part] not in self.branches:
            self._note(part)
            for option in part.options:
                self._note_values(option)

    def _note(self, decision: Choice | Subset) -> None:
        self.branches[self.engine.program.names[decision]] = decision


def _is_module(item: Any) -> bool:
    return is_layer(item) or (isinstance(item, Choice) and any(map(_is_module, item.options)))
