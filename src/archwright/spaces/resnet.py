"""Residual networks."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from archwright import nn
from archwright.errors import SpaceError
from archwright.space import Choice, Graph, Space, choice, graph, merge, ordinal, repeat
from archwright.spaces._blocks import activations
from archwright.spaces._registry import checked_input, register

__all__ = ["resnet"]


def _plain(space: Space) -> Iterator[dict[str, Any]]:
    """Yield the design of the paper for small images in all its sizes: basic blocks of 3x3 kernels, widths that double.

    The shallowest come first, and of those the ones of most stages and of the greatest width.
    """
    values = {name: list(decision.values()) for name, decision in space.decisions.items()}
    most = sum(name.startswith("stage_") and name.endswith(".width") for name in values)
    places = range(len(values["stage_0.width"]))
    for blocks in values.get("stage_0.blocks", [1]):
        for stages in reversed(values.get("stages", [most])):
            for place in reversed(places):
                found = {"activation": "relu", "kernel": 3, "dropout": 0.0, "stages": stages}
                found["stem.width"] = values["stem.width"][place // 2]
                for index in range(most):
                    found[f"stage_{index}.width"] = values[f"stage_{index}.width"][place]
                    found |= {f"stage_{index}.blocks": blocks, f"stage_{index}.block": "basic"}
                yield {name: value for name, value in found.items() if name in values}


@register("resnet", ranks=(3,), starts=_plain)
def resnet(
    *,
    input_shape: Sequence[int] = (3, 32, 32),
    classes: int = 10,
    stages: tuple[int, int] = (2, 4),
    blocks: tuple[int, int] = (1, 3),
    widths: Sequence[int] = (16, 24, 32, 48),
) -> Space:
    """Residual networks: stages of residual blocks with searched widths, depths, block types and kernels.

    The decisions are the width of the stem and the number of stages; for each stage its width, the number of its blocks
    and their kind (basic or bottleneck); and for all together the kernel, the activation and the dropout. Each stage
    begins with a convolution of stride 2, so that only the stem has the full resolution, which it halves for images
    above 32x32: this limits the cost of the networks.

    He et al., "Deep Residual Learning for Image Recognition", CVPR 2016.

    Args:
        input_shape: (channels, height, width).
        classes: The number of classes.
        stages: The minimum and maximum number of stages; limited for small images, to 2 or 3 up to 32x32.
        blocks: The minimum and maximum number of residual blocks in a stage.
        widths: The options for the width of the first stage, ascending and even; doubled for each further stage.

    Raises:
        SpaceError: An option is not allowed.

    Example:
        >>> space = aw.spaces.create("resnet", input_shape=(1, 28, 28))
        >>> space.size
        1382400
    """
    shape = checked_input("resnet", input_shape, classes)
    if not 1 <= stages[0] <= stages[1] or not 1 <= blocks[0] <= blocks[1]:
        raise SpaceError(f"space 'resnet': stages={stages} and blocks={blocks} hold 1 <= least <= greatest")
    if not widths or any(width < 2 or width % 2 for width in widths):
        raise SpaceError(f"space 'resnet': widths are even and 2 or more; {widths!r} was given")
    large = min(shape[1:]) > 32
    size = min(shape[1:]) // (2 if large else 1)
    most = min(stages[1], max((size - 1).bit_length() - 2, 2))  # the last stage has about 4 pixels
    activation = activations("ReLU", "GELU", "SiLU")
    kernel = ordinal(3, 5, name="kernel")

    def stage(index: int) -> Any:
        width = ordinal(*(width << index for width in widths), name=f"stage_{index}.width")
        kinds = {"basic": _basic(width, kernel, activation), "bottleneck": _bottleneck(width, kernel, activation)}
        block = choice(kinds, name=f"stage_{index}.block")
        return nn.Sequential(
            _convolution(width, activation, stride=2), repeat(lambda _: block, *blocks, name=f"stage_{index}.blocks")
        )

    model = nn.Sequential(
        _convolution(ordinal(*widths, name="stem.width"), activation, stride=2 if large else 1),
        repeat(stage, min(stages[0], most), most, name="stages"),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Dropout(ordinal(0.0, 0.1, 0.2, 0.3, name="dropout")),
        nn.LazyLinear(classes),
    )
    return Space(model=model, example_input=shape, name="resnet")


def _convolution(width: Any, activation: Choice, stride: int) -> Any:
    return nn.Sequential(
        nn.LazyConv2d(width, 3, stride=stride, padding=1, bias=False), nn.BatchNorm2d(width), activation
    )


def _basic(width: Any, kernel: Any, activation: Choice) -> Graph:
    return _residual(
        activation,
        nn.Conv2d(width, width, kernel, padding=kernel // 2, bias=False),
        nn.BatchNorm2d(width),
        activation,
        nn.Conv2d(width, width, kernel, padding=kernel // 2, bias=False),
        nn.BatchNorm2d(width),
    )


def _bottleneck(width: Any, kernel: Any, activation: Choice) -> Graph:
    inner = width // 2
    return _residual(
        activation,
        nn.Conv2d(width, inner, 1, bias=False),
        nn.BatchNorm2d(inner),
        activation,
        nn.Conv2d(inner, inner, kernel, padding=kernel // 2, bias=False),
        nn.BatchNorm2d(inner),
        activation,
        nn.Conv2d(inner, width, 1, bias=False),
        nn.BatchNorm2d(width),
    )


def _residual(activation: Choice, *layers: Any) -> Graph:
    branch = nn.Sequential(*layers)
    return graph(
        lambda x: activation(merge(x, branch(x, name="branch"), name="added"), name="activation"), name="residual"
    )
