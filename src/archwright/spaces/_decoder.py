"""Layers of language models, (n, length, width). Their text is copied into written source."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn


def turned(x: torch.Tensor) -> torch.Tensor:
    """Return (n, heads, length, size) with pairs of features turned by angles that grow with the position.

    Su et al., "RoFormer: Enhanced transformer with rotary position embedding", 2021.
    """
    half = x.shape[-1] // 2
    rates = 10_000.0 ** (-torch.arange(half, device=x.device) / half)
    angles = torch.arange(x.shape[-2], device=x.device)[:, None] * rates
    cosine, sine = angles.cos().to(x.dtype), angles.sin().to(x.dtype)
    first, second = x[..., :half], x[..., half : 2 * half]
    parts = [first * cosine - second * sine, first * sine + second * cosine]
    return torch.cat([*parts, x[..., 2 * half :]], -1)


class CausalAttention(nn.Module):
    """Attention of each row to itself and to those before it.

    Args:
        width: Features of a row.
        heads: How many attentions there are side by side; they divide the width.
        shared: How many of them share their keys and values; it divides the heads
            (Ainslie et al., "GQA", 2023).
        positions: "rotary" to tell positions by turning queries and keys.
    """

    def __init__(self, width: int, heads: int, shared: int, positions: str) -> None:
        super().__init__()
        self.heads, self.groups = heads, max(1, heads // shared)
        self.rotary = positions == "rotary"
        size = width // heads
        self.query = nn.Linear(width, width)
        self.key = nn.Linear(width, size * self.groups)
        self.value = nn.Linear(width, size * self.groups)
        self.given = nn.Linear(width, width)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return (n, length, width)."""
        query = self.query(x).unflatten(2, (self.heads, -1)).transpose(1, 2)
        key = self.key(x).unflatten(2, (self.groups, -1)).transpose(1, 2)
        value = self.value(x).unflatten(2, (self.groups, -1)).transpose(1, 2)
        if self.rotary:
            query, key = turned(query), turned(key)
        times = self.heads // self.groups
        key = key.repeat_interleave(times, 1)
        value = value.repeat_interleave(times, 1)
        y = F.scaled_dot_product_attention(query, key, value, is_causal=True)
        given: torch.Tensor = self.given(y.transpose(1, 2).flatten(2))
        return given


class Places(nn.Module):
    """Adds a learned vector of its position to each row, if positions are "learned".

    Args:
        length: Rows of a sequence, at most.
        width: Features of a row.
        positions: "learned", or another word for none.
    """

    def __init__(self, length: int, width: int, positions: str) -> None:
        super().__init__()
        self.weight = None
        if positions == "learned":
            self.weight = nn.Parameter(torch.empty(length, width))
            nn.init.normal_(self.weight, std=0.02)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return (n, length, width)."""
        return x if self.weight is None else x + self.weight[: x.shape[1]]


class Recurrence(nn.Module):
    """A recurrent cell, run over the rows of a sequence.

    Args:
        cell: From a row and two states, each (n, width), to the new states; the first
            goes out.
    """

    def __init__(self, cell: nn.Module) -> None:
        super().__init__()
        self.cell = cell

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return (n, length, width)."""
        rows = x.transpose(0, 1).contiguous().unbind()
        state = memory = torch.zeros_like(rows[0])
        outputs = []
        for row in rows:
            state, memory = self.cell(row, state, memory)
            outputs.append(state)
        return torch.stack(outputs, 1)


class TiedModel(nn.Module):
    """Vectors of tokens, a body, and scores of tokens by the same vectors.

    Press and Wolf, "Using the output embedding to improve language models", 2017.

    Args:
        body: (n, length, width) to (n, length, width).
        vocabulary: How many tokens there are.
        width: Features of a token.
    """

    def __init__(self, body: nn.Module, vocabulary: int, width: int) -> None:
        super().__init__()
        self.embedding = nn.Embedding(vocabulary, width)
        nn.init.normal_(self.embedding.weight, std=0.02)
        self.body = body
        self.bias = nn.Parameter(torch.zeros(vocabulary))

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        """Return (n, length, vocabulary) scores of the next token, for tokens (n, length)."""
        y = self.body(self.embedding(tokens))
        return F.linear(y, self.embedding.weight, self.bias)
