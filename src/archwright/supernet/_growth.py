"""What becomes of a layer's function when the layer grows, or is new and begins in a way of our choice."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor, nn

__all__ = [
    "PASSING",
    "POOLS",
    "POSITIVE",
    "SLOPED",
    "alike",
    "begin",
    "can_be_zero",
    "differences",
    "fits",
    "handed",
    "is_equal",
    "is_hooked",
    "is_local",
    "is_of_torch",
    "keeps",
]

PASSING = (nn.Identity, nn.modules.dropout._DropoutNd)
"""What gives its input as it is, in evaluation mode."""

POSITIVE = (nn.ReLU, nn.ReLU6, nn.Sigmoid, nn.Softplus, nn.Hardsigmoid)
"""What gives nothing below 0."""

SLOPED = (nn.GELU, nn.SiLU, nn.ELU, nn.CELU, nn.SELU, nn.Tanh, nn.Mish)
"""What gives 0 for 0, and lets gradients pass there; at the 0 of ReLU nothing could ever be learned."""

POOLS = (
    *(nn.modules.pooling._MaxPoolNd, nn.modules.pooling._AvgPoolNd),
    *(nn.modules.pooling._AdaptiveAvgPoolNd, nn.modules.pooling._AdaptiveMaxPoolNd),
)
"""What takes together places, and no channels."""

_OTHERS = (nn.LeakyReLU, nn.LogSigmoid, nn.Softsign, nn.Hardtanh, nn.Hardswish, nn.Hardshrink, nn.Softshrink)
_ELEMENTWISE = (*PASSING, *POSITIVE, *SLOPED, *_OTHERS, nn.Tanhshrink)
_CONV = nn.modules.conv._ConvNd
_TRANSPOSED = nn.modules.conv._ConvTransposeNd
_NORM = nn.modules.batchnorm._NormBase
_BATCH = nn.modules.batchnorm._BatchNorm

_PLAIN = frozenset(vars(nn.Module()))
_CONV_SIZES = {"in_channels", "out_channels", "groups", "kernel_size", "padding"}


def is_of_torch(layer: nn.Module) -> bool:
    """Tell whether what a layer does is known, for its class is one of torch."""
    return type(layer).__module__.startswith("torch.nn.modules.")


def is_hooked(layer: nn.Module) -> bool:
    """Tell whether a layer does something besides what its class says, such as weight normalisation."""
    return bool(layer._forward_hooks or layer._forward_pre_hooks or "forward" in vars(layer))


def differences(one: nn.Module, other: nn.Module) -> set[str]:
    """Return the names of attributes that differ, tensors and modules left out; of torch's classes the public ones."""
    names = (vars(one).keys() | vars(other).keys()) - _PLAIN
    if is_of_torch(one):
        names = {name for name in names if not name.startswith("_")}
    return {name for name in names if not is_equal(vars(one).get(name), vars(other).get(name))}


def is_equal(one: Any, other: Any) -> bool:
    """Tell whether two values are known to be equal."""
    if one is other:
        return True
    if isinstance(one, Tensor) and isinstance(other, Tensor):
        return torch.equal(one, other)
    try:
        return bool(one == other)
    except (RuntimeError, TypeError, ValueError):  # what holds tensors or arrays may not say
        return False


def alike(one: nn.Module, other: nn.Module) -> bool:
    """Tell whether two modules make the same of the same tensors, as far as their classes and attributes tell."""
    inner, outer = dict(one.named_children()), dict(other.named_children())
    return (
        type(one) is type(other)
        and not is_hooked(one)
        and not is_hooked(other)
        and not differences(one, other)
        and inner.keys() == outer.keys()
        and all(alike(inner[name], outer[name]) for name in inner)
    )


def fits(inner: Any, outer: Any) -> bool:
    """Tell whether two shapes differ in their channels alone, of which the first has more or as many."""
    return len(inner) == len(outer) >= 2 and inner[2:] == outer[2:] and bool(inner[1] >= outer[1])


def is_local(layer: nn.Module, inner: torch.Size, outer: torch.Size) -> bool:
    """Tell whether a layer without weights makes of each channel what it makes of it alone.

    Args:
        layer: The layer.
        inner: The shape that goes in.
        outer: The shape of its leading part that is looked at.
    """
    if isinstance(layer, nn.Flatten):
        return layer.start_dim == 1 and layer.end_dim in (-1, len(inner) - 1) and fits(inner, outer)
    is_pool = isinstance(layer, POOLS) and len(inner) == 2 + _axes(layer) and fits(inner, outer)
    return isinstance(layer, _ELEMENTWISE) or is_pool


