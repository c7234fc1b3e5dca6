"""FLOPs of a forward pass. Importing this loads torch."""

from __future__ import annotations

import math
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any, NoReturn

import torch
import torch.nn.functional as F
from torch import Tensor
from torch._ops import HigherOrderOperator
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import FlopCounterMode

from archwright.build import ShapesAlone
from archwright.cost._network import run, unfused
from archwright.errors import CostError

_Shape = Sequence[int]


def count_flops(model: torch.nn.Module, inputs: Sequence[Tensor]) -> int:
    """Return the FLOPs of a forward pass, 2 per multiply-add of convolutions, attention, and products of all kinds.

    Products of matrices and vectors are counted however they are called: `matmul`, `einsum`, `Bilinear`, pairwise
    distances. Elementwise operations, sums, pooling, lookups and Fourier transforms are not counted.

    Args:
        model: A network, on any device.
        inputs: Its inputs.

    Raises:
        CostError: The network does not run, or the FLOPs of an operation are unknown; the message names the layer.

    Example:
        >>> aw.cost.count_flops(torch.nn.Conv2d(1, 8, 3), [torch.zeros(1, 1, 5, 5)])
        1296
    """
    known = _by_rules(model, inputs)
    if known is not None:
        return known
    with counting() as counter, torch.no_grad(), ShapesAlone(products=True):
        run(model, inputs)
    return counter.get_total_flops()


def _by_rules(model: torch.nn.Module, inputs: Sequence[Tensor]) -> int | None:
    """Count a network of common layers on the meta device without torch's counter, which loads its compiler.

    Returns:
        The FLOPs, or `None` for layers of others, which may do what is out of sight here, and for functions without a
        rule.
    """
    if not all(each.is_meta for each in inputs) or not all(_is_plain(type(layer)) for layer in model.modules()):
        return None
    products = _Products()
    try:
        with torch.no_grad(), products:
            model(*inputs)
    except Exception:  # it is tried again by torch's counter, whose error names the layer
        return None
    return products.flops


def _is_plain(kind: type[torch.nn.Module]) -> bool:
    """Tell whether a layer is of torch, of a ready-made space, or of the source that a space writes.

    The module of written source nobody can import.
    """
    name = kind.__module__
    is_written = name == "network" and name not in sys.modules
    return is_written or name.startswith(("torch.nn.modules.", "torch.fx.graph_module", "archwright.spaces._"))


class _Products(ShapesAlone):
    """Counts the multiply-adds of convolutions and linear layers; other functions have none, or are refused."""

    def __init__(self) -> None:
        super().__init__()
        self.flops = 0

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func in _WITHOUT or getattr(func, "__name__", "") == "__get__":
            return func(*args, **(kwargs or {}))
        found = self.by_rule(func, args, kwargs or {})
        if not isinstance(found, Tensor):  # a recurrent layer gives several
            raise NotImplementedError(f"there is no rule for {func}")
        if func in _MULTIPLYING:
            weight: Tensor = args[1]
            self.flops += 2 * found.numel() * math.prod(weight.shape[1:])
        return found


_MULTIPLYING = frozenset({F.linear, F.conv1d, F.conv2d, F.conv3d})
_WITHOUT = frozenset(
    {
        *(Tensor.dim, Tensor.size, Tensor.stride, Tensor.numel, Tensor.is_floating_point, Tensor.is_contiguous),
        *(Tensor.flatten, Tensor.view, Tensor.reshape, Tensor.permute, Tensor.transpose, Tensor.chunk, Tensor.split),
        *(Tensor.squeeze, Tensor.unsqueeze, Tensor.__getitem__, torch.flatten, torch.chunk, torch.split),
    }
)
"""Functions that multiply nothing, and for which no rule is needed."""


