"""Slicing rules: the part of the largest weights that a smaller layer uses, for each class of layers.

The sizes of a layer with a rule share one set of weights. A layer without a rule has separate weights for each size.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import torch
from torch import Tensor, nn

from archwright.errors import RelaxationError

__all__ = ["Rule", "Slicing", "cut", "fill", "own_tensors", "paste", "register", "rule_of"]

L = TypeVar("L", bound=nn.Module)


@dataclass(frozen=True)
class Slicing:
    """The position of a layer's tensor in the largest one; by default the leading slice along each axis.

    Args:
        blocks: For each axis, from the first, the number of equal blocks, each of which has a leading slice. The gates
            of an LSTM are 4 blocks along axis 0.
        centred: The axes with a central slice, such as those of a kernel.
    """

    blocks: tuple[int, ...] = ()
    centred: tuple[int, ...] = ()


@dataclass(frozen=True)
class Rule:
    """The slicing rule of a class of layers.

    Args:
        parts: A function of a layer that returns the positions of its parameters and buffers by name, except for
            leading slices.
        kind: A function of a layer that returns a key; layers with different keys do not share weights.
        narrow: A function of a layer and a divisor that divides its number of channels; `None` if that is not possible.
        bound: Called with a layer after its tensors were replaced, for layers with further references to them.
    """

    parts: Callable[[nn.Module], Mapping[str, Slicing]]
    kind: Callable[[nn.Module], str]
    narrow: Callable[[nn.Module, int], None] | None = None
    bound: Callable[[nn.Module], None] | None = None


_rules: dict[type[nn.Module], Rule] = {}


def register(
    *classes: type[nn.Module],
    kind: Callable[[nn.Module], str] | None = None,
    narrow: Callable[[nn.Module, int], None] | None = None,
    bound: Callable[[nn.Module], None] | None = None,
) -> Callable[[Callable[[L], Mapping[str, Slicing]]], Callable[[L], Mapping[str, Slicing]]]:
    """Return a decorator that registers a slicing rule for classes of layers and their subclasses.

    The layers need a method `reset_parameters`, which initialises weights of any size.

    Args:
        *classes: The classes.
        kind: As in `Rule`; by default the name of the class.
        narrow: As in `Rule`.
        bound: As in `Rule`.

    Raises:
        RelaxationError: A class has no `reset_parameters`.

    Example:
        >>> @aw.supernet.elastic.register(MyLayer)  # doctest: +SKIP
        ... def parts(layer):
        ...     return {}  # all tensors are leading slices
    """
    for each in classes:
        if not hasattr(each, "reset_parameters") and not hasattr(each, "_reset_parameters"):
            raise RelaxationError(
                f"{each.__name__} has no method reset_parameters(), by which the largest weights could be filled; "
                f"write one, and register it again"
            )

    def decorate(parts: Callable[[L], Mapping[str, Slicing]]) -> Callable[[L], Mapping[str, Slicing]]:
        rule = Rule(parts, kind or (lambda layer: type(layer).__name__), narrow, bound)  # type: ignore[arg-type]  # L
        _rules.update(dict.fromkeys(classes, rule))
        return parts

    return decorate


def rule_of(layer: nn.Module) -> Rule | None:
    """Return the rule of a layer, that of its nearest base class, or `None`.

    A user-defined class that inherits a rule has to initialise all its weights by `reset_parameters`; one with further
    weights has no rule.
    """
    kind = type(layer)
    base = next((each for each in kind.__mro__ if each in _rules), None)
    if base is None:
        return None
    if kind is not base and not kind.__module__.startswith("torch."):
        names = tuple(name for name, _, _ in own_tensors(layer))
        if (kind, names) not in _filled:
            _filled[kind, names] = _fills(layer, _rules[base])
        if not _filled[kind, names]:
            return None
    return _rules[base]


_filled: dict[tuple[type[nn.Module], tuple[str, ...]], bool] = {}


def _fills(layer: nn.Module, rule: Rule) -> bool:
    with torch.random.fork_rng(devices=[]):
        try:
            fill(layer, rule, {name: tensor.shape for name, tensor, _ in own_tensors(layer)})
        except RelaxationError:
            return False
    return True


def own_tensors(layer: nn.Module) -> Iterator[tuple[str, Tensor, bool]]:
    """Iterate over the tensors of a layer without its submodules: name, tensor, and whether it is a parameter."""
    for name, parameter in layer._parameters.items():
        if parameter is not None:
            yield name, parameter, True
    for name, buffer in layer._buffers.items():
        if buffer is not None:
            yield name, buffer, False


def fill(layer: nn.Module, rule: Rule, shapes: Mapping[str, torch.Size]) -> dict[str, Tensor]:
    """Return new tensors for a layer, initialised by its own rules; on the CPU, with torch's global generator.

    Args:
        layer: A layer, which is not changed.
        rule: Its rule.
        shapes: The shape of each of its tensors.

    Raises:
        RelaxationError: Its `reset_parameters` fails, or does not initialise a tensor.
    """
    twin = object.__new__(type(layer))
    twin.__dict__.update(layer.__dict__)
    twin.__dict__.update(_parameters={**layer._parameters}, _buffers={**layer._buffers})
    made: dict[str, Tensor] = {}
    for name, tensor, is_parameter in own_tensors(layer):
        made[name] = unfilled = _unfilled(shapes[name], tensor.dtype)
        if is_parameter:
            twin._parameters[name] = nn.Parameter(unfilled, requires_grad=False)
        else:
            twin._buffers[name] = unfilled
    if rule.bound is not None:
        rule.bound(twin)
    reset: Any = getattr(twin, "reset_parameters", None) or getattr(twin, "_reset_parameters", None)
    try:
        reset()
    except Exception as error:  # whatever a class of the user's own raises
        raise RelaxationError(f"{type(layer).__name__}.reset_parameters() fails: {error}") from error
    for name, tensor, _ in own_tensors(twin):
        if bool((tensor != tensor).any()) or (tensor.numel() and bool((tensor == _unfilled((), tensor.dtype)).all())):
            raise RelaxationError(
                f"{type(layer).__name__}.reset_parameters() does not fill {name!r}, so weights of every size cannot be "
                f"made: let it fill all parameters and buffers"
            )
        made[name] = tensor.detach()
    return made


def _unfilled(shape: Sequence[int], dtype: torch.dtype) -> Tensor:
    """Return a tensor of values that no layer begins with."""
    value = math.nan if dtype.is_floating_point or dtype.is_complex else 77 if dtype != torch.bool else True
    return torch.full(tuple(shape), value, dtype=dtype, device="cpu")


def cut(full: Tensor, shape: torch.Size, part: Slicing) -> Tensor:
    """Return the part of a tensor that a smaller layer uses: the tensor itself if they are equal, else a view.

    With blocks it may be a copy, through which gradients pass.

    Args:
        full: The largest tensor.
        shape: The shape of the part, along no axis larger.
        part: Its position.
    """
    if full.shape == shape:
        return full
    blocks = _blocks(full, part)
    if max(blocks) == 1:
        sizes = enumerate(zip(full.shape, shape, strict=True))
        return full[tuple(_span(most, size, axis in part.centred) for axis, (most, size) in sizes)]
    view = full.view([size for most, count in zip(full.shape, blocks, strict=True) for size in (count, most // count)])
    spans: list[slice] = []
    for axis, (size, count) in enumerate(zip(shape, blocks, strict=True)):
        spans += slice(None), _span(view.shape[2 * axis + 1], size // count, axis in part.centred)
    return view[tuple(spans)].reshape(shape)


def _blocks(full: Tensor, part: Slicing) -> tuple[int, ...]:
    return part.blocks + (1,) * (full.ndim - len(part.blocks))


def _span(most: int, size: int, is_centred: bool) -> slice:
    start = (most - size) // 2 if is_centred else 0
    return slice(start, start + size)


def paste(full: Tensor, value: Tensor, part: Slicing) -> None:
    """Write a smaller tensor to its position in a larger one."""
    blocks = _blocks(full, part)
    place = full.view([size for most, n in zip(full.shape, blocks, strict=True) for size in (n, most // n)])
    small = value.reshape([size for most, n in zip(value.shape, blocks, strict=True) for size in (n, most // n)])
    for axis in range(full.ndim):
        most, size = place.shape[2 * axis + 1], small.shape[2 * axis + 1]
        place = place.narrow(2 * axis + 1, (most - size) // 2 if axis in part.centred else 0, size)
    place.copy_(small)


# ---------------------------------------------------------------------- the layers of torch


def _shrunk(layer: nn.Module, name: str, shape: tuple[int, ...]) -> None:
    """Give a layer a smaller tensor: the beginning of the one that it has."""
    old = getattr(layer, name)
    if old is not None:
        new = old.detach()[tuple(map(slice, shape))].clone()
        is_parameter = name in layer._parameters
        setattr(layer, name, nn.Parameter(new, requires_grad=old.requires_grad) if is_parameter else new)


def _whole(size: int, divisor: int, layer: nn.Module) -> int:
    if size % divisor:
        raise RelaxationError(f"{size} channels of {layer} cannot be divided by {divisor}")
    return size // divisor


def _is_depthwise(layer: Any) -> bool:
    return bool(layer.groups == layer.in_channels and layer.groups > 1)


def _conv_kind(layer: nn.Module) -> str:
    return type(layer).__name__ + ("(depthwise)" if _is_depthwise(layer) else "")


def _narrow_conv(layer: nn.Module, divisor: int) -> None:
    if not isinstance(layer, nn.Conv1d | nn.Conv2d | nn.Conv3d):
        raise RelaxationError(f"{layer} cannot be run on a part of its channels")
    outer, inner, *kernel = layer.weight.shape
    if _is_depthwise(layer):
        layer.groups = _whole(layer.groups, divisor, layer)
    elif layer.groups == 1:
        inner = _whole(inner, divisor, layer)
    else:
        raise RelaxationError(f"{layer} has groups of channels, and cannot be run on a part of them")
    layer.in_channels = _whole(layer.in_channels, divisor, layer)
    layer.out_channels = outer = _whole(outer, divisor, layer)
    _shrunk(layer, "weight", (outer, inner, *kernel))
    _shrunk(layer, "bias", (outer,))


def _narrow_norm(layer: nn.Module, divisor: int) -> None:
    for name, tensor in (*layer._parameters.items(), *layer._buffers.items()):
        if tensor is not None and tensor.ndim == 1:
            _shrunk(layer, name, (_whole(len(tensor), divisor, layer),))


@register(nn.Conv1d, nn.Conv2d, nn.Conv3d, kind=_conv_kind, narrow=_narrow_conv)
@register(nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d, kind=_conv_kind)
def _conv(layer: nn.Conv2d) -> Mapping[str, Slicing]:
    return {"weight": Slicing(centred=tuple(range(2, layer.weight.ndim)))}


@register(nn.modules.batchnorm._NormBase, narrow=_narrow_norm)
@register(nn.Linear, nn.Bilinear, nn.LayerNorm, nn.RMSNorm, nn.GroupNorm, nn.Embedding, nn.EmbeddingBag, nn.PReLU)
def _leading(layer: nn.Module) -> Mapping[str, Slicing]:
    return {}


@register(nn.MultiheadAttention)
def _attention(layer: nn.MultiheadAttention) -> Mapping[str, Slicing]:
    return {"in_proj_weight": Slicing(blocks=(3,)), "in_proj_bias": Slicing(blocks=(3,))}


_GATES = {"LSTM": 4, "GRU": 3, "RNN": 1}


def _recurrent_kind(layer: Any) -> str:
    return f"{type(layer).__name__}({layer.bidirectional}, {layer.proj_size > 0})"


def _flatten(layer: Any) -> None:
    layer._flat_weights = [layer._parameters[name] for name in layer._flat_weights_names]


@register(nn.RNNBase, kind=_recurrent_kind, bound=_flatten)
def _recurrent(layer: nn.RNNBase) -> Mapping[str, Slicing]:
    gates = _GATES.get(layer.mode.split("_")[0], 1)
    directions = 2 if layer.bidirectional else 1
    parts = {}
    for name in layer._flat_weights_names:
        is_inner = name.startswith("weight_ih") and not name.startswith("weight_ih_l0")
        rows = 1 if name.startswith("weight_hr") else gates
        parts[name] = Slicing(blocks=(rows, directions) if is_inner else (rows,))
    return parts


@register(nn.RNNCell, nn.GRUCell, nn.LSTMCell)
def _recurrent_cell(layer: nn.RNNCellBase) -> Mapping[str, Slicing]:
    gates = _GATES[type(layer).__name__.removesuffix("Cell")]
    return {name: Slicing(blocks=(gates,)) for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")}