def keeps(layer: Any, former: Any, inner: torch.Size, outer: torch.Size) -> bool:
    """Tell whether a layer, given more, gives what it gave and more, if nothing that is added reaches what was there.

    Args:
        layer: A layer that has taken over weights, with zeros where something new would come in.
        former: The layer that they are of; of the same class.
        inner: The shape that goes in.
        outer: The shape of its leading part that went into the former one.
    """
    differ = differences(layer, former)
    if isinstance(layer, _CONV):
        return differ <= _CONV_SIZES and fits(inner, outer) and _conv_keeps(layer, former, inner)
    if isinstance(layer, nn.Linear):
        has_grown = layer.out_features >= former.out_features
        return has_grown and _bias_keeps(layer, former) and differ <= {"in_features", "out_features"}
    if isinstance(layer, _NORM):
        by_channel = isinstance(layer, _BATCH) or len(inner) == 2 + _axes(layer)
        return by_channel and fits(inner, outer) and differ <= {"num_features", "momentum"}
    if isinstance(layer, nn.PReLU):
        return fits(inner, outer) and differ <= {"num_parameters"} and (former.num_parameters > 1 or not differ)
    if isinstance(layer, nn.Embedding):
        has_grown = layer.num_embeddings >= former.num_embeddings and layer.embedding_dim >= former.embedding_dim
        return has_grown and former.max_norm is None and differ <= {"num_embeddings", "embedding_dim"}
    return False


def handed(layer: Any, inner: torch.Size, result: torch.Size, source: torch.Size) -> int:
    """Return how many channels a new layer can hand through; 0 where it cannot hand through all that matter.

    Args:
        layer: A layer of torch.
        inner: The shape that goes in.
        result: The shape that comes out.
        source: The shape of the leading part that matters.
    """
    if isinstance(layer, nn.Linear):
        return source[-1] if len(inner) >= 2 and layer.out_features >= source[-1] else 0
    if not fits(inner, source) or inner[2:] != result[2:]:
        return 0
    if isinstance(layer, _BATCH):
        return source[1] if layer.affine and layer.track_running_stats else 0
    if isinstance(layer, _CONV) and not isinstance(layer, _TRANSPOSED):
        is_odd = all(size % 2 for size in layer.kernel_size)
        is_plain = layer.groups == 1 or layer.groups == layer.in_channels == layer.out_channels
        is_even = is_odd and is_plain and set(layer.stride) == {1} and len(inner) == layer.weight.ndim
        return source[1] if is_even and layer.out_channels >= source[1] else 0
    return 0


def can_be_zero(layer: nn.Module) -> bool:
    """Tell whether a layer can begin by giving zeros, and learn from there."""
    kinds = (_CONV, nn.Linear, _NORM, nn.GroupNorm, nn.LayerNorm, nn.RMSNorm)
    return isinstance(layer, kinds) and layer.weight is not None


def begin(layer: Any, count: int) -> None:
    """Let a new layer begin by handing through what it is given, or by giving zeros.

    Args:
        layer: The layer.
        count: The number of channels to hand through, as `handed` gives it, or 0 for zeros. What the layer makes of its
            input besides stays as it is.
    """
    most = count or None
    weight: Tensor = layer.weight.data
    weight[:most] = 0
    bias = getattr(layer, "bias", None)
    if bias is not None:
        bias.data[:most] = 0
    if not count:
        return
    if isinstance(layer, _BATCH):
        buffers = dict(layer.named_buffers())
        buffers["running_mean"][:count], buffers["running_var"][:count] = 0, 1
        weight[:count] = math.sqrt(1 + layer.eps)
        return
    centre = [size // 2 for size in weight.shape[2:]]
    for channel in range(count):
        weight[(channel, min(channel, weight.shape[1] - 1), *centre)] = 1


def _conv_keeps(layer: Any, former: Any, inner: torch.Size) -> bool:
    """Tell whether a convolution has as many channels or more, and a kernel with as much more padding around."""
    if len(inner) != layer.weight.ndim or layer.out_channels < former.out_channels or not _bias_keeps(layer, former):
        return False
    if layer.groups > 1 or former.groups > 1:
        by_channel = all(each.groups == each.in_channels for each in (layer, former))
        times = [each.out_channels // each.groups for each in (layer, former)]
        if not by_channel or times[0] != times[1]:
            return False
    wider = [size - old for size, old in zip(layer.kernel_size, former.kernel_size, strict=True)]
    if any(each < 0 or each % 2 for each in wider):
        return False
    if isinstance(layer.padding, str) or isinstance(former.padding, str):
        return bool(layer.padding == former.padding and (layer.padding == "same" or not any(wider)))
    added = [pad - old for pad, old in zip(layer.padding, former.padding, strict=True)]
    return added == [step * each // 2 for step, each in zip(layer.dilation, wider, strict=True)]


def _bias_keeps(layer: Any, former: Any) -> bool:
    return former.bias is None or layer.bias is not None


def _axes(layer: nn.Module) -> int:
    """Return along how many axes a layer looks at places: the digit in the name of its class."""
    digits = [letter for letter in type(layer).__name__ if letter.isdigit()]
    return int(digits[-1]) if digits else -2
