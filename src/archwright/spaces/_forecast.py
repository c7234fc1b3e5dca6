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


class Attention(nn.Module):
    """Self-attention between the tokens of each column.

    Args:
        hidden: The width of a token.
        heads: The number of heads.
    """

    def __init__(self, hidden: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.project = nn.Linear(hidden, 3 * hidden)
        self.join = nn.Linear(hidden, hidden)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return (n, columns, tokens, hidden) for an input of the same shape."""
        parts = self.project(x).unflatten(3, (3, self.heads, -1))
        query, key, value = parts.permute(3, 0, 1, 4, 2, 5).unbind(0)
        scores = query @ key.transpose(3, 4) / key.shape[4] ** 0.5
        mixed = (scores.softmax(4) @ value).transpose(2, 3).flatten(3)
        joined: torch.Tensor = self.join(mixed)
        return joined


class StepMixing(nn.Module):
    """A layer that mixes the steps of a column, after a normalisation.

    Args:
        columns: The number of columns.
        lookback: The number of steps.
    """

    def __init__(self, columns: int, lookback: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm((columns, lookback))
        self.linear = nn.Linear(lookback, lookback)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return (n, columns, lookback) for an input of the same shape."""
        return torch.relu(self.linear(self.norm(x)))


class ColumnMixing(nn.Module):
    """Two layers that mix the columns of a step, after a normalisation.

    Args:
        columns: The number of columns.
        lookback: The number of steps.
        width: The hidden width.
    """

    def __init__(self, columns: int, lookback: int, width: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm((columns, lookback))
        self.layers = nn.Sequential(
            nn.Linear(columns, width),
            nn.ReLU(),
            nn.Linear(width, columns),
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return (n, columns, lookback) for an input of the same shape."""
        mixed: torch.Tensor = self.layers(self.norm(x).transpose(1, 2))
        return mixed.transpose(1, 2)


class CausalConvolution(nn.Module):
    """A convolution of each column over a step and those before it.

    Args:
        channels: The channels.
        kernel: The number of steps of the kernel.
        dilation: The distance between them.
    """

    def __init__(self, channels: int, kernel: int, dilation: int) -> None:
        super().__init__()
        self.before = (kernel - 1) * dilation
        size, step = (1, kernel), (1, dilation)
        self.convolution = nn.Conv2d(channels, channels, size, dilation=step)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return (n, channels, columns, steps) for an input of the same shape."""
        y: torch.Tensor = self.convolution(F.pad(x, (self.before, 0)))
        return y


class ResidualBlock(nn.Module):
    """Fully connected layers that explain a part of the series, and forecast.

    What is left of the series and the forecast so far stand side by side.

    Args:
        lookback: The number of steps of the series.
        horizon: The number of steps of the forecast.
        layers: The number of hidden layers.
        width: Their width.
    """

    def __init__(self, lookback: int, horizon: int, layers: int, width: int) -> None:
        super().__init__()
        self.lookback = lookback
        parts: list[nn.Module] = []
        for layer in range(layers):
            parts += [nn.Linear(width if layer else lookback, width), nn.ReLU()]
        self.layers = nn.Sequential(*parts, nn.Linear(width, lookback + horizon))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return (n, columns, lookback + horizon) for an input of the same shape."""
        left = x[:, :, : self.lookback]
        found = self.layers(left)
        explained = found[:, :, : self.lookback]
        forecast = x[:, :, self.lookback :] + found[:, :, self.lookback :]
        return torch.cat([left - explained, forecast], 2)
