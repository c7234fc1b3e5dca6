"""Graph neural predictors."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from archwright._checks import check_counts, check_positive
from archwright.errors import StrategyError
from archwright.space import Architecture, Decision, Space, choice_of
from archwright.surrogates._base import FittedMembers, Predictor, standardise
from archwright.surrogates._rows import encode_rows, remembered
from archwright.surrogates._wl import as_graph

if TYPE_CHECKING:
    import torch

Array: TypeAlias = NDArray[np.float64]
_Graph: TypeAlias = tuple[list[str], NDArray[np.intp]]  # labels of the nodes, and (2, edges) from and to

_BATCH = 64  # architectures of a step of the optimizer, where there are more


@dataclass(frozen=True)
class GraphNetwork(Predictor):
    """An ensemble of graph convolutional networks over the cells of an architecture.

    Wen, Liu, Chen, Li, Bender and Kindermans, "Neural predictor for neural architecture search", ECCV 2020. The nodes
    are the operations, inputs and outputs of all cells; messages pass along the edges in both directions. Isomorphic
    cells give the same graph. Decisions outside cells are concatenated to the graph's features. The prediction is the
    mean over the members, the deviation their standard deviation; all are trained at once on the mean absolute error.

    Args:
        members: Number of networks, at least 1.
        width: Features of a node, at least 1.
        depth: Number of graph convolutions, at least 1.
        steps: Number of optimizer steps, at least 1.
        rate: The first learning rate, above 0.

    Raises:
        StrategyError: A setting is out of range.

    Example:
        >>> cell = aw.cell(lambda source, node: aw.choice(nn.Identity(), nn.ReLU()), nodes=2)
        >>> space, rng = aw.Space(model=cell), np.random.default_rng(0)
        >>> fitted = aw.surrogates.GraphNetwork().fit(space, list(space.enumerate()), np.arange(8.0), rng)
        >>> int(fitted.predict(list(space.enumerate()))[0].argmax())
        7
    """

    members: int = 3
    width: int = 32
    depth: int = 2
    steps: int = 100
    rate: float = 0.02

    def __post_init__(self) -> None:
        check_counts(self, "members", "width", "depth", "steps")
        check_positive(self, "rate")

    def check(self, space: Space) -> None:
        """Check that a space has cells."""
        if not space.cells:
            raise StrategyError(
                "a graph network sees cells (aw.cell), and this space has none; use 'mlp', 'boosted-trees' or "
                "'gaussian-process'"
            )

    def fit(
        self, space: Space, architectures: Sequence[Architecture], scores: Array, rng: np.random.Generator
    ) -> FittedMembers:
        """Learn from measured architectures.

        Raises:
            StrategyError: The space has no cell.
        """
        import torch

        from archwright.surrogates import _members

        self.check(space)
        standard, centre, spread = standardise(scores)
        known = sorted({label for labels, _ in _graphs(space, architectures) for label in labels})
        numbers = {label: number for number, label in enumerate(known, start=1)}  # 0: in no measured architecture
        inputs = _pack(space, architectures, numbers)
        seeds = rng.integers(2**31, size=self.members + 1).tolist()
        model = _members.GraphNetworks(
            seeds[1:], len(numbers) + 1, inputs[2].shape[1], width=self.width, depth=self.depth
        )
        wanted = torch.from_numpy(standard).float()
        _members.train(model, inputs, wanted, steps=self.steps, rate=self.rate, batch=_BATCH, seed=seeds[0])

        def values(architectures: Sequence[Architecture]) -> Array:
            return _members.predict(model, _pack(space, architectures, numbers))

        return FittedMembers(values, centre, spread)


def _graphs(space: Space, architectures: Sequence[Architecture]) -> list[_Graph]:
    """Return the cells of each architecture as one graph."""
    return remembered(space, "graph", architectures, lambda new: [_graph(space, one) for one in new])


def _graph(space: Space, architecture: Architecture) -> _Graph:
    labels: list[str] = []
    edges: list[tuple[int, int]] = []
    for name, cell in space.encode(architecture, "cells").items():
        start = len(labels)
        kinds, before = as_graph(cell)
        labels += [f"{name} {kind}" for kind in kinds]
        edges += [(start + i, start + j) for j, into in enumerate(before) for i in into]
    return labels, np.array(edges, dtype=np.intp).reshape(-1, 2).T


def _pack(
    space: Space, architectures: Sequence[Architecture], numbers: Mapping[str, int]
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Return what a graph network takes: labels, edges, and rows of the decisions that no cell shows."""
    import torch

    graphs = _graphs(space, architectures)
    nodes = max(1, *(len(labels) for labels, _ in graphs))
    kinds = np.full((len(graphs), nodes), -1)
    edges = np.zeros((len(graphs), nodes, nodes), dtype=np.float32)
    for index, (labels, ends) in enumerate(graphs):
        kinds[index, : len(labels)] = [numbers.get(label, 0) for label in labels]
        edges[index, ends[1], ends[0]] = 1
    rows = encode_rows(space, architectures, "vector")[:, _beside(space)]
    return torch.from_numpy(kinds), torch.from_numpy(edges), torch.from_numpy(rows)


def _beside(space: Space) -> NDArray[np.bool_]:
    """Tell which numbers of a vector belong to decisions that the cells do not show."""
    shown = {decision for graph in space.cells.values() for part in graph.labels for decision in _shown(part)}
    decisions = space.decisions.values()
    return np.repeat([decision not in shown for decision in decisions], [decision.width for decision in decisions])


def _shown(part: Any) -> Iterator[Decision]:
    """Iterate over the decisions that give a part of a cell its label, or say what leads to it."""
    operation = choice_of(part)
    if operation is not None:
        yield operation
    yield from (value for value in getattr(part, "operands", ()) if isinstance(value, Decision))
