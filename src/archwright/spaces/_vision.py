"""Layers of image networks. Their text is copied into written source."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn


class LayerScale(nn.Module):
    """Weighs each feature of the last axis by a number that is learned.

    Touvron et al., "Going deeper with image transformers", ICCV 2021.

    Args:
        features: Features that come in and go out.
        initial: What the weights begin as.
    """

    def __init__(self, features: int, initial: float) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.full((features,), initial))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return the features, weighed."""
        return x * self.weight


class PatchTokens(nn.Module):
    """Makes a sequence of a map of patches, and adds learned vectors of positions.

    For a map of another size they are interpolated.

    Args:
        width: Features of a patch.
        rows: How many rows of patches there are.
        columns: How many columns.
        pooling: "token" to put a class token in front of them.
    """

    def __init__(self, width: int, rows: int, columns: int, pooling: str) -> None:
        super().__init__()
        self.grid = (rows, columns)
        self.token = None
        if pooling == "token":
            self.token = nn.Embedding(1, width)
            nn.init.normal_(self.token.weight, std=0.02)
        ahead = 0 if self.token is None else 1
        self.positions = nn.Embedding(ahead + rows * columns, width)
        # Not 0.02 as published: in short trainings, small patches would be told apart too late.
        nn.init.normal_(self.positions.weight, std=0.5)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return (n, tokens, width) of (n, width, rows, columns)."""
        positions, size = self.positions.weight, tuple(x.shape[2:])
        if size != self.grid:
            ahead = len(positions) - self.grid[0] * self.grid[1]
            known = positions[ahead:].T.reshape(1, -1, *self.grid)
            found = F.interpolate(known, size, mode="bilinear")[0].flatten(1).T
            positions = torch.cat([positions[:ahead], found])
        tokens = x.flatten(2).transpose(1, 2)
        if self.token is not None:
            first = self.token.weight.expand(tokens.shape[0], -1, -1)
            tokens = torch.cat([first, tokens], 1)
        return tokens + positions


class TokenAttention(nn.Module):
    """Attention of the rows of a sequence to each other (Vaswani et al. 2017).

    Args:
        width: Features of a row.
        heads: How many attentions there are side by side.
        size: Features of each head.
    """

    def __init__(self, width: int, heads: int, size: int) -> None:
        super().__init__()
        self.heads = heads
        self.query = nn.Linear(width, heads * size)
        self.key = nn.Linear(width, heads * size)
        self.value = nn.Linear(width, heads * size)
        self.given = nn.Linear(heads * size, width)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return (n, length, width)."""
        query = self.query(x).unflatten(2, (self.heads, -1)).transpose(1, 2)
        key = self.key(x).unflatten(2, (self.heads, -1)).transpose(1, 2)
        value = self.value(x).unflatten(2, (self.heads, -1)).transpose(1, 2)
        y = F.scaled_dot_product_attention(query, key, value)
        given: torch.Tensor = self.given(y.transpose(1, 2).flatten(2))
        return given


class Pooled(nn.Module):
    """One row of a sequence: its first, or the mean of all.

    Args:
        pooling: "token" for the first row.
    """

    def __init__(self, pooling: str) -> None:
        super().__init__()
        self.first = pooling == "token"

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return (n, width) of (n, length, width)."""
        return x[:, 0] if self.first else x.mean(1)
