"""The space of DARTS (Liu, Simonyan & Yang 2019), with conversion from and to published genotypes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from archwright import nn
from archwright.errors import ArchitectureError, SpaceError
from archwright.space import Architecture, Graph, Space, cell, choice, graph, merge, template
from archwright.spaces._blocks import classifier, relu_conv_norm, stem
from archwright.spaces._registry import checked_input, register

__all__ = ["OPERATIONS", "Genotype", "darts", "from_genotype", "to_genotype"]

OPERATIONS = (
    "max_pool_3x3",
    "avg_pool_3x3",
    "skip_connect",
    "sep_conv_3x3",
    "sep_conv_5x5",
    "dil_conv_3x3",
    "dil_conv_5x5",
)
"""The operations by their official names, in the official order."""

_NODES = range(2, 6)
_STEM = 3  # the stem is three times as wide as the first layer


class Genotype(NamedTuple):
    """Two cells in the published form: for each node two pairs of an operation and the index of its input node."""

    normal: tuple[tuple[str, int], ...]
    reduce: tuple[tuple[str, int], ...]


@register("darts", ranks=(3,))
def darts(
    *,
    input_shape: Sequence[int] = (3, 32, 32),
    classes: int = 10,
    C: int = 16,  # noqa: N803 - the paper's letter
    layers: int = 8,
    none: bool = False,
) -> Space:
    """The two cells of DARTS, about 10^18 pairs: four nodes each, two inputs per node, seven operations.

    A network is a sequence of cells, each with the outputs of the two before it as inputs. All normal cells of a
    network are the same; so are its two reduction cells, at a third and at two thirds of the depth, which halve the
    image and double the width. The published networks for CIFAR-10 have `C=36, layers=20`. There is no auxiliary head.

    Liu, Simonyan & Yang, "DARTS: Differentiable Architecture Search", ICLR 2019.

    Args:
        input_shape: (channels, height, width).
        classes: The number of classes.
        C: Channels of an operation in the first layer; even.
        layers: Number of cells, 3 or more.
        none: Whether "none", no operation, is an option of each edge, as in the supernet of DARTS.

    Raises:
        SpaceError: An option is not allowed.

    Example:
        >>> f"{aw.spaces.create('darts').size:.1e}"
        '1.1e+18'
    """
    shape = checked_input("darts", input_shape, classes)
    if C < 2 or C % 2 or layers < 3:
        raise SpaceError(f"space 'darts': C is even and layers is 3 or more; C={C}, layers={layers} was given")
    normal = template(lambda width: _cell("normal", width, 1, none))
    reduction = template(lambda width: _cell("reduction", width, 2, none))
    reductions = (layers // 3, 2 * layers // 3)

    def network(x: Any) -> Any:
        before = last = stem(shape[0], _STEM * C)(x, name="stem")
        widths, width = (_STEM * C, _STEM * C), C
        for index in range(layers):
            width *= 2 if index in reductions else 1
            part = (reduction if index in reductions else normal)(width)
            layer = _layer(part, widths, width, halved=index - 1 in reductions)
            before, last = last, layer(before, last, name=f"layer_{index}")
            widths = (widths[1], len(_NODES) * width)
        return classifier(widths[1], classes)(last, name="classifier")

    return Space(model=graph(network, name="network"), example_input=shape, name="darts")


def from_genotype(normal: Iterable[tuple[str, int]], reduce: Iterable[tuple[str, int]]) -> Architecture:
    """Return the architecture of a published genotype.

    Args:
        normal: The normal cell: for each node two pairs of an operation and the index of its input node, such as
            `("sep_conv_3x3", 0)`. Nodes 0 and 1 are the outputs of the two cells before.
        reduce: The reduction cell, in the same form.

    Raises:
        ArchitectureError: The genotype does not belong to this space; the message names the pair.

    Example:
        >>> cell = [("skip_connect", 0), ("sep_conv_3x3", 1)] * 4
        >>> architecture = aw.spaces.darts.from_genotype(cell, cell)
        >>> aw.spaces.darts.to_genotype(architecture).normal[:2]
        (('skip_connect', 0), ('sep_conv_3x3', 1))
    """
    decisions: dict[str, Any] = {}
    for name, pairs in (("normal", tuple(normal)), ("reduction", tuple(reduce))):
        if len(pairs) != 2 * len(_NODES):
            raise ArchitectureError(f"a genotype has {2 * len(_NODES)} pairs per cell; {name} has {len(pairs)}")
        for node, edges in zip(_NODES, zip(pairs[::2], pairs[1::2], strict=True), strict=True):
            sources = sorted(source for _, source in edges)
            if not 0 <= sources[0] < sources[1] < node:
                raise ArchitectureError(f"node {node} of {name} takes two different nodes before it, not {sources}")
            if node > _NODES[0]:
                decisions[f"{name}.node_{node}"] = tuple(map(str, sources))
            for operation, source in edges:
                if operation not in (*OPERATIONS, "none"):
                    allowed = ", ".join(OPERATIONS)
                    raise ArchitectureError(f"node {node} of {name}: {operation!r} is none of {allowed}")
                decisions[f"{name}.edge_{source}_{node}"] = operation
    return Architecture(decisions)


def to_genotype(architecture: Mapping[str, Any]) -> Genotype:
    """Return the published form of an architecture.

    Raises:
        ArchitectureError: The architecture does not belong to this space.

    Example:
        >>> architecture = aw.spaces.create("darts").sample(np.random.default_rng(0))
        >>> len(aw.spaces.darts.to_genotype(architecture).normal)
        8
    """

    def pairs(name: str) -> Iterable[tuple[str, int]]:
        for node in _NODES:
            for source in map(int, architecture[f"{name}.node_{node}"] if node > _NODES[0] else (0, 1)):
                yield architecture[f"{name}.edge_{source}_{node}"], source

    try:
        return Genotype(tuple(pairs("normal")), tuple(pairs("reduction")))
    except KeyError as error:
        raise ArchitectureError(f"{architecture!r} is not of the space 'darts': it lacks {error}") from None


def _cell(name: str, width: Any, stride: int, none: bool) -> Graph:
    """Return a cell in which the operations on its inputs have a stride."""
    outer, inner = _operations(width, stride, none), _operations(width, 1, none)
    return cell(
        lambda i, j: choice(outer if i < 2 else inner),
        nodes=len(_NODES),
        inputs=2,
        fan_in=2,
        output="concat",
        name=name,
    )


def _layer(part: Any, widths: tuple[int, int], width: int, *, halved: bool) -> Graph:
    """Return a cell with what brings its two inputs to its width; `halved` is true after a reduction."""
    first = _halve(widths[0], width) if halved else relu_conv_norm(widths[0], width, 1)
    second = relu_conv_norm(widths[1], width, 1)
    return graph(
        lambda x, y: part(first(x, name="preprocess_0"), second(y, name="preprocess_1"), name="cell"), name="layer"
    )


def _operations(width: Any, stride: int, none: bool) -> dict[str, Any]:
    options = (
        nn.MaxPool2d(3, stride=stride, padding=1),
        nn.AvgPool2d(3, stride=stride, padding=1, count_include_pad=False),
        nn.Identity() if stride == 1 else _halve(width, width),
        nn.Sequential(_separable(width, 3, stride), _separable(width, 3, 1)),
        nn.Sequential(_separable(width, 5, stride), _separable(width, 5, 1)),
        _separable(width, 3, stride, dilation=2),
        _separable(width, 5, stride, dilation=2),
    )
    absent = {"none": None if stride == 1 else _zeros(stride)} if none else {}
    return absent | dict(zip(OPERATIONS, options, strict=True))


def _zeros(stride: int) -> Any:
    """Return what gives zeros in the size that a stride leaves: no number is large enough to pass."""
    return nn.Sequential(nn.MaxPool2d(1, stride=stride), nn.Hardshrink(1e38))


def _separable(width: Any, kernel: int, stride: int, dilation: int = 1) -> Any:
    """Return ReLU, a depthwise and a pointwise convolution, and batch normalisation."""
    padding = dilation * (kernel // 2)
    return nn.Sequential(
        nn.ReLU(),
        nn.Conv2d(width, width, kernel, stride, padding, dilation=dilation, groups=width, bias=False),
        nn.Conv2d(width, width, 1, bias=False),
        nn.BatchNorm2d(width),
    )


def _halve(inputs: Any, outputs: Any) -> Graph:
    """Return two 1x1 convolutions of stride 2 side by side, one of them on the image shifted by a pixel."""

    def body(x: Any) -> Any:
        active = nn.ReLU()(x, name="relu")
        shifted = nn.ZeroPad2d((-1, 1, -1, 1))(active, name="shift")
        even = nn.Conv2d(inputs, outputs // 2, 1, stride=2, bias=False)(active, name="even")
        odd = nn.Conv2d(inputs, outputs // 2, 1, stride=2, bias=False)(shifted, name="odd")
        return nn.BatchNorm2d(outputs)(merge(even, odd, kind="concat", name="both"), name="norm")

    return graph(body, name="halve")
