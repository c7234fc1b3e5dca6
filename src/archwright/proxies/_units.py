"""Linear pieces of the units of a network."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.overrides import TorchFunctionMode

_KINKS: Mapping[Any, Callable[..., tuple[float, ...]]] = {
    **dict.fromkeys(
        (
            *(F.relu, F.relu_, torch.relu, torch.relu_, Tensor.relu, Tensor.relu_),
            *(F.leaky_relu, F.leaky_relu_, F.prelu, Tensor.prelu, F.rrelu, F.rrelu_),
        ),
        lambda *_, **__: (0.0,),
    ),
    **dict.fromkeys((F.hardtanh, F.hardtanh_), lambda _, min_val=-1.0, max_val=1.0, *__, **___: (min_val, max_val)),
    **dict.fromkeys((F.threshold, torch.threshold_), lambda _, threshold, *__, **___: (threshold,)),
    F.relu6: lambda *_, **__: (0.0, 6.0),
    F.hardsigmoid: lambda *_, **__: (-3.0, 3.0),
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
