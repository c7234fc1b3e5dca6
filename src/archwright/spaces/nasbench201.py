"""The cell space of NAS-Bench-201 (Dong & Yang 2020), with conversion from and to official strings."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from archwright import nn
from archwright.errors import ArchitectureError, SpaceError
from archwright.space import Architecture, Graph, Space, cell, choice, graph, template
from archwright.spaces._blocks import classifier, relu_conv_norm, stem
from archwright.spaces._registry import checked_input, register

__all__ = ["OPERATIONS", "from_string", "nasbench201", "to_string"]

OPERATIONS = ("none", "skip_connect", "nor_conv_1x1", "nor_conv_3x3", "avg_pool_3x3")
"""The operations by their official names, in the official order."""

_NODES = 3
_PATTERN = re.compile(
    r"\+".join(
        r"\|" + "".join(rf"({'|'.join(OPERATIONS)})~{source}\|" for source in range(node))
        for node in range(1, _NODES + 1)
    )
)
_EDGES = [f"cell.edge_{source}_{node}" for node in range(1, _NODES + 1) for source in range(node)]


@register("nasbench201", ranks=(3,))
def nasbench201(
    *,
    input_shape: Sequence[int] = (3, 32, 32),
    classes: int = 10,
    C: int = 16,  # noqa: N803 - the paper's letters
    N: int = 5,  # noqa: N803
) -> Space:
    """The 15,625 cells of NAS-Bench-201: four nodes, six edges, five operations.

    Three stages of N equal cells; a residual block of stride 2 before the second and the third doubles the width. All
    cells of a network are the same. With the defaults the networks have exactly the published numbers of parameters,
    including operations that are not connected to the output. The residual block rounds odd sizes up.

    Dong & Yang, "NAS-Bench-201: Extending the Scope of Reproducible Neural Architecture Search", ICLR 2020.

    Args:
        input_shape: (channels, height, width).
        classes: The number of classes.
        C: Channels of the first stage.
        N: Cells of each stage.

    Raises:
        SpaceError: An option is not allowed.

    Example:
        >>> aw.spaces.create("nasbench201").size
        15625
    """
    shape = checked_input("nasbench201", input_shape, classes)
    if C < 1 or N < 1:
        raise SpaceError(f"space 'nasbench201': C and N are 1 or more; C={C}, N={N} was given")
    stage = template(_cell)
    model = nn.Sequential(
        stem(shape[0], C),
        *[stage(C)] * N,
        _reduction(C),
        *[stage(2 * C)] * N,
        _reduction(2 * C),
        *[stage(4 * C)] * N,
        nn.BatchNorm2d(4 * C),
        nn.ReLU(),
        classifier(4 * C, classes),
    )
    return Space(model=model, example_input=shape, name="nasbench201")


def to_string(architecture: Mapping[str, Any]) -> str:
    """Return the official string of an architecture, `|op~0|+|op~0|op~1|+|op~0|op~1|op~2|`.

    Raises:
        ArchitectureError: The architecture does not belong to this space.

    Example:
        >>> text = "|none~0|+|none~0|skip_connect~1|+|nor_conv_3x3~0|none~1|none~2|"
        >>> aw.spaces.nasbench201.to_string(aw.spaces.nasbench201.from_string(text)) == text
        True
    """
    try:
        operations = iter([architecture[edge] for edge in _EDGES])
    except KeyError as error:
        raise ArchitectureError(f"{architecture!r} is not of the space 'nasbench201': it lacks {error}") from None
    nodes = [[f"{next(operations)}~{source}" for source in range(node)] for node in range(1, _NODES + 1)]
    return "+".join(f"|{'|'.join(node)}|" for node in nodes)


def from_string(text: str) -> Architecture:
    """Return the architecture of an official string.

    Raises:
        ArchitectureError: The text is not such a string.

    Example:
        >>> text = "|none~0|+|none~0|skip_connect~1|+|nor_conv_3x3~0|none~1|none~2|"
        >>> list(aw.spaces.nasbench201.from_string(text).values())[:3]
        ['none', 'none', 'skip_connect']
    """
    found = _PATTERN.fullmatch(text.strip())
    if found is None:
        unknown = sorted(set(re.findall(r"[^|+~]+(?=~)", text)) - set(OPERATIONS))
        reason = f"unknown: {', '.join(unknown)}" if unknown else "the form is |op~0|+|op~0|op~1|+|op~0|op~1|op~2|"
        raise ArchitectureError(
            f"{text!r} is not a cell of NAS-Bench-201; {reason}; the operations are {', '.join(OPERATIONS)}"
        )
    return Architecture(dict(zip(_EDGES, found.groups(), strict=True)))


def _cell(width: Any) -> Graph:
    operations = (
        None,
        nn.Identity(),
        relu_conv_norm(width, width, 1),
        relu_conv_norm(width, width, 3),
        nn.AvgPool2d(3, stride=1, padding=1, count_include_pad=False),
    )
    options = dict(zip(OPERATIONS, operations, strict=True))
    return cell(lambda i, j: choice(options), nodes=_NODES, keep_unused=True, name="cell")


def _reduction(width: int) -> Graph:
    residual = nn.Sequential(relu_conv_norm(width, 2 * width, 3, stride=2), relu_conv_norm(2 * width, 2 * width, 3))
    shortcut = nn.Sequential(nn.AvgPool2d(2, ceil_mode=True), nn.Conv2d(width, 2 * width, 1, bias=False))
    return graph(lambda x: shortcut(x, name="shortcut") + residual(x, name="residual"), name="reduction")
