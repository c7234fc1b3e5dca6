"""Encodings of numbers and layers on columns of tables. The text of these classes is copied into written source."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import nn


class Numbers(nn.Module):
    """The columns of numbers of a table: (n, features) becomes (n, numbers).

    Args:
        columns: For each column 0 if it is a number, and else its number of categories,
            each of which is a 0/1 feature.
    """

    places: torch.Tensor

    def __init__(self, columns: list[int]) -> None:
        super().__init__()
        sizes = [max(1, size) for size in columns]
        places = [sum(sizes[:index]) for index, size in enumerate(columns) if not size]
        self.register_buffer("places", torch.tensor(places))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return the numbers."""
        return x[:, self.places]


class Periodic(nn.Module):
    """Cosines and sines of numbers: (n, columns) becomes (n, columns, 2 frequencies).

    Args:
        columns: The number of columns.
        frequencies: The number of learned frequencies of a column.
        sigma: Their standard deviation at the start.
    """

    def __init__(self, columns: int, frequencies: int, sigma: float) -> None:
        super().__init__()
        self.frequencies = nn.Parameter(sigma * torch.randn(columns, frequencies))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return the cosines and then the sines of each number."""
        angles = 2 * math.pi * self.frequencies * x.unsqueeze(-1)
        return torch.cat([angles.cos(), angles.sin()], -1)


class Piecewise(nn.Module):
    """How much of each bin lies below a number: (n, columns) becomes (n, columns, bins).

    A bin is 0 for numbers below it, 1 for those above it, and linear in between.

    Args:
        edges: For each column the edges of many bins, ascending.
        bins: The number of bins to make of them; a divisor of theirs.
    """

    low: torch.Tensor
    width: torch.Tensor

    def __init__(self, edges: list[list[float]], bins: int) -> None:
        super().__init__()
        step = (len(edges[0]) - 1) // bins
        kept = torch.tensor([row[::step] for row in edges])
        self.register_buffer("low", kept[:, :-1].clone())
        width = (kept[:, 1:] - kept[:, :-1]).clamp(min=1e-3)
        self.register_buffer("width", width)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return the share of each bin that lies below each number."""
        return ((x.unsqueeze(-1) - self.low) / self.width).clamp(0, 1)


class ColumnLinear(nn.Module):
    """A linear layer for each column: (n, columns, inputs) becomes (n, columns, outputs).

    Args:
        columns: The number of columns.
        inputs: Features of a column that come in.
        outputs: Features of a column that go out.
    """

    def __init__(self, columns: int, inputs: int, outputs: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(columns, inputs, outputs))
        self.bias = nn.Parameter(torch.empty(columns, outputs))
        for parameter in (self.weight, self.bias):
            nn.init.uniform_(parameter, -(outputs**-0.5), outputs**-0.5)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return the features of the columns."""
        return torch.einsum("nci,cio->nco", x, self.weight) + self.bias


class CategoryEmbedding(nn.Module):
    """A vector for each column of categories: (n, features) becomes (n, columns, width).

    Args:
        columns: As in `Numbers`.
        width: The length of a vector.
    """

    def __init__(self, columns: list[int], width: int) -> None:
        super().__init__()
        self.sizes = [max(1, size) for size in columns]
        self.kept = [bool(size) for size in columns]
        layers = [nn.Linear(size, width) for size in columns if size]
        for layer in layers:
            nn.init.uniform_(layer.weight, -(width**-0.5), width**-0.5)
        self.layers = nn.ModuleList(layers)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return the vectors of the columns."""
        parts = zip(torch.split(x, self.sizes, 1), self.kept, strict=True)
        marks = [part for part, kept in parts if kept]
        pairs = zip(self.layers, marks, strict=True)
        return torch.stack([layer(part) for layer, part in pairs], 1)


class SummaryToken(nn.Module):
    """Puts a learned vector before those of the columns: (n, columns, width) becomes (n, 1 + columns, width).

    Args:
        width: The length of a vector.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.vector = nn.Parameter(torch.empty(width))
        nn.init.uniform_(self.vector, -(width**-0.5), width**-0.5)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return the vectors."""
        first = torch.zeros_like(x[:, :1]) + self.vector
        return torch.cat([first, x], 1)


class ColumnAttention(nn.Module):
    """Attention of the columns of a table to each other.

    Args:
        width: The length of a vector.
        heads: Into how many parts it is divided.
        dropout: The dropout of the weights.
    """

    def __init__(self, width: int, heads: int, dropout: float) -> None:
        super().__init__()
        self.heads, self.dropout = heads, dropout
        self.taken = nn.Linear(width, 3 * width)
        self.given = nn.Linear(width, width)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return vectors (n, columns, width) for such vectors."""
        parts = self.taken(x).unflatten(2, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)
        query, key, value = parts.unbind(0)  # (n, heads, columns, width / heads)
        dropout = self.dropout if self.training else 0.0
        seen = F.scaled_dot_product_attention(query, key, value, dropout_p=dropout)
        given: torch.Tensor = self.given(seen.transpose(1, 2).flatten(2))
        return given
