"""Classic convolutional networks."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from archwright import nn
from archwright.errors import SpaceError
from archwright.space import Space, choice, ordinal, repeat
from archwright.spaces._blocks import activations, initialised
from archwright.spaces._registry import checked_input, register

__all__ = ["convnet"]


def _plain(space: Space) -> Iterator[dict[str, Any]]:
    """Yield networks of 3x3 kernels with max pooling, whose filters double, of a medium width and of smaller ones."""
    values: dict[str, list[Any]] = {name: list(decision.values()) for name, decision in space.decisions.items()}
    blocks = min(values.get("blocks", [2]))
    for place in (3, 2, 1, 0):
        found: dict[str, Any] = {"activation": "relu", "pooling": "max", "pooling.window": 2, "head": "average"}
        found |= {"blocks": blocks, "dense.width": 128, "dropout": 0.2, "initialisation": "kaiming_normal"}
        for index in range(blocks):
            filters = values[f"block_{index}.filters"]
            found |= {f"block_{index}.filters": filters[min(place, len(filters) - 1)]}
            found |= {f"block_{index}.kernel": values[f"block_{index}.kernel"][0]}
            place += 2
        yield {name: value for name, value in found.items() if name in values}


@register("convnet", ranks=(3,), starts=_plain)
def convnet(
    *,
    input_shape: Sequence[int] = (3, 32, 32),
    classes: int = 10,
    filters: Sequence[int] = (16, 24, 32, 48, 64, 96, 128, 192, 256),
    kernels: Sequence[int] = (3, 5, 7),
) -> Space:
    """Classic convolutional networks: blocks of convolution and pooling, then a fully connected layer.

    The decisions are the number of blocks, and for each its filters and its kernel; for all blocks together the
    pooling, its window and the activation; the width of the fully connected layer, the dropout before the last one,
    global average pooling or flattening after the blocks, and the initialisation. Every convolution is followed by
    batch normalisation.

    Each block halves the resolution as long as 2 pixels or more remain. To limit the cost at high resolutions, the
    first block has at most 32 filters (fewer above 32x32), each further one twice as many; and a kernel exceeds the
    image by at most one pixel.

    Args:
        input_shape: (channels, height, width).
        classes: The number of classes.
        filters: The options for the filters of a block, ascending.
        kernels: The options for the kernel of a block, odd and ascending.

    Raises:
        SpaceError: An option is not allowed.

    Example:
        >>> space = aw.spaces.create("convnet", input_shape=(1, 8, 8))
        >>> space.size
        18403200
    """
    shape = checked_input("convnet", input_shape, classes)
    if not filters or min(filters) < 1 or not kernels or any(kernel < 1 or kernel % 2 == 0 for kernel in kernels):
        raise SpaceError(
            f"space 'convnet': filters are 1 or more and kernels odd; filters={filters}, kernels={kernels} was given"
        )
    size = min(shape[1:])
    least = max((size - 1).bit_length() - 2, 2)  # at most 4 pixels remain
    most = max(size.bit_length() - 2, 0) + 2  # two blocks after the last pooling
    activation = activations("ReLU", "ELU", "GELU", "SiLU")
    window = ordinal(2, 3, name="pooling.window")
    options = {
        "max": nn.MaxPool2d(window, stride=2, padding=(window - 1) // 2),
        "average": nn.AvgPool2d(window, stride=2, padding=(window - 1) // 2),
    }
    pooling = choice(options, name="pooling")

    def block(index: int) -> Any:
        left = size >> index
        width = ordinal(*_up_to((32 << index) * 32 // max(size, 32), filters), name=f"block_{index}.filters")
        kernel = ordinal(*_up_to(left + 1, kernels), name=f"block_{index}.kernel")
        layers = [
            nn.LazyConv2d(width, kernel, padding=kernel // 2, bias=False),
            nn.BatchNorm2d(width),
            activation,
        ]
        return nn.Sequential(*layers, *[pooling] * (left >= 4))

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


def _up_to(bound: int, values: Sequence[int]) -> list[int]:
    """Return the values that are not above a bound, and the first one at least."""
    return [value for value in values if value <= bound] or [values[0]]
