"""The weighted sum of a mixture, accumulated in place."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor


def weighted_sum(weights: Sequence[Tensor | None], tensors: Sequence[Tensor]) -> Tensor:
    """Return the sum of some tensors, each times a weight; it can be differentiated twice.

    Terms are added in place, and the gradient of a weight is a dot product: no product is ever stored. On memory-bound
    hardware that is most of what a mixture costs besides its operations.

    Args:
        weights: () each, or None for 1.
        tensors: One or more of one shape.
    """
    if len(tensors) == 1 and weights[0] is None:
        return tensors[0]
    if len({tensor.dtype for tensor in tensors}) > 1:  # under autocast, where some operations change the type
        kind = functools.reduce(torch.promote_types, (tensor.dtype for tensor in tensors))
        tensors = [tensor.to(kind) for tensor in tensors]
    alike = len({tensor.shape for tensor in tensors}) == 1
    if all(weight is None for weight in weights):
        if alike and tensors[0].is_meta and tensors[0].is_contiguous():
            return tensors[0]  # nothing but shapes counts there, and a sum takes a while to find its own
        total = tensors[0] + tensors[1]
        for tensor in tensors[2:]:
            total = total + tensor
        return total
    if not alike:  # a sum may spread an axis of one over that of another
        tensors = torch.broadcast_tensors(*tensors)  # type: ignore[no-untyped-call]  # torch has no types there
    found: Tensor = _WeightedSum.apply(len(weights), *weights, *tensors)  # type: ignore[no-untyped-call]
    return found


class _WeightedSum(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, count: int, *items: Any) -> Tensor:
        weights, tensors = items[:count], items[count:]
        ctx.save_for_backward(*(weight for weight in weights if weight is not None), *tensors)
        ctx.weighed = [weight is not None for weight in weights]
        total = _product(weights[0], tensors[0])
        if total is tensors[0]:
            total = total.clone()
        for weight, tensor in zip(weights[1:], tensors[1:], strict=True):
            _add(total, weight, tensor)
        return total

    @staticmethod
    def backward(ctx: Any, *gradients: Any) -> Any:
        (gradient,) = gradients
        saved = list(ctx.saved_tensors)
        count = len(ctx.weighed)
        known = iter(saved[: len(saved) - count])
        weights = [next(known) if weighed else None for weighed in ctx.weighed]
        tensors = saved[len(saved) - count :]
        needed = ctx.needs_input_grad[1:]
        of_weights = [
            _dot(gradient, tensor) if weight is not None and needed[index] else None
            for index, (weight, tensor) in enumerate(zip(weights, tensors, strict=True))
        ]
        of_tensors = [_product(weight, gradient) if needed[count + i] else None for i, weight in enumerate(weights)]
        return None, *of_weights, *of_tensors


def _product(weight: Tensor | None, tensor: Tensor) -> Tensor:
    return tensor if weight is None else tensor * weight.to(tensor.dtype)


def _add(total: Tensor, weight: Tensor | None, tensor: Tensor) -> None:
    if weight is None:
        total.add_(tensor)
    elif total.device.type == "cpu":
        total.add_(tensor, alpha=float(weight))
    else:  # to read the weight would be to wait for the device
        total.addcmul_(tensor, weight.to(total.dtype))


def _dot(first: Tensor, second: Tensor) -> Tensor:
    """Return () the sum of the products of two tensors of one shape."""
    if first.stride() == second.stride() and _is_dense(first):  # in one pass, in the order of memory
        flat = (first.numel(),), (1,)
        return torch.dot(first.as_strided(*flat), second.to(first.dtype).as_strided(*flat))
    return (first * second).sum()


def _is_dense(tensor: Tensor) -> bool:
    return tensor.is_contiguous() or (tensor.ndim == 4 and tensor.is_contiguous(memory_format=torch.channels_last))
