"""Blocks that several spaces share."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from archwright import nn
from archwright.space import Call, Choice, choice, graph, lazy, merge, ordinal, repeat


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


def conv_norm(inputs: Any, outputs: Any, kernel: int, activation: Any, *, stride: int = 1) -> Any:
    """Return a convolution that keeps the size (divided by its stride), batch normalisation and an activation."""
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, kernel, stride=stride, padding=kernel // 2, bias=False),
        nn.BatchNorm2d(outputs),
        activation,
    )


def separable(inputs: Any, outputs: Any, kernel: Any, stride: int, activation: Any, *between: Any) -> Any:
    """Return a depthwise convolution and a 1x1 convolution without activation, with layers between them."""
    return nn.Sequential(
        nn.Conv2d(inputs, inputs, kernel, stride=stride, padding=kernel // 2, groups=inputs, bias=False),
        nn.BatchNorm2d(inputs),
        activation,
        *between,
        nn.Conv2d(inputs, outputs, 1, bias=False),
        nn.BatchNorm2d(outputs),
    )


def inverted_residuals(
    name: str,
    inputs: Any,
    outputs: Any,
    stride: int,
    blocks: tuple[int, int],
    kernels: Sequence[int],
    expansions: Sequence[int],
    activation: Any,
    between: Callable[[Any], Any] | None = None,
) -> Any:
    """Return a stage of inverted residual blocks; their number, and the kernel and expansion of each, are open.

    Sandler et al., "MobileNetV2: Inverted residuals and linear bottlenecks", CVPR 2018.

    Args:
        name: The name of the stage, before those of its decisions.
        inputs: The channels that come in.
        outputs: The channels that go out.
        stride: The stride of the first block.
        blocks: The minimum and maximum number of blocks.
        kernels: The options for the kernel of a depthwise convolution.
        expansions: The options for the expansion.
        activation: The activation.
        between: Makes a layer after the depthwise convolution, from its channels.
    """

    def block(index: int) -> Any:
        kernel = ordinal(*kernels, name=f"{name}.block_{index}.kernel")
        before = outputs if index else inputs
        inner = before * ordinal(*expansions, name=f"{name}.block_{index}.expansion")
        extra = () if between is None else (between(inner),)
        branch = nn.Sequential(
            conv_norm(before, inner, 1, activation),
            separable(inner, outputs, kernel, 1 if index else stride, activation, *extra),
        )
        return graph(lambda x: merge(x, branch(x, name="branch"), name="added"), name="residual") if index else branch

    return repeat(block, *blocks, name=f"{name}.blocks")
