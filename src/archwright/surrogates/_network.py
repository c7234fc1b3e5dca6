"""Features of networks: graphs of their cells, and costs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from archwright.cost import measures
from archwright.errors import CostError
from archwright.space import Architecture, CellEncoding, Choice, Decision, Filled, Graph, Space, Value
from archwright.surrogates._ridge import Ridge

_REMEMBERED = 100_000  # architectures of a space whose features are kept: searches ask for the same ones again


def _counted(space: Space, architecture: Architecture) -> tuple[int, int] | None:
    """Return the measures of a network, or `None` for one that cannot be counted: a trial of it will say why."""
    try:
        return measures(space, architecture)
    except CostError:
        return None


def cell_features(space: Space, architectures: Sequence[Architecture]) -> NDArray[np.float64]:
    """Return features of the cells' graphs that do not depend on the numbering of their nodes.

    For each cell: the number of operations of each kind; the number of paths from input to output; the number of
    operations with weights on the longest and on the shortest path, and of the largest kind on the longest; the number
    of paths without such operations, and of those of a single kind (all skips, for instance). An operation has weights
    if it adds parameters to a network.

    Returns:
        (n, features) numbers; (n, 0) without cells.

    Example:
        >>> cell = aw.cell(lambda source, node: aw.choice(nn.Identity(), nn.Linear(2, 2)), nodes=1)
        >>> space = aw.Space(model=cell, example_input=(2,))
        >>> aw.surrogates.cell_features(space, list(space.enumerate())).tolist()
        [[1.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0, 1.0], [0.0, 1.0, 1.0, 1.0, 1.0, 1.0, 0.0, 0.0]]
    """
    if not space.cells:
        return np.zeros((len(architectures), 0))
    known: dict[Architecture, NDArray[np.float64]] = space.memo.setdefault("features of cells", {})
    if len(known) > _REMEMBERED:
        known.clear()
    weights = _label_weights(space)
    for architecture in architectures:
        if architecture not in known:
            cells = space.encode(architecture, "cells")
            found = [feature for name in space.cells for feature in _features(cells.get(name), weights[name])]
            known[architecture] = np.array(found)
    width = sum(len(_features(None, weights[name])) for name in space.cells)
    return np.array([known[architecture] for architecture in architectures]).reshape(len(architectures), width)


class CostModel:
    """Prediction of the parameters and FLOPs of all architectures of a space from those of a few.

    The few are counted on the meta device; the rest are predicted by kernel ridge regression of the costs or their
    logarithms, on the decisions, features of the cells, or both. If costs are additive, as in a cell space, the
    prediction is exact.

    Architectures whose network cannot be counted are ignored.

    Args:
        space: A space of networks, with an example input.
        counted: Number of counted architectures.

    Example:
        >>> space = aw.Space(model=nn.Sequential(nn.LazyLinear(aw.integer(1, 8, name="n"))), example_input=(3,))
        >>> aw.surrogates.CostModel(space).predict([aw.Architecture({"n": 2})]).round()  # parameters, FLOPs
        array([[ 8., 12.]])
    """

    def __init__(self, space: Space, *, counted: int = 48) -> None:
        rng = np.random.default_rng(0)
        found = {a: _counted(space, a) for a in dict.fromkeys(space.sample(rng) for _ in range(counted))}
        known = {architecture: count for architecture, count in found.items() if count is not None}
        costs = np.array(list(known.values()), dtype=np.float64).reshape(-1, 2)
        self._ridge = Ridge(partial(views, space), list(known), costs, costs=True, penalties=(1e-8,))

    def predict(self, architectures: Sequence[Architecture]) -> NDArray[np.float64]:
        """Return (n, 2) parameters and FLOPs."""
        return self._ridge.predict(architectures)


def views(space: Space, architectures: Sequence[Architecture]) -> dict[str, NDArray[np.float64]]:
    """Return what numbers of a network may follow from: the decisions, what the cells compute, and both.

    Each has (n, features), with a constant; where the space has no cell there are the decisions alone.
    """
    one = np.ones((len(architectures), 1))
    width = sum(decision.width for decision in space.decisions.values())
    vectors = np.array([space.encode(architecture) for architecture in architectures])
    vectors = vectors.reshape(len(architectures), width)
    if not space.cells:
        return {"decisions": np.hstack([vectors, one])}
    cells = cell_features(space, architectures) / 4  # so that they weigh about as much as a decision
    return {
        "decisions": np.hstack([vectors, one]),
        "cells": np.hstack([cells, one]),
        "both": np.hstack([vectors, cells, one]),
    }


def _features(cell: CellEncoding | None, weights: Mapping[str, float]) -> list[float]:
    """Return the features of one cell; zeros where it is no part of the network."""
    labels = list(weights)
    light = [label for label in labels if not weights[label]]
    if cell is None:
        return [0.0] * (len(labels) + 5 + len(light))
    heaviest = max(labels, key=weights.__getitem__, default=None)
    count = dict.fromkeys(labels, 0)
    n = len(cell.nodes)
    start = [node < cell.inputs for node in range(n)]
    paths = np.array(start, dtype=float)  # ways from an input to each node
    unweighted = paths.copy()
    alone = {label: paths.copy() for label in light}
    longest = np.where(start, 0.0, -np.inf)  # in weighted operations
    heavy = longest.copy()
    shortest = np.where(start, 0.0, np.inf)
    for j in range(cell.inputs, n):
        if cell.nodes[j] in count:
            count[cell.nodes[j]] += 1
        for i in range(j):
            if not cell.adjacency[i, j]:
                continue
            edge = str(cell.edges[i, j])
            if edge in count:
                count[edge] += 1
            step = [label for label in (edge, cell.nodes[j]) if label]
            weighted = sum(weights.get(label, 0.0) > 0 for label in step)
            paths[j] += paths[i]
            unweighted[j] += 0 if weighted else unweighted[i]
            longest[j] = max(longest[j], longest[i] + weighted)
            heavy[j] = max(heavy[j], heavy[i] + step.count(str(heaviest)))
            shortest[j] = min(shortest[j], shortest[i] + weighted)
            for label in light:
                alone[label][j] += alone[label][i] * all(one == label for one in step)
    out = list(cell.outputs)
    leads = bool(paths[out].any())
    return [
        *map(float, count.values()),
        paths[out].sum(),
        longest[out].max() if leads else 0.0,
        shortest[out].min() if leads else 0.0,
        heavy[out].max() if leads else 0.0,
        unweighted[out].sum(),
        *(alone[label][out].sum() for label in light),
    ]


def _label_weights(space: Space) -> dict[str, dict[str, float]]:
    """Return, for each cell, the operations by label and the parameters that each of them brings.

    They are counted on networks in which every operation of the cell that can be the same is the same.
    """
    if "weights of labels" not in space.memo:
        names = {decision: name for name, decision in space.decisions.items()}
        base = space.sample(np.random.default_rng(0))
        space.memo["weights of labels"] = {
            cell: _weigh(space, base, [(names[choice], choice) for choice in _operations(graph)])
            for cell, graph in space.cells.items()
        }
    weights: dict[str, dict[str, float]] = space.memo["weights of labels"]
    return weights


def _operations(graph: Graph) -> list[Choice]:
    """Return the choices of an operation in a cell, each once."""
    modules = [part.module for part in (*graph.edges.values(), *graph.nodes) if hasattr(part, "module")]
    found = (module.body if isinstance(module, Filled) else module for module in modules)
    return list(dict.fromkeys(module for module in found if isinstance(module, Choice)))


def _weigh(space: Space, base: Architecture, operations: Sequence[tuple[str, Choice]]) -> dict[str, float]:
    """Return the parameters that each kind of operation brings, above those of the leanest one in its place."""
    names = {name for name, _ in operations}
    found: dict[Value, float] = {}
    for wanted in dict.fromkeys(label for _, choice in operations for label in choice.labels):

        def rule(name: str, decision: Decision, wanted: Value = wanted) -> Any:
            if name in names and isinstance(decision, Choice) and wanted in decision.labels:
                return wanted
            return base[name] if name in base else decision.decode([0.0] * decision.width)

        count = _counted(space, space.decide(rule))
        if count is not None:
            found[wanted] = float(count[0])
    weights: dict[str, float] = {}
    for _, choice in operations:
        counted = {label: found[label] for label in choice.labels if label in found}
        for label, option in zip(choice.labels, choice.options, strict=True):
            if option is not None and label in counted:
                weights.setdefault(str(label), counted[label] - min(counted.values()))
    return weights
