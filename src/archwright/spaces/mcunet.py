"""Networks for microcontrollers."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from archwright import nn
from archwright.errors import SpaceError
from archwright.space import Space, lazy, ordinal
from archwright.spaces._blocks import conv_norm, inverted_residuals, separable
from archwright.spaces._registry import checked_input, register

__all__ = ["mcunet"]

_STEM, _FIRST = 32, 16  # the channels of the stem and of the block without expansion, at the width multiplier 1
_STAGES = (24, 40, 80, 96, 192, 320)  # the channels of each stage
_SHRINKING = (0, 1, 2, 4)  # the stages that halve the resolution, the first ones of small images first
_FRACTIONS = (0.5, 0.625, 0.75, 0.875, 1.0)  # of the resolution of the images


def _plain(space: Space) -> Iterator[dict[str, Any]]:
    """Yield MobileNetV2, as near to it as the space comes, from the smallest width and resolution upwards."""
    values: dict[str, list[Any]] = {name: list(decision.values()) for name, decision in space.decisions.items()}
    for place in (1, 0, 2):
        found: dict[str, Any] = {}
        for name, each in values.items():
            if name in ("width", "resolution"):
                found[name] = each[min(place, len(each) - 1)]
            else:
                wanted = 3 if name.endswith("kernel") else 6 if name.endswith("expansion") else 2
                found[name] = min(each, key=lambda value: abs(value - wanted))
        yield found


@register("mcunet", ranks=(3,), starts=_plain)
def mcunet(
    *,
    input_shape: Sequence[int] = (3, 160, 160),
    classes: int = 1000,
    resolutions: Sequence[int] | None = None,
    widths: Sequence[int] = (4, 8, 12, 16, 24, 32),
    blocks: tuple[int, int] = (1, 3),
    kernels: Sequence[int] = (3, 5, 7),
    expansions: Sequence[int] = (3, 4, 6),
) -> Space:
    """Networks for microcontrollers: inverted residuals of MobileNetV2 at a searched resolution and width.

    The resolution and the width set the memory of the activations, and are searched jointly with the rest: for all
    blocks the kernel of the depthwise convolution and the expansion, and for each of six stages the number of blocks.
    The first layer resizes the images. There is no layer between the last stage and the classifier, and all
    activations are ReLU6, so that 8-bit integers carry the whole network.

    `archwright.cost.Microcontroller` has the memory that a network takes. The method of the paper first selects the
    resolution and the width: those whose networks within the memory have the most FLOPs on average, see
    `archwright.cost.rank_options`.

    Lin et al., "MCUNet: Tiny deep learning on IoT devices", NeurIPS 2020; Sandler et al., "MobileNetV2: Inverted
    residuals and linear bottlenecks", CVPR 2018.

    Args:
        input_shape: (channels, height, width) of the images.
        classes: The number of classes.
        resolutions: The options for the smaller side of the resized images, ascending; by default five from half of
            that of the images up to it, multiples of 16 for images of 96 pixels or more, else of 4.
        widths: The options for the channels of the stem, multiples of 4 and ascending; 32 is the width multiplier 1.
        blocks: The minimum and maximum number of blocks in a stage.
        kernels: The options for the kernel of a block, odd and ascending.
        expansions: The options for the expansion of a block, ascending.

    Raises:
        SpaceError: An option is not allowed.

    Example:
        >>> space = aw.spaces.create("mcunet", input_shape=(3, 32, 32), classes=10, widths=(4, 8))
        >>> list(space.decisions["resolution"].values())
        [16, 20, 24, 28, 32]
    """
    shape = checked_input("mcunet", input_shape, classes)
    side = min(shape[1:])
    if resolutions is None:
        step = 16 if side >= 96 else 4 if side >= 8 else 1
        resolutions = sorted({max(step, round(side * part / step) * step) for part in _FRACTIONS[:-1]} | {side})
    if not resolutions or any(not 1 <= each <= side for each in resolutions):
        raise SpaceError(
            f"space 'mcunet': resolutions are from 1 to {side}, the smaller side of the images; "
            f"{resolutions!r} was given"
        )
    if not widths or any(width < 4 or width % 4 for width in widths):
        raise SpaceError(f"space 'mcunet': widths are multiples of 4; {widths!r} was given")
    if not 1 <= blocks[0] <= blocks[1]:
        raise SpaceError(f"space 'mcunet': blocks={blocks} hold 1 <= least <= greatest")
    if not kernels or any(kernel < 1 or kernel % 2 == 0 for kernel in kernels):
        raise SpaceError(f"space 'mcunet': kernels are odd and 1 or more; {kernels!r} was given")
    if not expansions or min(expansions) < 1:
        raise SpaceError(f"space 'mcunet': expansions are 1 or more; {expansions!r} was given")
    size = ordinal(*resolutions, name="resolution")
    width = ordinal(*widths, name="width")
    halved = min(max((side - 1).bit_length() - 2, 0), 5)
    channels = width * (_FIRST // 8) // 4
    layers: list[Any] = [
        lazy("archwright.spaces._mcunet:Resize")(size * shape[1] // side, size * shape[2] // side),
        conv_norm(shape[0], width, 3, nn.ReLU6(), stride=2 if halved else 1),
        separable(width, channels, 3, 1, nn.ReLU6()),
    ]
    for index, of_stage in enumerate(_STAGES):
        outputs = width * (of_stage // 8) // 4
        stride = 2 if index in _SHRINKING[: max(halved - 1, 0)] else 1
        layers.append(
            inverted_residuals(*(f"stage_{index}", channels, outputs, stride, blocks, kernels, expansions), nn.ReLU6())
        )
        channels = outputs
    model = nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(channels, classes))
    return Space(model=model, example_input=shape, name="mcunet")
