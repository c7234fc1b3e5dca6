"""In which linear piece the units of a network are."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.overrides import TorchFunctionMode

__all__ = ["Units"]


def _at_zero(*arguments: Any, **options: Any) -> tuple[float, ...]:
    return (0.0,)


def _hardtanh(inputs: Tensor, min_val: float = -1.0, max_val: float = 1.0, *_: Any, **__: Any) -> tuple[float, ...]:
    return (min_val, max_val)


def _threshold(inputs: Tensor, threshold: float, *_: Any, **__: Any) -> tuple[float, ...]:
    return (threshold,)


def _relu6(*arguments: Any, **options: Any) -> tuple[float, ...]:
    return (0.0, 6.0)


def _hardsigmoid(*arguments: Any, **options: Any) -> tuple[float, ...]:
    return (-3.0, 3.0)


_KINKS: Mapping[Any, Callable[..., tuple[float, ...]]] = {
    **dict.fromkeys((F.relu, F.relu_, torch.relu, torch.relu_, Tensor.relu, Tensor.relu_), _at_zero),
    **dict.fromkeys((F.leaky_relu, F.leaky_relu_, F.prelu, Tensor.prelu, F.rrelu, F.rrelu_), _at_zero),
    **dict.fromkeys((F.hardtanh, F.hardtanh_), _hardtanh),
    **dict.fromkeys((F.threshold, torch.threshold_), _threshold),
    F.relu6: _relu6,
    F.hardsigmoid: _hardsigmoid,
}
"""Where the pieces of a function meet, given its arguments."""


class Units(TorchFunctionMode):
    """Sees each piecewise linear function that a network applies, be it a layer or a call in its `forward`.

    Args:
        samples: Samples of the batch; what has another first axis is not of samples.

    Attributes:
        agreement: (samples, samples) float64: how many units are in the same piece; `None` where there was no unit.
    """

    def __init__(self, samples: int) -> None:
        super().__init__()
        self.samples = samples
        self.agreement: Tensor | None = None

    def __torch_function__(
        self, func: Any, types: Any, args: Sequence[Any] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        """Look at the inputs of a unit, before a call in place changes them, and make the call."""
        kwargs = kwargs or {}
        kinks = _KINKS.get(func)
        if kinks is not None:
            inputs = args[0] if args else kwargs["input"]
            if inputs.ndim > 1 and len(inputs) == self.samples:
                options = {name: value for name, value in kwargs.items() if name not in ("input", "inplace")}
                self._add(inputs.detach(), kinks(inputs, *args[1:], **options))
        return func(*args, **kwargs)

    def _add(self, values: Tensor, kinks: tuple[float, ...]) -> None:
        if not values.is_contiguous():  # channels last: the order of units does not matter
            values = values.movedim(1, -1)
        values = values.flatten(1).float()
        above = [torch.gt(values, kink, out=torch.empty_like(values)) for kink in kinks]  # 1 or 0, at once
        if len(above) == 1:
            # Two pieces: one product of signs counts what agrees on either side.
            signs = above[0].mul_(2).sub_(1)
            counts = (signs @ signs.T).double().add_(values.shape[1]).div_(2)
        else:
            edges = [torch.ones_like(values), *above, torch.zeros_like(values)]
            members = [lower - upper for lower, upper in pairwise(edges)]
            counts = torch.stack([(each @ each.T).double() for each in members]).sum(0)
        self.agreement = counts if self.agreement is None else self.agreement + counts
