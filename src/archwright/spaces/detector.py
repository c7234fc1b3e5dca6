"""Anchor-free object detectors."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from archwright import nn
from archwright.errors import SpaceError
from archwright.space import Choice, Graph, Space, choice, graph, lazy, merge, ordinal, repeat
from archwright.spaces._blocks import activations
from archwright.spaces._registry import checked_input, register

__all__ = ["detector"]


def _plain(space: Space) -> Iterator[dict[str, Any]]:
    """Yield plain designs: two blocks in each stage, a pyramid without repetition, a shared head of two layers."""
    values = {name: list(decision.values()) for name, decision in space.decisions.items()}
    for place in (1, 0, 2):
        found: dict[str, Any] = {"activation": "relu", "head": "shared", "neck": "top-down", "head.depth": 2}
        found["neck.repeats"] = values["neck.repeats"][0]
        found |= {name: each[min(place, len(each) - 1)] for name, each in values.items() if name.endswith("width")}
        found |= {name: each[min(1, len(each) - 1)] for name, each in values.items() if name.endswith("blocks")}
        yield {name: value for name, value in found.items() if name in values}


@register("detector", ranks=(3,), starts=_plain, special=True)
def detector(
    *,
    input_shape: Sequence[int] = (3, 256, 256),
    classes: int = 2,
    widths: Sequence[int] = (16, 24, 32, 48),
    blocks: tuple[int, int] = (1, 3),
    necks: Sequence[int] = (32, 48, 64, 96, 128),
    repeats: tuple[int, int] = (1, 3),
    depths: tuple[int, int] = (1, 4),
) -> Space:
    """One-stage detectors without anchors: a residual backbone, a feature pyramid and a head.

    The backbone has a stem of stride 4 and three stages, of strides 8, 16 and 32, each with a width and a number of
    residual blocks (the searched backbones of Chen et al., "DetNAS", NeurIPS 2019). The neck brings the three levels to
    one width and merges them from coarse to fine (Lin et al., "Feature pyramid networks", CVPR 2017) or also back
    again, as the layers of Tan, Pang and Le, "EfficientDet", CVPR 2020, once to three times. The head has one to four
    convolutions and is shared by the levels or not (Tian et al., "FCOS", ICCV 2019).

    The output has shape (n, locations, classes + 5): for each location of each level, finest first and row by row, the
    scores of the classes, that of being central, and the distances to the left, upper, right and lower side in strides
    before softplus.

    Args:
        input_shape: (channels, height, width); the sides are multiples of 32.
        classes: The number of classes.
        widths: The options for the channels of the first stage, ascending and even; doubled for each further stage.
        blocks: The minimum and maximum number of residual blocks in a stage.
        necks: The options for the channels of the neck and the head, multiples of 8.
        repeats: The minimum and maximum number of layers of the neck.
        depths: The minimum and maximum number of convolutions in a head.

    Raises:
        SpaceError: An option is not allowed.

    Example:
        >>> aw.spaces.create("detector", input_shape=(1, 64, 64)).size > 1_000_000
        True
    """
    shape = checked_input("detector", input_shape, classes)
    if any(side % 32 for side in shape[1:]):
        raise SpaceError(f"space 'detector': sides are multiples of 32, not {shape[1]}x{shape[2]}; give size=")
    for name, pair in (("blocks", blocks), ("repeats", repeats), ("depths", depths)):
        if not 1 <= pair[0] <= pair[1]:
            raise SpaceError(f"space 'detector': {name}={pair} hold 1 <= least <= greatest")
    if any(width < 2 or width % 2 for width in widths) or any(width < 8 or width % 8 for width in necks):
        raise SpaceError(f"space 'detector': widths={widths!r} are even, and necks={necks!r} multiples of 8")
    activation = activations("ReLU", "SiLU")
    neck = ordinal(*necks, name="neck.width")
    first = ordinal(*widths, name="stem.width")
    stages = []
    for index in range(3):
        width = ordinal(*(width << index for width in widths), name=f"stage_{index}.width")
        stages.append(_stage(width, activation, blocks, f"stage_{index}.blocks"))
    stem = nn.Sequential(_convolution(first, activation, stride=2), _convolution(first, activation, stride=2))
    laterals = [nn.Sequential(nn.LazyConv2d(neck, 1, bias=False), nn.BatchNorm2d(neck)) for _ in range(3)]
    tower = _head(neck, activation, classes, depths)
    together = lazy("archwright.spaces._detector:Joined")(classes)

    def separate(fine: Any, middle: Any, coarse: Any) -> Any:
        levels = tower(fine, name="fine"), tower(middle, name="middle"), tower(coarse, name="coarse")
        return together(*levels, name="joined")

    shared = lazy("archwright.spaces._detector:SharedHead")(tower, classes)
    heads = {"shared": shared, "separate": graph(separate)}
    head = choice(heads, name="head")
    back = choice({"top-down": None, "both ways": nn.MaxPool2d(2)}, name="neck")

    def rest(layers: int) -> Graph:
        def body(fine: Any, middle: Any, coarse: Any) -> Any:
            for _ in range(layers):
                fine, middle, coarse = _merged(fine, middle, coarse, neck, activation, back)
            return head(fine, middle, coarse)

        return graph(body, name="pyramid")

    options = {count: rest(count) for count in range(repeats[0], repeats[1] + 1)}
    pyramid = choice(options, name="neck.repeats") if len(options) > 1 else options[repeats[0]]

    def network(x: Any) -> Any:
        fine = stages[0](stem(x, name="stem"), name="stage_0")
        middle = stages[1](fine, name="stage_1")
        coarse = stages[2](middle, name="stage_2")
        return pyramid(laterals[0](fine), laterals[1](middle), laterals[2](coarse), name="pyramid")

    return Space(model=graph(network), example_input=shape, name="detector")


def _merged(fine: Any, middle: Any, coarse: Any, width: Any, activation: Choice, back: Choice) -> tuple[Any, ...]:
    """Return the three levels after a layer of the pyramid."""
    up = nn.Upsample(scale_factor=2)
    middle = _smooth(width, activation)(merge(middle, up(coarse)))
    fine = _smooth(width, activation)(merge(fine, up(middle)))
    middle = _smooth(width, activation)(merge(middle, back(fine)))
    coarse = _smooth(width, activation)(merge(coarse, back(middle)))
    return fine, middle, coarse


def _stage(width: Any, activation: Choice, blocks: tuple[int, int], name: str) -> Any:
    block = _residual(width, activation)
    return nn.Sequential(_convolution(width, activation, stride=2), repeat(lambda _: block, *blocks, name=name))


def _smooth(width: Any, activation: Choice) -> Any:
    """Return a separable 3x3 convolution."""
    return nn.Sequential(
        nn.Conv2d(width, width, 3, padding=1, groups=width, bias=False),
        nn.Conv2d(width, width, 1, bias=False),
        nn.BatchNorm2d(width),
        activation,
    )


def _head(width: Any, activation: Choice, classes: int, depths: tuple[int, int]) -> Any:
    layer = nn.Sequential(nn.Conv2d(width, width, 3, padding=1, bias=False), nn.GroupNorm(8, width), activation)
    return nn.Sequential(
        repeat(lambda _: layer, *depths, name="head.depth"), nn.Conv2d(width, classes + 5, 3, padding=1)
    )


def _convolution(width: Any, activation: Choice, stride: int) -> Any:
    return nn.Sequential(
        nn.LazyConv2d(width, 3, stride=stride, padding=1, bias=False), nn.BatchNorm2d(width), activation
    )


def _residual(width: Any, activation: Choice) -> Graph:
    branch = nn.Sequential(
        nn.Conv2d(width, width, 3, padding=1, bias=False),
        nn.BatchNorm2d(width),
        activation,
        nn.Conv2d(width, width, 3, padding=1, bias=False),
        nn.BatchNorm2d(width),
    )
    return graph(
        lambda x: activation(merge(x, branch(x, name="branch"), name="added"), name="activation"), name="residual"
    )
