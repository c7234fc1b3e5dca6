"""Shapes that common functions of torch give, without its meta kernels.

Those are written in Python: each call takes a fraction of a millisecond, and the first one of a process loads sympy and
the compiler of torch, which takes longer than to load torch itself.

Each rule takes the arguments of the function, and returns a tensor on the meta device, or `None` where an argument is
not of the usual form, so that torch itself is asked.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

Sizes = int | Sequence[int]


def _convolution(
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: Sizes = 1,
    padding: Sizes | str = 0,
    dilation: Sizes = 1,
    groups: int = 1,
) -> Tensor | None:
    axes = weight.ndim - 2
    fits = (
        input.ndim == weight.ndim
        and _is_usual(input, weight, *([] if bias is None else [bias]))
        and groups > 0
        and input.shape[1] == weight.shape[1] * groups
        and weight.shape[0] % groups == 0
        and (bias is None or bias.shape == weight.shape[:1])
    )
    steps, gaps = _each(stride, axes), _each(dilation, axes)
    if not fits or steps is None or gaps is None:
        return None
    if padding == "same" and steps == (1,) * axes:
        return input.new_empty((input.shape[0], weight.shape[0], *input.shape[2:]))
    sides = _each(0 if padding == "valid" else padding, axes, least=0)
    if sides is None:
        return None
    sizes = map(_windows, input.shape[2:], weight.shape[2:], steps, sides, gaps)
    return _resized(input, weight.shape[0], sizes)


def _pool(
    input: Tensor,
    kernel_size: Sizes,
    stride: Sizes | None = None,
    padding: Sizes = 0,
    dilation: Sizes = 1,
    ceil_mode: bool = False,
    return_indices: bool = False,
    *,
    axes: int,
) -> Tensor | None:
    kernel = _each(kernel_size, axes)
    steps = _each(stride, axes) if stride else kernel
    sides, gaps = _each(padding, axes, least=0), _each(dilation, axes)
    if input.ndim != axes + 2 or not _is_usual(input) or return_indices:
        return None
    if kernel is None or steps is None or sides is None or gaps is None:
        return None
    if any(2 * side > size for side, size in zip(sides, kernel, strict=True)):
        return None
    windows = list(zip(input.shape[2:], kernel, steps, sides, gaps, strict=True))
    if ceil_mode and any(
        (size + 2 * side - gap * (kernel - 1) - 1) % step for size, kernel, step, side, gap in windows
    ):
        return None  # the last window is not whole
    return _resized(input, input.shape[1], [_windows(*each) for each in windows])


def _average_pool(
    input: Tensor,
    kernel_size: Sizes,
    stride: Sizes | None = None,
    padding: Sizes = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
    divisor_override: int | None = None,
    *,
    axes: int,
) -> Tensor | None:
    if divisor_override is not None:
        return None
    return _pool(input, kernel_size, stride, padding, ceil_mode=ceil_mode, axes=axes)


def _adaptive_pool(input: Tensor, output_size: Any, return_indices: bool = False, *, axes: int) -> Tensor | None:
    given = (output_size,) * axes if isinstance(output_size, int) else tuple(output_size)
    if input.ndim != axes + 2 or len(given) != axes or not _is_usual(input) or return_indices:
        return None
    sizes = [side if size is None else size for size, side in zip(given, input.shape[2:], strict=True)]
    return _resized(input, input.shape[1], sizes) if all(type(size) is int for size in sizes) else None


def _same(input: Tensor, *options: Any, **others: Any) -> Tensor | None:
    return like(input) if _is_usual(input) else None


def _zeros(input: Tensor) -> Tensor | None:
    return _same(input)


def _dropout(input: Tensor, p: float = 0.5, training: bool = True, inplace: bool = False) -> Tensor | None:
    return _same(input) if 0.0 <= p <= 1.0 else None


def _channel_dropout(
    input: Tensor, p: float = 0.5, training: bool = True, inplace: bool = False, *, axes: int
) -> Tensor | None:
    return _dropout(input, p) if input.ndim == axes + 2 else None


def _hardtanh(input: Tensor, min_val: float = -1.0, max_val: float = 1.0, inplace: bool = False) -> Tensor | None:
    return _same(input) if min_val <= max_val else None


def _group_norm(
    input: Tensor, num_groups: int, weight: Tensor | None = None, bias: Tensor | None = None, eps: float = 1e-5
) -> Tensor | None:
    given = [each for each in (weight, bias) if each is not None]
    if input.ndim < 2 or num_groups < 1 or input.shape[1] % num_groups or not _is_usual(input, *given):
        return None
    values = math.prod(input.shape[2:]) * input.shape[1] // num_groups * input.shape[0]
    fits = values > 1 and all(each.shape == input.shape[1:2] for each in given)
    return like(input) if fits else None


def _softmax(input: Tensor, dim: int | None = None, _stacklevel: int = 3, dtype: Any = None) -> Tensor | None:
    is_axis = type(dim) is int and -input.ndim <= dim < input.ndim
    return _same(input) if is_axis and dtype is None else None


def _padded(input: Tensor, pad: Sequence[int], mode: str = "constant", value: float | None = None) -> Tensor | None:
    sides = list(pad)
    if mode != "constant" or len(sides) % 2 or len(sides) > 2 * input.ndim or not _is_usual(input):
        return None
    if not all(type(side) is int for side in sides):
        return None
    shape = list(input.shape)
    for place, both in enumerate(zip(sides[::2], sides[1::2], strict=True), 1):
        shape[-place] += sum(both)
    return input.new_empty(shape) if all(size > 0 for size in shape) else None


def _binary(input: Tensor, other: Any) -> Tensor | None:
    if not isinstance(other, Tensor):
        return _same(input) if type(other) in (int, float) else None
    if not _is_usual(input, other):
        return None
    try:
        shape = np.broadcast_shapes(input.shape, other.shape)
    except ValueError:
        return None
    return input.new_empty(shape)


def _counted(input: Tensor, other: Any) -> Tensor | None:
    """Add a number in place: a batch normalisation counts its batches."""
    return input if input.is_meta and type(other) is int else None


def _concatenated(tensors: Any, dim: int = 0) -> Tensor | None:
    if not isinstance(tensors, tuple | list) or not tensors or not all(isinstance(each, Tensor) for each in tensors):
        return None
    first: Tensor = tensors[0]
    is_axis = type(dim) is int and -first.ndim <= dim < first.ndim
    if not is_axis or not _is_usual(*tensors) or any(each.ndim != first.ndim for each in tensors):
        return None
    shapes = [list(each.shape) for each in tensors]
    size = sum(shape.pop(dim) for shape in shapes)
    if any(shape != shapes[0] for shape in shapes):
        return None
    dim %= first.ndim
    return first.new_empty((*shapes[0][:dim], size, *shapes[0][dim:]))


def like(tensor: Tensor) -> Tensor:
    """Return a tensor of the same shape, strides and type."""
    return tensor.new_empty(tensor.shape) if tensor.is_contiguous() else torch.empty_like(tensor)


def _is_usual(*tensors: Tensor) -> bool:
    """Tell whether tensors are of one floating-point type, contiguous, not empty, and on the meta device."""
    dtype = tensors[0].dtype
    return dtype.is_floating_point and all(
        each.is_meta and each.dtype == dtype and each.numel() > 0 and each.is_contiguous() for each in tensors
    )


def _each(value: Any, axes: int, *, least: int = 1) -> tuple[int, ...] | None:
    """Return a whole number for each axis."""
    given = (value,) * axes if isinstance(value, int) else tuple(value) if isinstance(value, tuple | list) else ()
    given = given * axes if len(given) == 1 else given
    return given if len(given) == axes and all(type(each) is int and each >= least for each in given) else None


def _windows(size: int, kernel: int, stride: int, padding: int, dilation: int) -> int:
    """Return how many windows fit into an axis; 0 or less where none does."""
    return (size + 2 * padding - dilation * (kernel - 1) - 1) // stride + 1


def _resized(input: Tensor, channels: int, sizes: Any) -> Tensor | None:
    shape = (input.shape[0], channels, *sizes)
    return input.new_empty(shape) if all(size > 0 for size in shape) else None


_AXES = {
    _pool: (F.max_pool1d, F.max_pool2d, F.max_pool3d),
    _average_pool: (F.avg_pool1d, F.avg_pool2d, F.avg_pool3d),
}
_ADAPTIVE = (
    (F.adaptive_avg_pool1d, F.adaptive_avg_pool2d, F.adaptive_avg_pool3d),
    (F.adaptive_max_pool1d, F.adaptive_max_pool2d, F.adaptive_max_pool3d),
)
CONVOLUTIONS: dict[Any, Callable[..., Tensor | None]] = dict.fromkeys((F.conv1d, F.conv2d, F.conv3d), _convolution)
"""Rules for convolutions."""
OTHERS: dict[Any, Callable[..., Tensor | None]] = {
    **{function: partial(rule, axes=axes) for rule, each in _AXES.items() for axes, function in enumerate(each, 1)},
    **{function: partial(_adaptive_pool, axes=axes) for each in _ADAPTIVE for axes, function in enumerate(each, 1)},
    **dict.fromkeys((torch.tanh, torch.sigmoid, Tensor.tanh, Tensor.sigmoid, F.hardsigmoid, F.logsigmoid), _same),
    torch.zeros_like: _zeros,
    **dict.fromkeys((F.dropout, F.alpha_dropout), _dropout),
    **dict.fromkeys((F.softmax, F.log_softmax), _softmax),
    **{
        function: partial(_channel_dropout, axes=axes)
        for axes, function in enumerate((F.dropout1d, F.dropout2d, F.dropout3d), 1)
    },
    F.hardtanh: _hardtanh,
    F.group_norm: _group_norm,
    **dict.fromkeys((Tensor.add, Tensor.sub, Tensor.mul, torch.add, torch.sub, torch.mul), _binary),
    Tensor.add_: _counted,
    torch.cat: _concatenated,
    F.pad: _padded,
}
"""Rules for the other functions."""
