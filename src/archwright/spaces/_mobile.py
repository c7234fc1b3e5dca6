"""Blocks of mobile networks. Their text is copied into written source."""

from __future__ import annotations

import torch
from torch import nn


class SqueezeExcite(nn.Module):
    """Weighs each channel by what all of them are like on average.

    Hu, Shen and Sun, "Squeeze-and-excitation networks", CVPR 2018.

    Args:
        channels: Channels that come in and go out.
        inner: Channels in between; by default as in MobileNetV3, a quarter of them,
            rounded to a multiple of 8, but never by more than a tenth downwards.
        gate: What makes weights of numbers.
    """

    def __init__(
        self,
        channels: int,
        inner: int | None = None,
        gate: nn.Module | None = None,
    ) -> None:
        super().__init__()
        if inner is None:
            quarter = channels // 4
            inner = max(8, (quarter + 4) // 8 * 8)
            inner += 8 if 10 * inner < 9 * quarter else 0
        self.weights = nn.Sequential(
            nn.AdaptiveAvgPool2d(1),
            nn.Conv2d(channels, inner, 1),
            nn.ReLU(),
            nn.Conv2d(inner, channels, 1),
            gate or nn.Hardsigmoid(),
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return (n, channels, height, width)."""
        weighed: torch.Tensor = x * self.weights(x)
        return weighed


def inverted_bottleneck(
    inputs: int,
    outputs: int,
    kernel: int,
    stride: int,
    expansion: int,
    squeeze: bool,
) -> nn.Module:
    """Return a depthwise convolution between two 1x1 convolutions.

    Args:
        inputs: Channels that come in.
        outputs: Channels that go out.
        kernel: The kernel of the depthwise convolution; odd.
        stride: Its stride.
        expansion: How many times as wide it is as the input. At 1 it comes first.
        squeeze: Whether its channels are weighed, by a quarter of the input's channels.
    """
    width = expansion * inputs
    depthwise = nn.Conv2d(
        width,
        width,
        kernel,
        stride,
        padding=kernel // 2,
        groups=width,
        bias=False,
    )
    layers: list[nn.Module] = []
    if expansion > 1:
        layers.append(nn.Conv2d(inputs, width, 1, bias=False))
        layers += [nn.BatchNorm2d(width), nn.ReLU()]
    layers += [depthwise, nn.BatchNorm2d(width), nn.ReLU()]
    if squeeze:
        layers.append(SqueezeExcite(width, max(1, inputs // 4), nn.Sigmoid()))
    layers += [nn.Conv2d(width, outputs, 1, bias=False), nn.BatchNorm2d(outputs)]
    return nn.Sequential(*layers)
