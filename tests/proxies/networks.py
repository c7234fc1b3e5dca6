"""Small networks of each kind, with batches for them."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn


def batch(*shape: int, count: int = 8, classes: int = 3) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(5)
    return torch.randn(count, *shape, generator=generator), torch.arange(count) % classes


def conv_block(inputs: int, outputs: int, stride: int = 1) -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, 3, stride=stride, padding=1, bias=False),
        nn.BatchNorm2d(outputs),
        nn.ReLU(inplace=True),
    )


def convnet() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(
        conv_block(3, 6),
        conv_block(6, 8, stride=2),
        nn.Dropout(0.5),
        conv_block(8, 8),
        nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 3)),
    )


def mlp() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Linear(5, 16), nn.BatchNorm1d(16), nn.ReLU(), nn.Linear(16, 12), nn.LeakyReLU(), nn.Linear(12, 3)
    )


class Functional(nn.Module):
    """Residual, with activations and pooling that are no layers, some of them in place."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.stem = nn.Conv2d(3, 6, 3, padding=1)
        self.inner = nn.Conv2d(6, 6, 3, padding=1)
        self.norm = nn.BatchNorm2d(6)
        self.head = nn.Linear(6, 3)

    def forward(self, inputs: Tensor) -> Tensor:
        features = F.relu_(self.stem(inputs))
        features = features + F.hardtanh(self.norm(self.inner(features)), 0.0, 1.5)
        return self.head(features.mean((2, 3)))


class Recurrent(nn.Module):
    """An LSTM that reads a sequence to its end."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.first = nn.LSTM(4, 7, batch_first=True)
        self.second = nn.LSTM(7, 6, batch_first=True)
        self.between = nn.ReLU()
        self.head = nn.Linear(6, 3)

    def forward(self, inputs: Tensor) -> Tensor:
        hidden, _ = self.first(inputs)
        hidden, _ = self.second(self.between(hidden))
        return self.head(hidden[:, -1])


class Skip(nn.Module):
    """A block that hands on what it gets."""

    def forward(self, inputs: Tensor) -> Tensor:
        return inputs


NETWORKS = {
    "convnet": (convnet, (3, 8, 8)),
    "mlp": (mlp, (5,)),
    "functional": (Functional, (3, 8, 8)),
    "recurrent": (Recurrent, (6, 4)),
}
UNDEFINED = {("recurrent", "zen")}
"""Networks and the proxies that are undefined for them."""
