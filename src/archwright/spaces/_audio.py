"""Layers on waveforms. The text of these classes is copied into written source."""

from __future__ import annotations

import math

import torch
from torch import nn


class LogMel(nn.Module):
    """The logarithm of a mel spectrogram, normalised for each recording.

    Windows of 25 ms, rounded up to a power of two samples, begin every 10 ms. Frames of
    padding, all of whose samples are zero, become zero and count for nothing.

    Args:
        bins: Mel bands.
        rate: Samples per second.
        normalise: "utterance" for one mean and deviation, "bins" for those of each
            band, which takes away what a microphone does.

    Example:
        >>> LogMel(40, 8000)(torch.rand(2, 4096)).shape
        torch.Size([2, 40, 49])
    """

    def __init__(self, bins: int, rate: int, normalise: str = "utterance") -> None:
        super().__init__()
        self.bins = bins
        self.rate = rate
        self.axes = [1, 2] if normalise == "utterance" else [2]
        self.size = 1 << (rate // 40 - 1).bit_length()
        self.step = rate // 100

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return (batch, bins, frames) for waveforms (batch, samples)."""
        window = torch.hann_window(self.size, dtype=x.dtype, device=x.device)
        frames = torch.stft(
            x,
            self.size,
            self.step,
            window=window,
            center=False,
            return_complex=True,
        )
        power = torch.view_as_real(frames).square().sum(-1)
        y = (self.filters().to(power) @ power + 1e-6).to(x).log()
        seen = power.sum(1, keepdim=True).gt(0).to(y)
        count = seen.expand_as(y).sum(self.axes, keepdim=True).clamp(min=1)
        y = y - (y * seen).sum(self.axes, keepdim=True) / count
        variance = (y.square() * seen).sum(self.axes, keepdim=True) / count
        return y * seen / (variance + 1e-3).sqrt()

    def filters(self) -> torch.Tensor:
        """Return triangles on the mel scale: (bins, frequencies)."""
        top = 2595 * math.log10(1 + self.rate / 1400)
        mels = [top * place / (self.bins + 1) for place in range(self.bins + 2)]
        edges = torch.tensor([700 * (10 ** (mel / 2595) - 1) for mel in mels])
        steps = range(self.size // 2 + 1)
        places = torch.tensor([self.rate * step / self.size for step in steps])
        width = edges.diff()[:, None]
        rising = (places - edges[:-2, None]) / width[:-1]
        falling = (edges[2:, None] - places) / width[1:]
        return torch.minimum(rising, falling).clamp(min=0)

    def extra_repr(self) -> str:
        """Return the settings."""
        return f"bins={self.bins}, rate={self.rate}, axes={self.axes}"


class SpectrumMask(nn.Module):
    """Zeros in a random band of frequencies and of time, in training alone.

    SpecAugment (Park et al. 2019) without time warping; each sample has its own bands.

    Args:
        share: Of the frequencies and of the time that a band covers at most.

    Example:
        >>> SpectrumMask(0.5)(torch.ones(1, 8, 8)).sum() <= 64
        tensor(True)
    """

    def __init__(self, share: float) -> None:
        super().__init__()
        self.share = share

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return (batch, bins, frames) with bands of zeros."""
        if not self.training or self.share == 0:
            return x
        for axis in (1, 2):
            shape = [len(x), 1, 1]
            width = torch.rand(shape, device=x.device) * self.share
            start = torch.rand(shape, device=x.device) * (1 - width)
            size = [1, 1, 1]
            size[axis] = x.shape[axis]
            place = torch.arange(x.shape[axis], device=x.device).view(size)
            place = place / x.shape[axis]
            x = x * ((place < start) | (place >= start + width))
        return x

    def extra_repr(self) -> str:
        """Return the settings."""
        return f"share={self.share}"


class Recurrent(nn.Module):
    """A bidirectional GRU over the frames, with a linear layer.

    Args:
        channels: Channels that come in and go out.
        hidden: Features of each direction.

    Example:
        >>> Recurrent(8, 16)(torch.rand(2, 8, 5)).shape
        torch.Size([2, 8, 5])
    """

    def __init__(self, channels: int, hidden: int) -> None:
        super().__init__()
        self.gru = nn.GRU(channels, hidden, batch_first=True, bidirectional=True)
        self.linear = nn.Linear(2 * hidden, channels)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return (batch, channels, frames) for (batch, channels, frames)."""
        x = x.to(self.linear.weight.dtype)  # a GRU mixes no types
        y: torch.Tensor = self.linear(self.gru(x.transpose(1, 2))[0])
        return y.transpose(1, 2)
