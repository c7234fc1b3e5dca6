"""Modern convolutional networks."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from archwright import nn
from archwright.errors import SpaceError
from archwright.space import Space, graph, lazy, merge, ordinal, repeat
from archwright.spaces._registry import checked_input, register

__all__ = ["convnext"]

_LAYERS = "archwright.spaces._vision:"
_RATIO = 3  # blocks of the third stage, for each of another


def _plain(space: Space) -> Iterator[dict[str, Any]]:
    """Yield the design of the paper in several widths, in the depth of its smallest networks: 2, 2, 6 and 2 blocks."""
    values = {name: list(decision.values()) for name, decision in space.decisions.items()}
    for place in (2, 0, -1):
        found: dict[str, Any] = {"dropout": 0.0}
        for name, each in values.items():
            kind = name.rpartition(".")[2]
            wanted = {"blocks": 2 * _RATIO if name.startswith("stage_2") else 2, "kernel": 7, "expansion": 4}
            if kind == "width":
                found[name] = each[min(place, len(each) - 1)]
            elif kind in wanted:
                found[name] = wanted[kind] if wanted[kind] in each else each[-1]
        if "patch" in values:
            found["patch"] = values["patch"][0]
        yield {name: value for name, value in found.items() if name in values}


@register("convnext", ranks=(3,), starts=_plain)
def convnext(
    *,
    input_shape: Sequence[int] = (3, 224, 224),
    classes: int = 1000,
    widths: Sequence[int] = (24, 32, 40, 48, 64),
    blocks: tuple[int, int] = (1, 3),
    kernels: Sequence[int] = (5, 7, 9),
    expansions: Sequence[int] = (2, 3, 4),
    patches: Sequence[int] | None = None,
    layer_scale: float = 1.0,
) -> Space:
    """Convolutional networks as ConvNeXt: patches, large depthwise kernels, layer norm, inverted bottlenecks.

    The stem cuts the image into patches. Up to four stages follow, each with half the resolution of the one before. A
    block is a depthwise convolution, a layer norm, and two linear layers with GELU between them, weighed for each
    channel and added to its input. The decisions are for each stage its width, the number of its blocks (the third
    stage has up to three times as many), the kernel (7 in the paper) and how many times as wide as the stage a block is
    inside (4 in the paper); and for all together the size of the patches and the dropout. With the width 40, doubled in
    each stage, and 2, 2, 6 and 2 blocks it is ConvNeXt-Atto, and 48, 64, 80 and 96 are Femto, Pico, Nano and Tiny.

    Liu et al., "A ConvNet for the 2020s", CVPR 2022; the small ones from Woo et al., "ConvNeXt V2", CVPR 2023.

    Args:
        input_shape: (channels, height, width).
        classes: The number of classes.
        widths: The options for the width of the first stage, ascending; doubled for each further stage.
        blocks: The minimum and maximum number of blocks in a stage.
        kernels: The options for the kernels, odd and ascending.
        expansions: The options for how many times as wide a block is inside, ascending.
        patches: The options for the sides of the patches, in pixels; by default those of 1, 2 and 4 that leave 7 to
            16 of them in a row, and 4 for images above 64 pixels.
        layer_scale: What the weights of the channels of a block begin as. In the paper 1e-6, for trainings of hundreds
            of epochs; in short ones blocks would hardly learn.

    Raises:
        SpaceError: An option is not allowed.

    Example:
        >>> space = aw.spaces.create("convnext", input_shape=(1, 28, 28), classes=10)
        >>> list(space.decisions)[:5]
        ['stage_0.width', 'patch', 'stage_0.blocks', 'stage_0.kernel', 'stage_0.expansion']
    """
    shape = checked_input("convnext", input_shape, classes)
    size = min(shape[1:])
    sides = tuple(patches or [side for side in (1, 2, 4) if 7 <= size // side <= 16] or [4 if size > 64 else 1])
    if not 1 <= blocks[0] <= blocks[1]:
        raise SpaceError(f"space 'convnext': blocks={blocks} hold 1 <= least <= greatest")
    if not widths or min(widths) < 1 or not expansions or min(expansions) < 1:
        raise SpaceError(f"space 'convnext': widths={widths!r} and expansions={expansions!r} are 1 or more")
    if not kernels or any(kernel < 1 or kernel % 2 == 0 for kernel in kernels):
        raise SpaceError(f"space 'convnext': kernels are odd and 1 or more; {kernels!r} was given")
    if not 1 <= min(sides) <= max(sides) <= size:
        raise SpaceError(f"space 'convnext': patches of {sides} pixels do not fit {shape[1]}x{shape[2]}")
    patch = ordinal(*sides, name="patch") if len(sides) > 1 else sides[0]
    stages = []
    before: Any = None
    for index in range(min(4, max(1, (size // max(sides) - 1).bit_length()))):
        width = ordinal(*(width << index for width in widths), name=f"stage_{index}.width")
        if before is None:
            stages += [nn.Conv2d(shape[0], width, patch, stride=patch), _normed(width)]
        else:
            stages += [_normed(before), nn.Conv2d(before, width, 2, stride=2)]
        depth = blocks[0], blocks[1] * (_RATIO if index == 2 else 1)
        stages.append(_blocks(f"stage_{index}", width, depth, kernels, expansions, layer_scale))
        before = width
    model = nn.Sequential(
        *stages,
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.LayerNorm(before, eps=1e-6),
        nn.Dropout(ordinal(0.0, 0.1, 0.2, 0.3, name="dropout")),
        nn.Linear(before, classes),
    )
    return Space(model=model, example_input=shape, name="convnext")


def _normed(width: Any) -> Any:
    """Return a layer norm over the channels of each pixel."""
    return nn.Sequential(
        _permuted("channels_last", 0, 2, 3, 1),
        nn.LayerNorm(width, eps=1e-6),
        _permuted("channels_first", 0, 3, 1, 2),
    )


def _permuted(name: str, *axes: int) -> Any:
    return graph(lambda x: lazy("torch:permute")(x, axes), name=name)


def _blocks(
    name: str,
    width: Any,
    depth: tuple[int, int],
    kernels: Sequence[int],
    expansions: Sequence[int],
    scale: float,
) -> Any:
    kernel = ordinal(*kernels, name=f"{name}.kernel")
    inner = width * ordinal(*expansions, name=f"{name}.expansion")
    branch = nn.Sequential(
        nn.Conv2d(width, width, kernel, padding=kernel // 2, groups=width),
        _permuted("channels_last", 0, 2, 3, 1),
        nn.LayerNorm(width, eps=1e-6),
        nn.Linear(width, inner),
        nn.GELU(),
        nn.Linear(inner, width),
        lazy(f"{_LAYERS}LayerScale")(width, scale),
        _permuted("channels_first", 0, 3, 1, 2),
    )
    block = graph(lambda x: merge(x, branch(x, name="branch"), name="added"), name="residual")
    return repeat(lambda _: block, *depth, name=f"{name}.blocks")
