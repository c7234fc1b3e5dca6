"""U-Nets for semantic segmentation."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from archwright import nn
from archwright.errors import SpaceError
from archwright.space import Choice, Graph, Space, choice, graph, merge, ordinal
from archwright.spaces._blocks import activations
from archwright.spaces._registry import checked_input, register

__all__ = ["unet"]


def _plain(space: Space) -> Iterator[dict[str, Any]]:
    """Yield the design of the paper in several sizes, the middle one first."""
    values = {name: list(decision.values()) for name, decision in space.decisions.items()}
    plain = {"activation": "relu", "skip": "concat", "dilation": 1, "dropout": 0.0, "kernel": 3}
    depths = values.get("depth", ["2"])
    for place in (len(depths) // 2, 0, -1):
        for width in (values["width"][len(values["width"]) // 2], values["width"][0]):
            found = {**plain, "depth": depths[place], "width": width}
            yield {name: value for name, value in found.items() if name in values}


@register("unet", ranks=(3,), starts=_plain, special=True)
def unet(
    *,
    input_shape: Sequence[int] = (3, 128, 128),
    classes: int = 2,
    depths: tuple[int, int] = (2, 5),
    widths: Sequence[int] = (8, 16, 24, 32, 48),
) -> Space:
    """U-Nets: an encoder and a decoder with searched depth, width, skip connections and dilation.

    Each level has two convolutions on the way down and two on the way up, and its width is twice that of the level
    above; between levels are a max pooling and a bilinear upsampling with a 1x1 convolution. The decisions are the
    number of levels below the first, the width of the first level, what a skip connection does (added, concatenated, or
    none), the dilation of the convolutions at the lowest level, and for all together the kernel, the activation and the
    dropout. The output has a score for each class and pixel.

    Ronneberger, Fischer and Brox, "U-Net: Convolutional networks for biomedical image segmentation", MICCAI 2015; the
    dilation as in Liu et al., "Auto-DeepLab: Hierarchical neural architecture search for semantic image segmentation",
    CVPR 2019.

    Args:
        input_shape: (channels, height, width).
        classes: The number of classes.
        depths: The minimum and maximum number of levels below the first; limited where the sides of the image cannot be
            halved so often.
        widths: The options for the channels of the first level, ascending.

    Raises:
        SpaceError: An option is not allowed, or the image cannot be halved often enough.

    Example:
        >>> space = aw.spaces.create("unet", input_shape=(1, 64, 64))
        >>> space.size
        3240
    """
    shape = checked_input("unet", input_shape, classes)
    if not 1 <= depths[0] <= depths[1]:
        raise SpaceError(f"space 'unet': depths={depths} hold 1 <= least <= greatest")
    if not widths or min(widths) < 1:
        raise SpaceError(f"space 'unet': widths are 1 or more; {widths!r} was given")
    halved = min((side & -side).bit_length() - 1 for side in shape[1:])  # how often both sides can be halved
    halved = min(halved, (min(shape[1:]) - 1).bit_length() - 1)  # at least two pixels are left
    if halved < depths[0]:
        raise SpaceError(
            f"space 'unet': images of {shape[1]}x{shape[2]} pixels cannot be halved {depths[0]} times; give sides that "
            f"are multiples of {2 ** depths[0]}, such as size={max(1, round(min(shape[1:]) / 32)) * 32}"
        )
    width = ordinal(*widths, name="width")
    kernel = ordinal(3, 5, name="kernel")
    dilation = ordinal(1, 2, 4, name="dilation")
    activation = activations("ReLU", "GELU", "SiLU")
    skips = {
        "add": graph(lambda skip, below: merge(skip, below)),
        "concat": graph(lambda skip, below: merge(skip, below, kind="concat")),
        "none": graph(lambda skip, below: below),
    }
    skip = choice(skips, name="skip")

    def level(depth: int, index: int = 0) -> Any:
        channels = width * 2**index
        if index == depth:
            return _block(channels, kernel, activation, dilation)
        down, up = _block(channels, kernel, activation), _block(channels, kernel, activation)
        below = nn.Sequential(
            nn.MaxPool2d(2),
            level(depth, index + 1),
            nn.Upsample(scale_factor=2, mode="bilinear"),
            nn.LazyConv2d(channels, 1, bias=False),
            nn.BatchNorm2d(channels),
        )
        return _level(down, below, skip, up)

    options = {depth: level(depth) for depth in range(depths[0], min(depths[1], halved) + 1)}
    model = nn.Sequential(
        choice(options, name="depth") if len(options) > 1 else next(iter(options.values())),
        nn.Dropout2d(ordinal(0.0, 0.1, 0.2, name="dropout")),
        nn.LazyConv2d(classes, 1),
    )
    return Space(model=model, example_input=shape, name="unet")


def _level(down: Any, below: Any, skip: Choice, up: Any) -> Graph:
    def body(x: Any) -> Any:
        kept = down(x, name="down")
        return up(skip(kept, below(kept, name="below"), name="skip"), name="up")

    return graph(body, name="level")


def _block(channels: Any, kernel: Any, activation: Choice, dilation: Any = 1) -> Any:
    return nn.Sequential(
        nn.LazyConv2d(channels, kernel, padding="same", dilation=dilation, bias=False),
        nn.BatchNorm2d(channels),
        activation,
        nn.Conv2d(channels, channels, kernel, padding="same", bias=False),
        nn.BatchNorm2d(channels),
        activation,
    )