@contextmanager
def counting() -> Iterator[FlopCounterMode]:
    """Context manager that counts the FLOPs of the operations inside, by the rules of `count_flops`.

    Raises:
        CostError: The FLOPs of an operation are unknown.

    Example:
        >>> with aw.cost.counting() as counter:
        ...     product = torch.ones(2, 3) @ torch.ones(3, 4)
        >>> counter.get_total_flops()
        48
    """
    counter = FlopCounterMode(display=False, custom_mapping=_FORMULAS)
    with unfused(), counter, _Foreign(counter.flop_registry):
        yield counter


class _Foreign(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Refuses operations from elsewhere, of which the counter would take for granted that they multiply nothing."""

    supports_higher_order_operators = True

    def __init__(self, known: dict[Any, Any]) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._known = known

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Run an operation."""
        is_own = isinstance(func, HigherOrderOperator) or func.namespace in ("aten", "prim", "prims", "profiler")
        if not is_own and func.overloadpacket not in self._known:
            _refuse(func)
        return func(*args, **(kwargs or {}))


def _refuse(operation: object, *_: object, **__: object) -> NoReturn:
    raise CostError(
        f"nobody knows how many multiply-adds {operation} takes: tell it with "
        "torch.utils.flop_counter.register_flop_formula"
    )


def _product(one: _Shape, other: _Shape, **_: object) -> int:
    """Of (..., n, k) or (k,) by (..., k, m) or (k,)."""
    return 2 * math.prod(one) * (other[-1] if len(other) > 1 else 1)


def _trilinear(one: _Shape, two: _Shape, three: _Shape, *axes: Any, **_: object) -> int:
    """Of three tensors that are broadcast, multiplied and summed up; `axes` has the new ones of each."""
    shapes = []
    for shape, new in zip((one, two, three), axes, strict=False):
        shapes.append(list(shape))
        for axis in sorted(new):
            shapes[-1].insert(axis, 1)
    sizes: list[int] = [max(size) for size in zip(*shapes, strict=True)]
    return 2 * math.prod(sizes)


_ATEN = torch.ops.aten
_FORMULAS = {
    **dict.fromkeys((_ATEN.mv, _ATEN.dot, _ATEN.vdot, _ATEN._int_mm, _ATEN._grouped_mm), _product),
    **dict.fromkeys(
        (
            *(_ATEN.addmv, _ATEN.addmv_, _ATEN.addmm_, _ATEN._addmm_activation),
            *(_ATEN.addbmm, _ATEN.addbmm_, _ATEN.baddbmm_),
        ),
        lambda _, one, other, **__: _product(one, other),
    ),
    **dict.fromkeys((_ATEN.addr, _ATEN.addr_), lambda _, one, other, **__: 2 * one[0] * other[0]),
    **dict.fromkeys(
        (_ATEN._cdist_forward, _ATEN._euclidean_dist),
        lambda one, _, norm=2.0, *__, out_shape, **___: 2 * math.prod(out_shape) * one[-1] if norm == 2.0 else 0,
    ),
    _ATEN._trilinear: _trilinear,
    _ATEN.conv_tbc: lambda _, weight, *__, out_shape, **___: 2 * math.prod(out_shape) * weight[0] * weight[1],
}
"""What torch's own counter takes for nothing. Whatever is composed of others is counted as those."""

_HIDING = (
    *("_native_multi_head_attention", "_transformer_encoder_layer_fwd", "_scaled_dot_product_flash_attention_for_cpu"),
    *("_scaled_dot_product_fused_attention_overrideable", "mkldnn_rnn_layer", "mkldnn_linear", "mkldnn_convolution"),
    *("_cudnn_rnn", "miopen_rnn", "quantized_gru", "quantized_lstm", "_foreach_mm", "_scaled_grouped_mm"),
    *("_sparse_addmm", "_sparse_mm_reduce_impl", "_sparse_sparse_matmul", "hspmm", "sspaddmm", "sparse_sampled_addmm"),
    *("_weight_int8pack_mm", "_weight_int4pack_mm", "_mixed_dtypes_linear", "_dyn_quant_matmul_4bit"),
)
_FORMULAS |= {getattr(_ATEN, name): partial(_refuse, f"aten.{name}") for name in _HIDING if hasattr(_ATEN, name)}
