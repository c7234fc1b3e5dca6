"""The Weisfeiler-Lehman histogram of an architecture's cells."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from hashlib import blake2b

from archwright.space import CellEncoding


def as_graph(cell: CellEncoding) -> tuple[list[str], list[list[int]]]:
    """Return a cell as a graph whose nodes are its operations, inputs and outputs, with the predecessors of each.

    An operation on an edge becomes a node between its two ends. Nodes that no input reaches are dropped.

    Example:
        >>> space = aw.Space(model=aw.cell(lambda source, node: aw.choice(nn.ReLU(), nn.Tanh()), nodes=1))
        >>> (cell,) = space.encode(next(space.enumerate()), "cells").values()
        >>> aw.surrogates.as_graph(cell)
        (['input', 'ReLU()', 'output'], [[], [0], [1]])
    """
    labels: list[str] = []
    before: list[list[int]] = []
    place: dict[int, int] = {}  # of the cell's nodes, among those of the graph
    for j in range(len(cell.nodes)):
        into = []
        for i in range(j):
            if cell.adjacency[i, j] and i in place:
                if edge := str(cell.edges[i, j]):
                    labels.append(edge)
                    before.append([place[i]])
                    into.append(len(labels) - 1)
                else:
                    into.append(place[i])
        if j >= cell.inputs and not into:
            continue
        kind = "input" if j < cell.inputs else "output" if j in cell.outputs else "sum"
        labels.append(cell.nodes[j] or kind)
        before.append(into)
        place[j] = len(labels) - 1
    return labels, before


def wl_histogram(labels: Sequence[str], before: Sequence[Sequence[int]], depth: int) -> Counter[str]:
    """Return the histogram of the labels in rounds 0 to `depth` of Weisfeiler-Lehman relabelling.

    In each round the label of a node becomes the pair of its label and the sorted labels of its predecessors. The inner
    product of two histograms is the subtree kernel of Shervashidze et al., "Weisfeiler-Lehman graph kernels", JMLR
    2011.

    Args:
        labels: (nodes,) the label of each node.
        before: For each node its predecessors.
        depth: The number of rounds.

    Example:
        >>> aw.surrogates.wl_histogram(["input", "ReLU", "ReLU", "sum"], [[], [0], [0], [1, 2]], depth=1)["0 ReLU"]
        2
    """
    current = list(labels)
    found = Counter(f"0 {label}" for label in current)
    for number in range(1, depth + 1):
        current = [
            # Quoted, for a label may hold any character.
            blake2b(repr((own, sorted(current[i] for i in into))).encode(), digest_size=8).hexdigest()
            for own, into in zip(current, before, strict=True)
        ]
        found.update(f"{number} {label}" for label in current)
    return found


def cells_histogram(cells: Mapping[str, CellEncoding], depth: int) -> Counter[str]:
    """Return the histograms of all cells in one, each label with the name of its cell."""
    found: Counter[str] = Counter()
    for name, cell in cells.items():
        for label, count in wl_histogram(*as_graph(cell), depth).items():
            found[f"{name} {label}"] += count
    return found
