"""A small cell space for the tabular benchmark digits-cells."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from archwright import nn
from archwright.space import Graph, Space, cell, choice, ordinal, template
from archwright.spaces._blocks import classifier, relu_conv_norm, stem
from archwright.spaces._registry import checked_input, register

__all__ = ["digits_cells"]


@register("digits-cells", ranks=(3,))
def digits_cells(*, input_shape: Sequence[int] = (1, 8, 8), classes: int = 10) -> Space:
    """1,458 small networks: cells of four nodes, six edges and three operations, in two widths.

    A stem, a cell, a convolution of stride 2 that doubles the width, and the same cell again. The training results of
    all of them on digits are part of the package: see `archwright.bench`.

    Args:
        input_shape: (channels, height, width).
        classes: The number of classes.

    Raises:
        SpaceError: An option is not allowed.

    Example:
        >>> aw.spaces.create("digits-cells").size
        1458
    """
    shape = checked_input("digits-cells", input_shape, classes)
    width = ordinal(4, 8, name="width")
    stage = template(_cell)
    model = nn.Sequential(
        stem(shape[0], width),
        stage(width),
        relu_conv_norm(width, 2 * width, 3, stride=2),
        stage(2 * width),
        nn.BatchNorm2d(2 * width),
        nn.ReLU(),
        classifier(2 * width, classes),
    )
    return Space(model=model, example_input=shape, name="digits-cells")


def _cell(width: Any) -> Graph:
    options = {"none": None, "skip_connect": nn.Identity(), "nor_conv_3x3": relu_conv_norm(width, width, 3)}
    return cell(lambda i, j: choice(options), nodes=3, name="cell")
