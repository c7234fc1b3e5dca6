"""Blocks that several spaces share."""

from __future__ import annotations

from typing import Any

from archwright import nn
from archwright.space import Call, Choice, choice, lazy


def activations(*names: str) -> Choice:
    """Leave the activation open; the object is one decision, wherever it is used.

    Args:
        *names: Classes of `torch.nn`, labelled in lower case.
    """
    return choice({name.lower(): getattr(nn, name)() for name in names}, name="activation")


def initialised(network: Any) -> Call:
    """Leave open how the weights of a network begin."""
    scheme = choice("kaiming_normal", "xavier_uniform", "orthogonal", name="initialisation")
    made: Call = lazy("archwright.spaces._initialise:initialised")(network, scheme=scheme)
    return made


def stem(channels: int, width: Any) -> Any:
    """Return a 3x3 convolution with batch normalisation."""
    return nn.Sequential(nn.Conv2d(channels, width, 3, padding=1, bias=False), nn.BatchNorm2d(width))


def relu_conv_norm(inputs: Any, outputs: Any, kernel: int, stride: int = 1) -> Any:
    """Return ReLU, a convolution that keeps the size (divided by its stride) and batch normalisation."""
    return nn.Sequential(
        nn.ReLU(),
        nn.Conv2d(inputs, outputs, kernel, stride=stride, padding=kernel // 2, bias=False),
        nn.BatchNorm2d(outputs),
    )


def classifier(width: Any, classes: int) -> Any:
    """Return global average pooling with a linear layer."""
    return nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(width, classes))
