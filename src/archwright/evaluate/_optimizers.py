"""Named optimizers, with defaults for one-cycle training of small networks."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

import torch
from torch.nn import Parameter
from torch.optim import Optimizer

from archwright.errors import EvaluationError

MakeOptimizer = Callable[[Iterable[Parameter]], Optimizer]


@dataclass(frozen=True)
class _Named:
    """An optimizer's class and what it is called with."""

    make: Callable[..., Optimizer]
    lr: float  # peak learning rate, where none is given
    weight_decay: float  # likewise
    options: dict[str, Any] = field(default_factory=dict)  # what is always passed


OPTIMIZERS: dict[str, _Named] = {
    "sgd": _Named(torch.optim.SGD, lr=0.1, weight_decay=5e-4, options={"momentum": 0.9, "nesterov": True}),
    "adam": _Named(torch.optim.Adam, lr=1e-2, weight_decay=0.0),
    "adamw": _Named(torch.optim.AdamW, lr=1e-2, weight_decay=0.05),
}


def make_optimizer(
    model: torch.nn.Module,
    optimizer: str | MakeOptimizer,
    *,
    lr: float | None = None,
    weight_decay: float | None = None,
) -> Optimizer:
    """Return the optimizer of a network.

    Args:
        model: The network, on its device and in its memory format.
        optimizer: A name in `OPTIMIZERS`, or a function of the parameters that returns an optimizer.
        lr: Peak learning rate, with a name only; `None` for the default.
        weight_decay: Likewise. Biases and the scales of normalisation are not decayed.

    Raises:
        EvaluationError: The network has no trainable parameters, or `optimizer` returns something else.

    Example:
        >>> from archwright.evaluate import make_optimizer
        >>> optimizer = make_optimizer(torch.nn.Linear(4, 2), "adamw", weight_decay=0.01)
        >>> [group["weight_decay"] for group in optimizer.param_groups]
        [0.01, 0.0]
    """
    parameters = [parameter for parameter in model.parameters() if parameter.requires_grad]
    if not parameters:
        raise EvaluationError("the network has no parameters to train")
    if isinstance(optimizer, str):
        named = OPTIMIZERS[optimizer]
        decay, rate = named.weight_decay if weight_decay is None else weight_decay, named.lr if lr is None else lr
        groups = [
            {"params": [parameter for parameter in parameters if parameter.ndim > 1], "weight_decay": decay},
            {"params": [parameter for parameter in parameters if parameter.ndim <= 1], "weight_decay": 0.0},
        ]
        return named.make(groups, lr=rate, fused=True, **named.options)
    made = optimizer(parameters)
    if not isinstance(made, Optimizer):
        raise EvaluationError(f"optimizer={optimizer!r} made a {type(made).__name__}, not a torch.optim.Optimizer")
    return made
