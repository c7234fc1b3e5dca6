"""Mobile networks of inverted residuals."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from archwright import nn
from archwright.errors import SpaceError
from archwright.space import Space, choice, graph, lazy, merge, ordinal, template
from archwright.spaces._blocks import conv_norm, inverted_residuals, separable
from archwright.spaces._registry import checked_input, register

__all__ = ["mobile"]

_STAGES = (24, 40, 80, 112, 160)  # the channels of each, where the stem has 16
_SHRINKING = (0, 1, 2, 4)  # the stages that halve the resolution, the first ones of small images first
_LARGE = (  # MobileNetV3-Large: blocks, kernel, expansion, squeeze and activation of each stage, as they are mostly
    (2, 3, 3, "none", "relu"),
    (3, 5, 3, "excite", "relu"),
    (4, 3, 3, "none", "hardswish"),
    (2, 3, 6, "excite", "hardswish"),
    (3, 5, 6, "excite", "hardswish"),
)
_KINDS = ("blocks", "kernel", "expansion", "squeeze", "activation")


def _plain(space: Space) -> Iterator[dict[str, Any]]:
    """Yield MobileNetV3-Large, as near to it as the space comes, in a middle width and in the others."""
    values = {name: list(decision.values()) for name, decision in space.decisions.items()}
    widths = values.get("width", [16])
    middle = widths[len(widths) // 2]
    for width in (middle, *(width for width in widths if width != middle)):
        found: dict[str, Any] = {"width": width, "dropout": 0.2}
        for name, each in values.items():
            if name.startswith("stage_"):
                wanted: Any = _LARGE[int(name[6])][_KINDS.index(name.rpartition(".")[2])]
                found[name] = wanted if wanted in each else min(each, key=lambda value: abs(value - wanted))
        yield {name: value for name, value in found.items() if name in values}


@register("mobile", ranks=(3,), starts=_plain)
def mobile(
    *,
    input_shape: Sequence[int] = (3, 224, 224),
    classes: int = 1000,
    widths: Sequence[int] | None = None,
    blocks: tuple[int, int] = (2, 4),
    kernels: Sequence[int] = (3, 5, 7),
    expansions: Sequence[int] = (3, 4, 6),
) -> Space:
    """Mobile networks: MobileNetV3 with the kernels, expansions and depths of Once-for-all.

    After a stem and a block without expansion come five stages of inverted residual blocks. For each block the kernel
    of its depthwise convolution (3, 5 or 7) and its expansion (3, 4 or 6) are decisions, and for each stage the number
    of blocks (2 to 4): the 2 * 10^19 networks of Once-for-all. Decisions are also for each stage whether its blocks
    weigh their channels (squeeze-and-excitation) and their activation (ReLU or h-swish), which MobileNetV3 fixes; and
    for all together the width, given by the channels of the stem (16 is the width multiplier 1, and the stages have 24,
    40, 80, 112 and 160 channels), and the dropout.

    Published are images of 224x224 pixels, which are halved five times. Smaller ones are halved less often, until about
    4 pixels are left, and the stem halves those above 32x32 alone.

    Howard et al., "Searching for MobileNetV3", ICCV 2019; Cai et al., "Once-for-All: Train one network and specialize
    it for efficient deployment", ICLR 2020.

    Args:
        input_shape: (channels, height, width).
        classes: The number of classes.
        widths: The options for the channels of the stem, even and ascending; by default 4, 6, 8 and 12 for images up to
            64 pixels, and 4, 8, 12 and 16 for larger ones.
        blocks: The minimum and maximum number of blocks in a stage.
        kernels: The options for the kernel of a block, odd and ascending.
        expansions: The options for the expansion of a block, ascending.

    Raises:
        SpaceError: An option is not allowed.

    Example:
        >>> space = aw.spaces.create("mobile", input_shape=(1, 28, 28), classes=10, blocks=(1, 2), kernels=(3,))
        >>> space.build(aw.spaces.starts(space)[0])(torch.rand(2, 1, 28, 28)).shape
        torch.Size([2, 10])
    """
    shape = checked_input("mobile", input_shape, classes)
    if not 1 <= blocks[0] <= blocks[1]:
        raise SpaceError(f"space 'mobile': blocks={blocks} hold 1 <= least <= greatest")
    size = min(shape[1:])
    widths = ((4, 6, 8, 12) if size <= 64 else (4, 8, 12, 16)) if widths is None else widths
    if not widths or any(width < 2 or width % 2 for width in widths):
        raise SpaceError(f"space 'mobile': widths are even and 2 or more; {widths!r} was given")
    if not kernels or any(kernel < 1 or kernel % 2 == 0 for kernel in kernels):
        raise SpaceError(f"space 'mobile': kernels are odd and 1 or more; {kernels!r} was given")
    if not expansions or min(expansions) < 1:
        raise SpaceError(f"space 'mobile': expansions are 1 or more; {expansions!r} was given")
    large = size > 32
    halved = min(max((size - 1).bit_length() - 2, 0), 5) - large
    width = ordinal(*widths, name="width")
    swish = nn.Hardswish()
    inputs: Any = width
    stages: list[Any] = []
    for index, channels in enumerate(_STAGES):
        outputs = width * (channels // 8) // 2
        stride = 2 if index in _SHRINKING[:halved] else 1
        activation = choice({"relu": nn.ReLU(), "hardswish": nn.Hardswish()}, name=f"stage_{index}.activation")
        squeeze = _squeeze(f"stage_{index}.squeeze")
        stages.append(
            inverted_residuals(
                *(f"stage_{index}", inputs, outputs, stride, blocks, kernels, expansions), activation, squeeze
            )
        )
        inputs = outputs
    model = nn.Sequential(
        conv_norm(shape[0], width, 3, swish, stride=2 if large else 1),
        graph(lambda x: merge(x, separable(width, width, 3, 1, nn.ReLU())(x, name="branch"), name="added")),
        *stages,
        conv_norm(inputs, width * 60, 1, swish),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(width * 60, width * 80),
        swish,
        nn.Dropout(ordinal(0.0, 0.1, 0.2, 0.3, name="dropout")),
        nn.Linear(width * 80, classes),
    )
    return Space(model=model, example_input=shape, name="mobile")


def _squeeze(name: str) -> Any:
    excite = lazy("archwright.spaces._mobile:SqueezeExcite")
    return template(lambda width: choice({"none": nn.Identity(), "excite": excite(width)}, name=name))
