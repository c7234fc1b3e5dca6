"""Layers of decoders that attend to another sequence. Their text is copied into written source.

Sequences are (n, length, width), and rows of padding are zero: see `_sequence`.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn


class Vectors(nn.Module):
    """Vectors of all tokens, for those that come in and for the scores of those that go out.

    Press and Wolf, "Using the output embedding to improve language models", 2017.

    Args:
        vocabulary: How many tokens there are, padding included.
        width: Features of a token.
    """

    def __init__(self, vocabulary: int, width: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(vocabulary, width))
        nn.init.normal_(self.weight, std=0.1)

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        """Return (vocabulary, width), whatever the tokens are."""
        return self.weight


class CrossAttention(nn.Module):
    """Attention of the rows of a sequence to those of another (Vaswani et al. 2017).

    Args:
        width: Features of a row.
        memory: Features of a row of the other sequence.
        heads: How many attentions there are side by side; they divide the width.
        parts: How many thirds of the other sequence are attended to, from its
            beginning: the outputs of the last layers of an encoder stand there.
    """

    def __init__(self, width: int, memory: int, heads: int, parts: int = 3) -> None:
        super().__init__()
        self.heads, self.parts = heads, parts
        self.query = nn.Linear(width, width)
        self.memory = nn.Linear(memory, 2 * width)
        self.given = nn.Linear(width, width)

    def forward(self, x: torch.Tensor, memory: torch.Tensor) -> torch.Tensor:
        """Return (n, length, width) for x and the rows of memory that are no padding."""
        memory = memory[:, : memory.shape[1] * self.parts // 3]
        query = self.query(x).unflatten(2, (self.heads, -1)).transpose(1, 2)
        parts = self.memory(memory).unflatten(2, (2, self.heads, -1))
        key, value = parts.permute(2, 0, 3, 1, 4).unbind(0)
        padding = memory.eq(0).all(-1)
        # Not minus infinity: a sequence may be all padding.
        bias = padding.to(query.dtype)[:, None, None] * -1e4
        y = F.scaled_dot_product_attention(query, key, value, attn_mask=bias)
        given: torch.Tensor = self.given(y.transpose(1, 2).flatten(2))
        return given


class AttendingGRU(nn.Module):
    """A GRU whose outputs are joined with what they attend to in another sequence.

    Luong, Pham and Manning, "Effective approaches to attention-based neural machine
    translation", EMNLP 2015. The state begins as the mean of the other sequence,
    and what is joined is normalised, which scores by small vectors need.

    Args:
        width: Features of a row of both.
        layers: How many layers the GRU has.
    """

    def __init__(self, width: int, layers: int) -> None:
        super().__init__()
        self.layers = layers
        self.recurrent = nn.GRU(width, width, num_layers=layers, batch_first=True)
        self.attention = CrossAttention(width, width, 1)
        self.joined = nn.Linear(2 * width, width)
        self.norm = nn.LayerNorm(width)

    def forward(self, x: torch.Tensor, memory: torch.Tensor) -> torch.Tensor:
        """Return (n, length, width)."""
        rows = memory.ne(0).any(-1, keepdim=True).sum(1).clamp(min=1)
        state = (memory.sum(1) / rows).expand(self.layers, -1, -1).contiguous()
        y: torch.Tensor = self.recurrent(x, state)[0]
        both = torch.cat([y, self.attention(y, memory)], 2)
        found: torch.Tensor = self.norm(torch.tanh(self.joined(both)))
        return found
