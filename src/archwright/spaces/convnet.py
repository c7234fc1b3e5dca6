"""Classic convolutional networks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from archwright import nn
from archwright.space import Call, Space, choice, ordinal, repeat
from archwright.spaces._blocks import activations, initialised
from archwright.spaces._registry import checked_input, register

__all__ = ["convnet"]

_FILTERS = (16, 24, 32, 48, 64, 96, 128, 192, 256)
_KERNELS = (3, 5, 7)


@register("convnet", ranks=(3,))
def convnet(*, input_shape: Sequence[int] = (3, 32, 32), classes: int = 10) -> Space:
    """Classic convolutional networks: blocks of convolution and pooling, then a fully connected layer.

    Open are the number of blocks, and for each its filters (16 to 256) and kernel (3, 5 or 7); for all blocks together
    the pooling, its window and the activation; the width of the fully connected layer, the dropout before the last one,
    whether the blocks end in an average or are flattened, and how the weights begin. Every convolution is followed by
    batch normalisation.

    The size of the images settles the rest: each block halves it while 2 pixels or more remain, and where the image is
    large, blocks have fewer filters at most (64 for the first block at 32x32, twice as many for each further one).

    Args:
        input_shape: (channels, height, width).
        classes: The number of classes.

    Raises:
        SpaceError: An option is not allowed.
    """
    shape = checked_input("convnet", input_shape, classes)
    size = min(shape[1:])
    least = max(2, (size - 1).bit_length() - 3)  # at most 8 pixels remain
    most = max(size.bit_length() - 2, 0) + 2  # two blocks after the last pooling
    activation = activations("ReLU", "ELU", "GELU", "SiLU")
    window = ordinal(2, 3, name="pooling.window")
    options = {
        "max": nn.MaxPool2d(window, stride=2, padding=(window - 1) // 2),
        "average": nn.AvgPool2d(window, stride=2, padding=(window - 1) // 2),
    }
    pooling = choice(options, name="pooling")

    def block(index: int) -> Call:
        left = size >> index
        kernel = ordinal(*([k for k in _KERNELS if k <= left + 1] or [3]), name=f"block_{index}.kernel")
        cap = max(16, (64 << index) * 32 // max(size, 32))
        parts: list[Any] = [
            nn.LazyConv2d(
                ordinal(*[n for n in _FILTERS if n <= cap], name=f"block_{index}.filters"),
                kernel,
                padding=kernel // 2,
                bias=False,
            ),
            nn.LazyBatchNorm2d(),
            activation,
        ]
        return nn.Sequential(*parts, *[pooling] * (left >= 4))

    width = ordinal(32, 64, 128, 256, 512, name="dense.width")
    heads = {
        "average": nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.LazyLinear(width)),
        "flatten": nn.Sequential(nn.Flatten(), nn.LazyLinear(width)),
    }
    network = nn.Sequential(
        repeat(block, least, most, name="blocks"),
        choice(heads, name="head"),
        activation,
        nn.Dropout(ordinal(0.0, 0.1, 0.2, 0.3, 0.4, 0.5, name="dropout")),
        nn.LazyLinear(classes),
    )
    return Space(model=initialised(network), example_input=shape, name="convnet")
