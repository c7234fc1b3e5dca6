"""The mobile networks of Accel-NASBench (Ahmad et al. 2024)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from archwright import nn
from archwright.space import Space, choice, graph, lazy, ordinal, repeat
from archwright.spaces._blocks import classifier
from archwright.spaces._registry import checked_input, register

__all__ = ["EXPANSIONS", "KERNELS", "LAYERS", "accel_nasbench"]

EXPANSIONS = (1, 4, 6)
"""How many times as wide as its input a depthwise convolution may be."""

KERNELS = (3, 5)
"""The kernels that it may have."""

LAYERS = (3, 3, 3, 3, 3, 4, 3)
"""How many layers each of the seven blocks may have at most; 1 at least."""

_STEM, _HEAD = 32, 1280
_WIDTHS = (16, 24, 40, 80, 112, 192, 320)
_STRIDES = (1, 2, 2, 2, 1, 2, 1)


@register("accel-nasbench", ranks=(3,))
def accel_nasbench(*, input_shape: Sequence[int] = (3, 224, 224), classes: int = 1000) -> Space:
    """Mobile networks: seven blocks, each with its expansion, kernel, depth and squeeze-and-excitation.

    The variant of the MnasNet space in Accel-NASBench, 10^11 networks: inverted bottlenecks in the widths and strides
    of EfficientNet-B0. With the defaults they have exactly the published numbers of parameters. The activation function
    was not published and may differ; here it is ReLU.

    Ahmad, Du, Xie and Zhang, "Accel-NASBench: Sustainable Benchmarking for Accelerator-Aware NAS", DAC 2024.
    Tan et al., "MnasNet: Platform-Aware Neural Architecture Search for Mobile", CVPR 2019.

    Args:
        input_shape: (channels, height, width).
        classes: The number of classes.

    Raises:
        SpaceError: An option is not allowed.

    Example:
        >>> f"{aw.spaces.create('accel-nasbench').size:.0e}"
        '1e+11'
    """
    shape = checked_input("accel-nasbench", input_shape, classes)
    first = nn.Conv2d(shape[0], _STEM, 3, stride=2, padding=1, bias=False)
    layers: list[Any] = [first, nn.BatchNorm2d(_STEM), nn.ReLU()]
    width = _STEM
    for index, (outputs, stride) in enumerate(zip(_WIDTHS, _STRIDES, strict=True)):
        layers.append(_block(index, width, outputs, stride))
        width = outputs
    head = [nn.Conv2d(width, _HEAD, 1, bias=False), nn.BatchNorm2d(_HEAD), nn.ReLU(), classifier(_HEAD, classes)]
    return Space(model=nn.Sequential(*layers, *head), example_input=shape, name="accel-nasbench")


def _block(index: int, inputs: int, outputs: int, stride: int) -> Any:
    """Return one to several layers that share what is decided; the first has the stride, the others a way past them."""
    name = f"block_{index}"
    settings = {
        "kernel": ordinal(*KERNELS, name=f"{name}.kernel"),
        "expansion": ordinal(*EXPANSIONS, name=f"{name}.expansion"),
        "squeeze": choice(False, True, name=f"{name}.squeeze"),
    }
    bottleneck = lazy("archwright.spaces._mobile:inverted_bottleneck")

    def layer(place: int) -> Any:
        if place == 0:
            return bottleneck(inputs, outputs, stride=stride, **settings)
        inner = bottleneck(outputs, outputs, stride=1, **settings)
        return graph(lambda x: x + inner(x, name="inner"), name="residual")

    return repeat(layer, 1, LAYERS[index], name=f"{name}.layers")
