"""Encodings of architectures: vectors, cells, paths."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from archwright.errors import SpaceError
from archwright.space._decisions import Choice, Value
from archwright.space._fold import below
from archwright.space._grammar import Recursive
from archwright.space._graph import Graph
from archwright.space._nodes import body_of
from archwright.space._program import Program
from archwright.space._resolve import live

_NODES = 2_000  # of a cell that is written as matrices
_PATHS = 100_000  # through a cell


@dataclass(frozen=True)
class CellEncoding:
    """One cell of an architecture as matrices.

    Args:
        adjacency: (nodes, nodes) of 0 and 1, strictly upper triangular: whether there is an edge from row to column.
        edges: (nodes, nodes) of labels: the operation of each active edge, or "".
        nodes: The label of each node's operation; "" if it only combines its edges or is not connected to the output.
        inputs: Number of input nodes.
        outputs: The output nodes.

    Example:
        >>> space = aw.Space(model=aw.cell(lambda source, node: aw.choice(nn.ReLU(), nn.Tanh()), nodes=1, name="c"))
        >>> space.encode(next(space.enumerate()), "cells")["c"].edges
        array([['', 'ReLU()'],
               ['', '']], dtype='<U6')
    """

    adjacency: NDArray[np.int8]
    edges: NDArray[np.str_]
    nodes: tuple[str, ...]
    inputs: int
    outputs: tuple[int, ...]


def slots(program: Program) -> dict[str, slice]:
    """Return the place of each decision in a vector."""
    places, start = {}, 0
    for name, decision in program.decisions.items():
        places[name] = slice(start, start + decision.width)
        start += decision.width
    return places


def encode_vector(program: Program, places: Mapping[str, slice], values: Mapping[str, Value]) -> NDArray[np.float64]:
    """Return decisions as a vector in [0, 1]: one-hot for choices, rank or unit scale for what is ordered.

    Decisions that are not active are zeros.
    """
    vector = np.zeros(sum(decision.width for decision in program.decisions.values()))
    for name, value in values.items():
        vector[places[name]] = program.decisions[name].encode(value)
    return vector


def decode_vector(program: Program, places: Mapping[str, slice], vector: Any) -> dict[str, Value]:
    """Return the decisions nearest to a vector; slots of inactive decisions are not looked at."""
    return program.decide(lambda name, decision: decision.decode(vector[places[name]]))


def cells(parts: Mapping[str, Any]) -> dict[str, Graph]:
    """Return the cells of an expression, each object once, by name (or "cell", "cell_2", ... where they have none)."""
    found: dict[str, Graph] = {}
    visited: set[int] = set()
    stack: list[Any] = [dict(parts)]
    while stack:
        item = stack.pop()
        if id(item) in visited:
            continue
        visited.add(id(item))
        if isinstance(item, Graph) and item.nodes:
            count = sum(name.partition("_")[0] == "cell" for name in found)
            found[item.name or ("cell" if not count else f"cell_{count + 1}")] = item
        if not isinstance(item, Recursive):  # cells of rules have no names
            stack += reversed(below(item))
    return found


def encode_cells(program: Program, found: Mapping[str, Graph], values: Mapping[str, Value]) -> dict[str, CellEncoding]:
    """Return the matrices of the cells whose decisions are active."""
    encoded = {}
    for name, graph in found.items():
        try:
            encoded[name] = _encode_cell(program, graph, values)
        except KeyError:  # a decision of this cell is not active: the cell is not part of the architecture
            continue
    return encoded


def encode_paths(encoded: Mapping[str, CellEncoding]) -> dict[str, tuple[tuple[str, ...], ...]]:
    """Return, for each cell, the distinct sequences of operations on the ways from an input to an output.

    This is the path encoding of BANANAS (White et al. 2021), for operations on edges or on nodes.
    """
    return {name: _paths(cell) for name, cell in encoded.items()}


def _encode_cell(program: Program, graph: Graph, values: Mapping[str, Value]) -> CellEncoding:
    n = len(graph.nodes)
    if n > _NODES:
        raise SpaceError(f"a cell of {n:,} nodes cannot be encoded; {_NODES:,} are allowed. Use 'vector'")
    computed = live(program, values, graph)
    adjacency = np.zeros((n, n), dtype=np.int8)
    labels = np.full((n, n), "", dtype=object)
    for (i, j), edge in graph.edges.items():
        if edge in computed:
            adjacency[i, j] = 1
            labels[i, j] = _operation(program, edge.module, values)
    nodes = tuple(_operation(program, node.module, values) if node in computed else "" for node in graph.nodes)
    inputs = len(graph.inputs)
    outputs = (n - 1,) if graph.output is graph.nodes[-1] else tuple(range(inputs, n))
    return CellEncoding(adjacency, labels.astype(np.str_), nodes, inputs, outputs)


def _operation(program: Program, module: Any, values: Mapping[str, Value]) -> str:
    operation = body_of(module)
    return str(values[program.names[operation]]) if isinstance(operation, Choice) else repr(operation)


def _paths(cell: CellEncoding) -> tuple[tuple[str, ...], ...]:
    n = len(cell.nodes)
    to: list[set[tuple[str, ...]]] = [{()} if node < cell.inputs else set() for node in range(n)]
    for j in range(cell.inputs, n):
        for i in range(j):
            if cell.adjacency[i, j]:
                step = tuple(label for label in (str(cell.edges[i, j]), cell.nodes[j]) if label)
                to[j] |= {path + step for path in to[i]}
        if len(to[j]) > _PATHS:
            raise SpaceError(f"more than {_PATHS:,} paths lead through a cell: encode it as 'cells' or 'vector'")
    return tuple(sorted(set().union(*(to[node] for node in cell.outputs))))
