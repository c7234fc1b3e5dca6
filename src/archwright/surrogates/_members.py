"""Ensembles of networks whose members are trained together: each layer is one batched product. Loads torch."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

_ROWS = 4096  # predicted at a time, which bounds the memory


class _Linear(nn.Module):
    """A linear layer for each member: (members, n, inputs) to (members, n, outputs)."""

    def __init__(self, generators: Sequence[torch.Generator], inputs: int, outputs: int) -> None:
        super().__init__()
        drawn = [torch.randn(inputs, outputs, generator=generator) for generator in generators]
        self.weight = nn.Parameter(torch.stack(drawn) * math.sqrt(2 / max(1, inputs)))  # He et al., ICCV 2015
        self.bias = nn.Parameter(torch.zeros(len(drawn), 1, outputs))

    def forward(self, values: Tensor) -> Tensor:
        return torch.baddbmm(self.bias, values, self.weight)


class Perceptrons(nn.Module):
    """Multilayer perceptrons: (n, inputs) rows to (members, n) predictions; each has a seed for its initial weights."""

    def __init__(self, seeds: Sequence[int], inputs: int, *, width: int, depth: int) -> None:
        super().__init__()
        generators = [torch.Generator().manual_seed(seed) for seed in seeds]
        sizes = [inputs] + [width] * depth
        self.hidden = nn.ModuleList(_Linear(generators, a, width) for a in sizes[:-1])
        self.last = _Linear(generators, width, 1)

    def forward(self, rows: Tensor) -> Tensor:
        values = rows.expand(len(self.last.weight), *rows.shape)
        for layer in self.hidden:
            values = torch.relu(layer(values))
        return self.last(values).squeeze(2)  # type: ignore[no-any-return]  # a module's call has no type


class GraphNetworks(nn.Module):
    """Graph convolutional networks that pass on values along the edges and against them.

    Wen et al., "Neural predictor for neural architecture search", ECCV 2020. A node's next value is made from its own,
    from the mean over those that lead to it, and from the mean over those that it leads to. The prediction follows from
    the mean over all nodes, and from a row of numbers for what is no part of the graph. Each member has a seed for its
    initial weights.
    """

    def __init__(self, seeds: Sequence[int], labels: int, inputs: int, *, width: int, depth: int) -> None:
        super().__init__()
        generators = [torch.Generator().manual_seed(seed) for seed in seeds]
        self.embed = nn.Parameter(torch.stack([torch.randn(labels, width, generator=one) for one in generators]))
        self.own = nn.ModuleList(_Linear(generators, width, width) for _ in range(depth))
        self.forth = nn.ModuleList(_Linear(generators, width, width) for _ in range(depth))
        self.back = nn.ModuleList(_Linear(generators, width, width) for _ in range(depth))
        self.head = _Linear(generators, width + inputs, width)
        self.last = _Linear(generators, width, 1)

    def forward(self, labels: Tensor, edges: Tensor, rows: Tensor) -> Tensor:
        """Return (members, n) predictions.

        Args:
            labels: (n, nodes) the label of each node, -1 where there is none.
            edges: (n, nodes, nodes) of 0 and 1: whether the node of the column leads to the node of the row.
            rows: (n, inputs) numbers.
        """
        members, (n, nodes), width = len(self.embed), labels.shape, self.embed.shape[2]
        there = (labels >= 0).to(rows.dtype)
        values = self.embed[:, labels.clamp(min=0).flatten()]  # (members, n * nodes, width)
        along, against = _mean(edges), _mean(edges.transpose(1, 2))
        for own, forth, back in zip(self.own, self.forth, self.back, strict=True):
            placed = values.view(members, n, nodes, width)
            before, after = (torch.matmul(part, placed).view(members, -1, width) for part in (along, against))
            values = torch.relu(own(values) + forth(before) + back(after))
        total = (values.view(members, n, nodes, width) * there[..., None]).sum(2)
        mean = total / there.sum(1).clamp(min=1)[:, None]
        seen = torch.cat([mean, rows.expand(members, *rows.shape)], dim=2)
        return self.last(torch.relu(self.head(seen))).squeeze(2)  # type: ignore[no-any-return]


def train(
    model: nn.Module, inputs: Sequence[Tensor], scores: Tensor, *, steps: int, rate: float, batch: int, seed: int
) -> None:
    """Train all members at once to make the absolute error small, by Adam with a cosine schedule.

    Each member is trained as it would be alone: the members share the batches and nothing else. Where there are more
    than `batch` architectures, each step draws its own, by the seed.
    """
    generator = torch.Generator().manual_seed(seed)
    with _one_thread():
        optimizer = torch.optim.Adam(model.parameters(), lr=rate, fused=True)
        schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
        some, wanted = tuple(inputs), scores
        for _ in range(steps):
            if len(scores) > batch:
                drawn = torch.randint(len(scores), (batch,), generator=generator)
                some, wanted = tuple(part[drawn] for part in inputs), scores[drawn]
            optimizer.zero_grad()
            (model(*some) - wanted).abs().mean(1).sum().backward()
            optimizer.step()
            schedule.step()


@torch.no_grad()
def predict(model: nn.Module, inputs: Sequence[Tensor]) -> NDArray[np.float64]:
    """Return (members, n) predictions."""
    with _one_thread():
        parts = [model(*some) for some in zip(*(torch.split(part, _ROWS) for part in inputs), strict=True)]
        return np.asarray(torch.cat(parts, dim=1).double().numpy())


def _mean(edges: Tensor) -> Tensor:
    """Return edges divided so that a product with values takes their mean; no edge gives zeros."""
    return edges / edges.sum(2, keepdim=True).clamp(min=1)


@contextmanager
def _one_thread() -> Iterator[None]:
    """Compute in one thread, and as before afterwards.

    The products are so small that threads would wait for each other, ten times as long on a busy machine; and a search
    must not depend on how many there are.
    """
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)
