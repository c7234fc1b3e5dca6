"""Layers for sequences, (n, length, width). Their text is copied into written source.

Sequences are padded at their end. Rows of padding are exactly zero, between all blocks:
`TokenEmbedding` begins so, and each layer here that takes a sequence keeps it so. What a
layer of torch makes of them (a bias, a normalisation) is undone by `Masked`. So the mask
is found in the sequence itself, and outputs do not depend on how much padding there is.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import nn


def mask_of(x: torch.Tensor) -> torch.Tensor:
    """Return which rows are no padding, bool (n, length, 1), of (n, length, width)."""
    return x.ne(0).any(-1, keepdim=True)


class TokenEmbedding(nn.Embedding):
    """Vectors of tokens; the token 0 is padding, and its vector zero.

    Args:
        vocabulary: How many tokens there are, padding included.
        width: Features of a token.
    """

    def __init__(self, vocabulary: int, width: int) -> None:
        super().__init__(vocabulary, width, padding_idx=0)

    def reset_parameters(self) -> None:
        """Draw small vectors: large ones would be hardly changed by learning."""
        nn.init.normal_(self.weight, std=0.1)
        with torch.no_grad():
            self.weight[0].fill_(0)


class Positions(nn.Module):
    """Adds a learned vector of its position to each row.

    Args:
        length: Rows of a sequence, at most.
        width: Features of a row.
    """

    def __init__(self, length: int, width: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(length, width))
        nn.init.normal_(self.weight, std=0.02)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return (n, length, width)."""
        return (x + self.weight[: x.shape[1]]) * mask_of(x)


class Waves(nn.Module):
    """Adds sines and cosines of its position to each row (Vaswani et al. 2017).

    Args:
        length: Rows of a sequence, at most.
        width: Features of a row; even.
    """

    weight: torch.Tensor

    def __init__(self, length: int, width: int) -> None:
        super().__init__()
        rates = torch.exp(torch.arange(0, width, 2) * (-math.log(10_000.0) / width))
        angles = torch.arange(length)[:, None] * rates
        waves = torch.stack([angles.sin(), angles.cos()], 2).flatten(1)
        self.register_buffer("weight", 0.1 * waves)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return (n, length, width)."""
        return (x + self.weight[: x.shape[1]]) * mask_of(x)


class Masked(nn.Module):
    """Makes rows zero that are padding in another sequence."""

    def forward(self, x: torch.Tensor, like: torch.Tensor) -> torch.Tensor:
        """Return x, (n, length, width), with zeros where `like` has rows of zeros."""
        return x * mask_of(like)


class Convolution(nn.Module):
    """A convolution over the rows of a sequence, which keeps its length.

    Args:
        inputs: Features that come in.
        outputs: Features that go out.
        kernel: How many rows it takes in.
    """

    def __init__(self, inputs: int, outputs: int, kernel: int) -> None:
        super().__init__()
        self.sides = ((kernel - 1) // 2, kernel // 2)
        self.convolution = nn.Conv1d(inputs, outputs, kernel)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return (n, length, outputs)."""
        y: torch.Tensor = self.convolution(F.pad(x.transpose(1, 2), self.sides))
        return y.transpose(1, 2) * mask_of(x)


class Recurrent(nn.Module):
    """A recurrent layer, in one or both directions.

    The second direction begins at the end of each sequence, and not in its padding.

    Args:
        inputs: Features that come in.
        hidden: Features of the state of a direction.
        directions: 1 or 2.
        cell: "gru" or "lstm".
    """

    def __init__(
        self,
        inputs: int,
        hidden: int,
        directions: int = 1,
        cell: str = "gru",
    ) -> None:
        super().__init__()
        layer: type[nn.Module] = nn.LSTM if cell == "lstm" else nn.GRU
        self.ahead = layer(inputs, hidden, batch_first=True)
        self.back = None
        if directions == 2:
            self.back = layer(inputs, hidden, batch_first=True)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return (n, length, hidden * directions)."""
        mask = mask_of(x)
        y: torch.Tensor = self.ahead(x)[0]
        if self.back is not None:
            # What is read backwards is its own inverse, and leaves padding at the end.
            rows = torch.arange(x.shape[1], device=x.device)[:, None]
            places = (mask.sum(1, keepdim=True) - 1 - rows) % x.shape[1]
            z: torch.Tensor = self.back(x.gather(1, places.expand_as(x)))[0]
            y = torch.cat([y, z.gather(1, places.expand_as(z))], 2)
        return y * mask


class SelfAttention(nn.Module):
    """Attention of the rows of a sequence to each other (Vaswani et al. 2017).

    Args:
        width: Features of a row.
        heads: How many attentions there are side by side; they divide the width.
        causal: Whether rows attend to themselves and to those before them alone.
    """

    def __init__(self, width: int, heads: int, causal: bool = False) -> None:
        super().__init__()
        self.heads, self.causal = heads, causal
        self.taken = nn.Linear(width, 3 * width)
        self.given = nn.Linear(width, width)

    def forward(self, x: torch.Tensor, like: torch.Tensor) -> torch.Tensor:
        """Return (n, length, width) for x, which is padded where `like` is."""
        mask, length = mask_of(like), x.shape[1]
        parts = self.taken(x).unflatten(2, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)
        query, key, value = parts.unbind(0)
        # Not minus infinity: a sequence may be all padding.
        bias = (~mask).to(query.dtype).transpose(1, 2)[:, None] * -1e4
        if self.causal:
            later = torch.ones(length, length, device=x.device).triu(1)
            bias = bias - 1e4 * later.to(query.dtype)
        y = F.scaled_dot_product_attention(query, key, value, attn_mask=bias)
        given: torch.Tensor = self.given(y.transpose(1, 2).flatten(2))
        return given * mask


class MaxPooling(nn.Module):
    """The greatest value of each feature."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return (n, width) of (n, length, width)."""
        mask = mask_of(x)
        greatest = x.masked_fill(~mask, -1e4).amax(1)
        return greatest * mask.any(1)


class MeanPooling(nn.Module):
    """The mean of each feature."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return (n, width) of (n, length, width)."""
        return x.sum(1) / mask_of(x).sum(1).clamp(min=1)


class WeightedPooling(nn.Module):
    """The mean of each feature, with weights: attention to rows."""

    def forward(self, x: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        """Return (n, width) of (n, length, width) and scores (n, length, 1)."""
        weights = scores.masked_fill(~mask_of(x), -1e4).softmax(1)
        return (x * weights).sum(1)
