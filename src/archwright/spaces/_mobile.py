"""Blocks of mobile networks. The text of these functions is copied into written source."""

from __future__ import annotations

import torch
from torch import nn


def squeeze_excite(channels: int, inner: int) -> nn.Module:
    """Return a layer that weighs each channel by what all of them are like on average.

    Args:
        channels: Channels that come in and go out.
        inner: Channels in between.
    """
    weights = nn.Sequential(
        nn.AdaptiveAvgPool2d(1),
        nn.Conv2d(channels, inner, 1),
        nn.ReLU(),
        nn.Conv2d(inner, channels, 1),
        nn.Sigmoid(),
    )
    graph = torch.fx.Graph()
    value = graph.placeholder("x")
    weight = graph.call_module("weights", (value,))
    graph.output(graph.call_function(torch.mul, (value, weight)))
    return torch.fx.GraphModule({"weights": weights}, graph, "SqueezeExcite")


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
        layers.append(squeeze_excite(width, max(1, inputs // 4)))
    layers += [nn.Conv2d(width, outputs, 1, bias=False), nn.BatchNorm2d(outputs)]
    return nn.Sequential(*layers)
