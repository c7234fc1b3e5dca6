"""Forecasting networks. The text of these classes is copied into written source."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional as F


class Recent(nn.Module):
    """The last steps of the first columns of a series, normalised.

    Args:
        lookback: The number of steps.
        columns: The number of columns.
        normalisation: "instance" subtracts the mean over the lookback of each column,
            and divides by its deviation; "last" subtracts its last value. "none" leaves
            it as it is.
    """

    def __init__(self, lookback: int, columns: int, normalisation: str) -> None:
        super().__init__()
        self.lookback = lookback
        self.columns = columns
        self.normalisation = normalisation

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return (n, columns, lookback) for a series of (n, steps, all columns)."""
        x = x[:, -self.lookback :, : self.columns].transpose(1, 2)
        centre, scale = moments(x, self.normalisation)
        return (x - centre) / scale


class Restored(nn.Module):
    """A forecast with what the normalisation of the series took from it.

    Args:
        lookback: The number of steps that were normalised.
        targets: The number of columns that are forecast, the first ones.
        normalisation: As in `Recent`.
    """

    def __init__(self, lookback: int, targets: int, normalisation: str) -> None:
        super().__init__()
        self.lookback = lookback
        self.targets = targets
        self.normalisation = normalisation

    def forward(self, y: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
        """Return (n, horizon, targets) for a forecast (n, columns, horizon)."""
        x = x[:, -self.lookback :, : self.targets].transpose(1, 2)
        centre, scale = moments(x, self.normalisation)
        restored = y[:, : self.targets] * scale + centre
        return restored.transpose(1, 2)


def moments(x: torch.Tensor, kind: str) -> tuple[torch.Tensor, torch.Tensor]:
    """Return what is subtracted from (n, columns, steps), and what it is divided by."""
    last = x[:, :, -1:]
    if kind == "instance":
        variance = x.var(2, keepdim=True, unbiased=False)
        return x.mean(2, keepdim=True), (variance + 1e-5).sqrt()
    if kind == "last":
        return last, torch.ones_like(last)
    return torch.zeros_like(last), torch.ones_like(last)


class Decomposition(nn.Module):
    """Linear maps of the trend of a series, its moving average, and of the rest.

    Args:
        lookback: The number of steps that come in.
        horizon: The number of steps that go out.
        window: The number of steps of an average.
    """

    def __init__(self, lookback: int, horizon: int, window: int) -> None:
        super().__init__()
        self.window = window
        self.trend = nn.Linear(lookback, horizon)
        self.rest = nn.Linear(lookback, horizon)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return (n, columns, horizon) for an input of (n, columns, lookback)."""
        before = (self.window - 1) // 2
        padded = F.pad(x, (before, self.window - 1 - before), mode="replicate")
        trend = F.avg_pool1d(padded, self.window, stride=1)
        forecast: torch.Tensor = self.trend(trend) + self.rest(x - trend)
        return forecast


class Patches(nn.Module):
    """Pieces of a series as tokens, each overlapping half of the one before.

    Args:
        lookback: The number of steps that come in.
        patch: The number of steps of a piece.
        hidden: The width of a token.
    """

    def __init__(self, lookback: int, patch: int, hidden: int) -> None:
        super().__init__()
        self.patch = min(patch, lookback)
        self.stride = max(1, patch // 2)
        self.embedding = nn.Linear(self.patch, hidden)
        count = (lookback + self.stride - self.patch) // self.stride + 1
        self.position = nn.Parameter(0.02 * torch.randn(count, hidden))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return (n, columns, tokens, hidden) for (n, columns, lookback)."""
        x = F.pad(x, (0, self.stride), mode="replicate")
        tokens: torch.Tensor = self.embedding(x.unfold(2, self.patch, self.stride))
        return tokens + self.position


class TokenBlock(nn.Module):
    """Self-attention between the tokens of a column, and a feed-forward network.

    Args:
        hidden: The width of a token.
        heads: The number of heads.
        dropout: The dropout.
    """

    def __init__(self, hidden: int, heads: int, dropout: float) -> None:
        super().__init__()
        self.heads = heads
        self.norm = nn.LayerNorm(hidden)
        self.project = nn.Linear(hidden, 3 * hidden)
        self.join = nn.Sequential(nn.Linear(hidden, hidden), nn.Dropout(dropout))
        self.feed_forward = nn.Sequential(
            nn.LayerNorm(hidden),
            nn.Linear(hidden, 2 * hidden),
            nn.GELU(),
            nn.Dropout(dropout),
            nn.Linear(2 * hidden, hidden),
            nn.Dropout(dropout),
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return (n, columns, tokens, hidden) for an input of the same shape."""
        parts = self.project(self.norm(x)).unflatten(3, (3, self.heads, -1))
        query, key, value = parts.permute(3, 0, 1, 4, 2, 5).unbind(0)
        scores = query @ key.transpose(3, 4) / key.shape[4] ** 0.5
        mixed = (scores.softmax(4) @ value).transpose(2, 3).flatten(3)
        x = x + self.join(mixed)
        y: torch.Tensor = x + self.feed_forward(x)
        return y


class MixerBlock(nn.Module):
    """A layer that mixes the steps of a column, and one that mixes columns.

    Args:
        columns: The number of columns.
        lookback: The number of steps.
        width: The hidden width of the second layer.
        dropout: The dropout.
    """

    def __init__(
        self,
        columns: int,
        lookback: int,
        width: int,
        dropout: float,
    ) -> None:
        super().__init__()
        self.steps = nn.Sequential(
            nn.LayerNorm((columns, lookback)),
            nn.Linear(lookback, lookback),
            nn.ReLU(),
            nn.Dropout(dropout),
        )
        self.norm = nn.LayerNorm((columns, lookback))
        self.columns = nn.Sequential(
            nn.Linear(columns, width),
            nn.ReLU(),
            nn.Dropout(dropout),
            nn.Linear(width, columns),
            nn.Dropout(dropout),
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return (n, columns, lookback) for an input of the same shape."""
        x = x + self.steps(x)
        mixed: torch.Tensor = self.columns(self.norm(x).transpose(1, 2))
        return x + mixed.transpose(1, 2)


class CausalConvolutions(nn.Module):
    """Residual blocks of causal convolutions, whose dilation doubles each time.

    Args:
        horizon: The number of steps that go out.
        channels: The channels of a block.
        levels: The number of blocks.
        kernel: The kernel of the convolutions.
        dropout: The dropout.
    """

    def __init__(
        self,
        horizon: int,
        channels: int,
        levels: int,
        kernel: int,
        dropout: float,
    ) -> None:
        super().__init__()
        self.stem = nn.Conv1d(1, channels, 1)
        self.blocks = nn.ModuleList()
        for level in range(levels):
            layers: list[nn.Module] = []
            for _ in range(2):
                layers += [
                    nn.ConstantPad1d(((kernel - 1) * 2**level, 0), 0.0),
                    nn.Conv1d(channels, channels, kernel, dilation=2**level),
                    nn.ReLU(),
                    nn.Dropout(dropout),
                ]
            self.blocks.append(nn.Sequential(*layers))
        self.head = nn.Linear(channels, horizon)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return (n, columns, horizon) for an input of (n, columns, lookback)."""
        columns = x.shape[1]
        y = self.stem(x.flatten(0, 1).unsqueeze(1))
        for block in self.blocks:
            y = torch.relu(y + block(y))
        forecast: torch.Tensor = self.head(y[:, :, -1]).unflatten(0, (-1, columns))
        return forecast


class ResidualStack(nn.Module):
    """Blocks that each explain a part of the input, and forecast from what is left.

    Args:
        lookback: The number of steps that come in.
        horizon: The number of steps that go out.
        blocks: The number of blocks.
        layers: The number of hidden layers of a block.
        width: Their width.
    """

    def __init__(
        self,
        lookback: int,
        horizon: int,
        blocks: int,
        layers: int,
        width: int,
    ) -> None:
        super().__init__()
        self.lookback = lookback
        self.horizon = horizon
        self.blocks = nn.ModuleList()
        for _ in range(blocks):
            parts: list[nn.Module] = []
            for layer in range(layers):
                parts += [nn.Linear(width if layer else lookback, width), nn.ReLU()]
            parts.append(nn.Linear(width, lookback + horizon))
            self.blocks.append(nn.Sequential(*parts))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return (n, columns, horizon) for an input of (n, columns, lookback)."""
        forecast = torch.zeros_like(x[:, :, :1])
        for block in self.blocks:
            explained, more = block(x).split((self.lookback, self.horizon), 2)
            x = x - explained
            forecast = forecast + more
        return forecast
