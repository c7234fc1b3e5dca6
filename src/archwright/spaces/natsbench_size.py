"""The size space of NATS-Bench (Dong et al. 2021): one fixed cell, five open widths."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from archwright import nn
from archwright.space import Graph, Space, graph, lazy, ordinal
from archwright.spaces._blocks import classifier, relu_conv_norm, stem
from archwright.spaces._registry import checked_input, register

__all__ = ["WIDTHS", "natsbench_size"]

WIDTHS = tuple(range(8, 65, 8))
"""The widths that each of the five places may have."""


@register("natsbench-size", ranks=(3,))
def natsbench_size(*, input_shape: Sequence[int] = (3, 32, 32), classes: int = 10) -> Space:
    """The 32,768 sizes of NATS-Bench: the width of each of five stages, from 8 to 64.

    Three cells of one design (five 3x3 convolutions and a skip), with a residual block of stride 2 between them. With
    the defaults the networks have exactly the published numbers of parameters.

    Dong, Liu, Musial and Gabrys, "NATS-Bench: Benchmarking NAS algorithms for architecture topology and size",
    IEEE TPAMI 2021.

    Args:
        input_shape: (channels, height, width).
        classes: The number of classes.

    Raises:
        SpaceError: An option is not allowed.

    Example:
        >>> aw.spaces.create("natsbench-size").size
        32768
    """
    shape = checked_input("natsbench-size", input_shape, classes)
    widths: list[Any] = [ordinal(*WIDTHS, name=f"width_{place}") for place in range(5)]
    model = nn.Sequential(
        stem(shape[0], widths[0]),
        _cell(widths[0], widths[0]),
        _reduction(widths[0], widths[1]),
        _cell(widths[1], widths[2]),
        _reduction(widths[2], widths[3]),
        _cell(widths[3], widths[4]),
        nn.BatchNorm2d(widths[4]),
        nn.ReLU(),
        classifier(widths[4], classes),
    )
    return Space(model=model, example_input=shape, name="natsbench-size")


def _cell(inputs: Any, outputs: Any) -> Graph:
    first = relu_conv_norm(inputs, outputs, 3)
    inner = relu_conv_norm(outputs, outputs, 3)
    past = lazy("archwright.spaces._shortcut:shortcut")(inputs, outputs)

    def forward(x: Any) -> Any:
        one = first(x)
        two = first(x) + inner(one)
        return past(x) + inner(one) + inner(two)

    return graph(forward)


def _reduction(inputs: Any, outputs: Any) -> Graph:
    residual = nn.Sequential(relu_conv_norm(inputs, outputs, 3, stride=2), relu_conv_norm(outputs, outputs, 3))
    shortcut = nn.Sequential(nn.AvgPool2d(2, ceil_mode=True), nn.Conv2d(inputs, outputs, 1, bias=False))
    return graph(lambda x: shortcut(x) + residual(x))
