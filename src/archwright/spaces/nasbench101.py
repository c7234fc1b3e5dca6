"""The cell space of NAS-Bench-101 (Ying et al. 2019), with conversion from and to official matrices."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from archwright import nn
from archwright.errors import ArchitectureError, SpaceError
from archwright.space import Architecture, Space, cell, choice, lazy, template
from archwright.spaces._registry import checked_input, register

__all__ = ["MOST_EDGES", "OPERATIONS", "canonical", "from_matrix", "is_cell", "nasbench101", "to_matrix"]

OPERATIONS = ("conv3x3-bn-relu", "conv1x1-bn-relu", "maxpool3x3")
"""The operations by their official names."""

MOST_EDGES = 9
"""How many edges a cell has at most."""

_OUTPUT = 6
_INNER = range(1, _OUTPUT)
_SOURCES = [[f"cell.edge_{source}_{vertex}" for source in range(vertex)] for vertex in range(1, _OUTPUT + 1)]
_LABELS = [f"cell.op_{vertex}" for vertex in _INNER]


@register("nasbench101", ranks=(3,))
def nasbench101(
    *,
    input_shape: Sequence[int] = (3, 32, 32),
    classes: int = 10,
    C: int = 128,  # noqa: N803 - the widths and counts are called so in other cell spaces
    N: int = 3,  # noqa: N803
) -> Space:
    """The cells of NAS-Bench-101: up to seven vertices and nine edges, three operations on the vertices.

    Three stacks of N equal cells; max pooling before the second and the third halves the image, and their width
    doubles. With the defaults the networks have exactly the published numbers of parameters.

    The decisions are 21 edges among seven vertices, and the operations of the five between input (vertex 0) and output
    (vertex 6). Vertices that are not connected to the output are not part of the network, so a cell can have fewer than
    seven vertices. Many architectures are therefore the same cell (`canonical` returns one of them), and a mutation may
    not change the network. The constraint `is_cell` requires that all vertices connected to the output are reachable
    from the input, with at most nine edges. Cells that differ in the order of their vertices are equal in the
    benchmark, though the widths, and so the number of parameters, may differ a little.

    Ying et al., "NAS-Bench-101: Towards Reproducible Neural Architecture Search", ICML 2019.

    Args:
        input_shape: (channels, height, width).
        classes: The number of classes.
        C: Channels of the stem and the first stack, 5 or more.
        N: Cells of each stack.

    Raises:
        SpaceError: An option is not allowed.

    Example:
        >>> space = aw.spaces.create("nasbench101")
        >>> len(space.decisions), space.bound == 2**21 * 3**5
        (26, True)
    """
    shape = checked_input("nasbench101", input_shape, classes)
    if C < 5 or N < 1:
        raise SpaceError(f"space 'nasbench101': C is 5 or more and N is 1 or more; C={C}, N={N} was given")
    edges = [
        [choice({"none": None, "edge": source}, name=name) for source, name in enumerate(names)] for names in _SOURCES
    ]
    operations = [choice(*OPERATIONS, name=name) for name in _LABELS]
    picture = cell(
        lambda source, vertex: edges[vertex - 1][source],
        nodes=_OUTPUT,
        node=lambda vertex: operations[vertex - 1] if vertex < _OUTPUT else nn.Identity(),
        name="cell",
    )
    # The picture is for encoders, which look for cells in the expression. It fills a blank that nothing uses, and so is
    # no part of the network: the widths inside a cell follow from all of its edges together, and no graph says that.
    stack = template(
        lambda inputs, outputs, picture: lazy("archwright.spaces._dag_cell:dag_cell")(
            inputs, outputs, sources=edges, operations=operations
        )
    )
    stem = lazy("archwright.spaces._dag_cell:conv_norm_relu")(shape[0], C, 3)
    layers: list[Any] = [stem, *[stack(C, C, picture)] * N]
    for width in (2 * C, 4 * C):
        layers += [nn.MaxPool2d(2, ceil_mode=True), stack(width // 2, width, picture)]
        layers += [stack(width, width, picture)] * (N - 1)
    head = [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4 * C, classes)]
    return Space(model=nn.Sequential(*layers, *head), where=is_cell, example_input=shape, name="nasbench101")


# Like all of a constraint, its docstring is part of the space's fingerprint, which studies on record have.
def is_cell(architecture: Mapping[str, Any]) -> bool:
    """Tell whether the vertices that lead to the output all come from the input, by at most nine edges."""
    takes = _takes(architecture)
    needed, reached = 1 << _OUTPUT, 1
    for vertex in range(_OUTPUT, 0, -1):
        if needed >> vertex & 1:
            needed |= takes[vertex - 1]
    for vertex in range(1, _OUTPUT + 1):
        if takes[vertex - 1] & reached:
            reached |= 1 << vertex
    edges = sum(takes[vertex - 1].bit_count() for vertex in range(1, _OUTPUT + 1) if needed >> vertex & 1)
    return needed & 1 == 1 and not needed & ~reached and edges <= MOST_EDGES


def to_matrix(architecture: Mapping[str, Any]) -> tuple[list[list[int]], list[str]]:
    """Return the official form of an architecture, without vertices that are not connected.

    Returns:
        The adjacency matrix, from row to column, and the operation on each vertex, from "input" to "output".

    Raises:
        ArchitectureError: The architecture does not belong to this space.

    Example:
        >>> matrix, operations = [[0, 1, 0], [0, 0, 1], [0, 0, 0]], ["input", "conv3x3-bn-relu", "output"]
        >>> aw.spaces.nasbench101.to_matrix(aw.spaces.nasbench101.from_matrix(matrix, operations))
        ([[0, 1, 0], [0, 0, 1], [0, 0, 0]], ['input', 'conv3x3-bn-relu', 'output'])
    """
    try:
        takes, labels = _takes(architecture), [str(architecture[name]) for name in _LABELS]
    except KeyError as error:
        raise ArchitectureError(f"{architecture!r} is not of the space 'nasbench101': it lacks {error}") from None
    needed = {_OUTPUT}
    for vertex in range(_OUTPUT, 0, -1):
        if vertex in needed:
            needed.update(source for source in range(vertex) if takes[vertex - 1] >> source & 1)
    kept = sorted(needed | {0})
    matrix = [[int(row < column and takes[column - 1] >> row & 1) for column in kept] for row in kept]
    return matrix, ["input", *(labels[vertex - 1] for vertex in kept[1:-1]), "output"]


def from_matrix(matrix: ArrayLike, operations: Sequence[str]) -> Architecture:
    """Return the architecture of a cell in the official form.

    Vertices that are not connected to input and output are dropped. The others keep their order, from vertex 1;
    remaining vertices have no edges and the first operation.

    Args:
        matrix: (vertices, vertices) of 0 and 1, from row to column, strictly upper triangular; 2 to 7 vertices.
        operations: The operation on each vertex; the first is "input" and the last is "output".

    Raises:
        ArchitectureError: The cell does not belong to this space; the message gives the reason.

    Example:
        >>> matrix, operations = [[0, 1, 0], [0, 0, 1], [0, 0, 0]], ["input", "maxpool3x3", "output"]
        >>> aw.spaces.nasbench101.is_cell(aw.spaces.nasbench101.from_matrix(matrix, operations))
        True
    """
    given = np.asarray(matrix)
    n = len(operations)
    if given.shape != (n, n) or not 2 <= n <= _OUTPUT + 1:
        raise ArchitectureError(
            f"a cell has a square matrix for 2 to 7 vertices, and as many operations; shape {given.shape} and {n} "
            f"operations were given"
        )
    if not np.isin(given, (0, 1)).all() or np.tril(given).any():
        raise ArchitectureError("the matrix of a cell holds 0 and 1, and edges only from a vertex to a later one")
    unknown = [name for name in operations[1:-1] if name not in OPERATIONS]
    if (operations[0], operations[-1]) != ("input", "output") or unknown:
        raise ArchitectureError(
            f"the operations of a cell are 'input', any of {', '.join(OPERATIONS)}, and 'output'; "
            f"{list(operations)} was given"
        )
    reached, needed = {0}, {n - 1}
    for vertex in range(1, n):
        if any(given[source, vertex] for source in reached):
            reached.add(vertex)
    for vertex in range(n - 2, -1, -1):
        if any(given[vertex, later] for later in needed):
            needed.add(vertex)
    kept = sorted(reached & needed)
    if n - 1 not in kept or 0 not in kept:
        raise ArchitectureError("nothing leads from the input of the cell to its output")
    places = {vertex: place for place, vertex in enumerate(kept[:-1])} | {kept[-1]: _OUTPUT}
    decisions = {name: "none" for names in _SOURCES for name in names} | dict.fromkeys(_LABELS, OPERATIONS[0])
    edges = [(places[i], places[j]) for i, j in itertools.combinations(kept, 2) if given[i, j]]
    if len(edges) > MOST_EDGES:
        raise ArchitectureError(f"a cell has at most {MOST_EDGES} edges; {len(edges)} were given")
    decisions |= {f"cell.edge_{source}_{vertex}": "edge" for source, vertex in edges}
    decisions |= {f"cell.op_{places[vertex]}": operations[vertex] for vertex in kept[1:-1]}
    return Architecture(decisions)


def canonical(architecture: Mapping[str, Any]) -> Architecture:
    """Return the canonical one of the architectures with the same cell.

    Raises:
        ArchitectureError: The architecture does not belong to this space.
    """
    matrix, operations = to_matrix(architecture)
    n = len(operations)
    orders = (
        [0, *order, n - 1]
        for order in itertools.permutations(range(1, n - 1))
        if not any(matrix[late][early] for early, late in itertools.combinations(order, 2))
    )
    forms = [
        ([[matrix[i][j] for j in order] for i in order], [operations[vertex] for vertex in order]) for order in orders
    ]
    return from_matrix(*max(forms))


def _takes(architecture: Mapping[str, Any]) -> list[int]:
    """Return for each vertex after the input where it takes from, as bits."""
    return [sum(1 << source for source, name in enumerate(names) if architecture[name] != "none") for names in _SOURCES]
