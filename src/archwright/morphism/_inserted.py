"""Initialisation of new layers such that the function of the network is preserved."""

from __future__ import annotations

import math
import operator
from collections.abc import Set
from typing import Any

import torch
from torch import fx, nn

_ADDITIONS = (operator.add, torch.add)
_CONV = nn.modules.conv._ConvNd
_BATCH_NORM = nn.modules.batchnorm._BatchNorm
_SCALED = (_CONV, nn.Linear, nn.modules.batchnorm._NormBase, nn.GroupNorm, nn.LayerNorm, nn.RMSNorm)
_ZERO_AT_ZERO = (
    # What gives 0 for 0 and lets gradients pass there; at the 0 of ReLU nothing could ever be learned.
    *(nn.GELU, nn.SiLU, nn.ELU, nn.CELU, nn.SELU, nn.Tanh, nn.Mish),
    *(nn.Identity, nn.Flatten, nn.modules.dropout._DropoutNd),
    *(nn.modules.pooling._MaxPoolNd, nn.modules.pooling._AvgPoolNd),
    *(nn.modules.pooling._AdaptiveAvgPoolNd, nn.modules.pooling._AdaptiveMaxPoolNd),
)


@torch.no_grad()
def insert(network: nn.Module, fresh: Set[str]) -> None:
    """Let new layers of a network begin as the identity, or as zeros at the end of a new branch that is added.

    Layers for which neither can be arranged stay as they are, and so do all where `torch.fx` cannot trace the network.
    """
    if not fresh:
        return
    try:
        graph = fx.Tracer().trace(network)
    except Exception:  # whatever a forward pass does with what stands for its input
        return
    layers = {node: network.get_submodule(str(node.target)) for node in graph.nodes if node.op == "call_module"}
    inside: set[fx.Node] = set()  # of a new branch
    for node in graph.nodes:
        for operand in node.all_input_nodes if node.target in _ADDITIONS else ():
            branch = _branch(operand)
            weighted = [each for each in branch if each in layers and [*layers[each].parameters()]]
            if weighted and all(str(each.target) in fresh for each in weighted):
                inside.update(weighted)
                after = branch[: branch.index(weighted[0])]
                if all(isinstance(layers.get(each), _ZERO_AT_ZERO) for each in after):
                    _begin_as_zeros(layers[weighted[0]])
    for node, layer in layers.items():
        if str(node.target) in fresh and node not in inside:
            _begin_as_identity(layer)


def _branch(node: fx.Node) -> list[fx.Node]:
    """Return the operations from a summand back to where its branch begins, the last one first."""
    found: list[fx.Node] = []
    while len(node.users) == 1 and len(node.all_input_nodes) == 1:
        found.append(node)
        node = node.all_input_nodes[0]
    return found


def _begin_as_zeros(layer: Any) -> None:
    if isinstance(layer, _SCALED) and layer.weight is not None:
        layer.weight.zero_()
        bias: Any = getattr(layer, "bias", None)
        if bias is not None:
            bias.zero_()


def _begin_as_identity(layer: Any) -> None:
    """Let a layer hand through what it is given, as many channels as come in and go out."""
    if isinstance(layer, _BATCH_NORM):
        if layer.affine:
            layer.weight.fill_(math.sqrt(1 + layer.eps))  # the running variance is 1
    elif isinstance(layer, nn.Linear | _CONV) and not getattr(layer, "transposed", False):
        count = min(len(layer.weight), layer.weight.shape[1] * getattr(layer, "groups", 1))
        centre = [size // 2 for size in layer.weight.shape[2:]]
        layer.weight[:count] = 0
        for channel in range(count):
            layer.weight[(channel, min(channel, layer.weight.shape[1] - 1), *centre)] = 1
        if layer.bias is not None:
            layer.bias[:count] = 0
