"""Named optimizers, with defaults for one-cycle training of small networks, and learning-rate schedules.

A schedule is a function from progress, 0 at the start and 1 at the end, to a fraction of the peak.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

import torch
from torch.nn import Parameter
from torch.optim import Optimizer

from archwright.errors import EvaluationError
from archwright.evaluate._eager import eager
from archwright.evaluate._muon import Muon, matrices

MakeOptimizer = Callable[[Iterable[Parameter]], Optimizer]


@dataclass(frozen=True)
class _Named:
    """An optimizer's class and what it is called with."""

    make: Callable[..., Optimizer]
    lr: float  # peak learning rate, where none is given
    weight_decay: float  # likewise
    options: dict[str, Any] = field(default_factory=dict)  # what is always passed


OPTIMIZERS: dict[str, _Named] = {
    "sgd": _Named(eager(torch.optim.SGD), lr=0.1, weight_decay=5e-4, options={"momentum": 0.9, "nesterov": True}),
    "adam": _Named(eager(torch.optim.Adam), lr=1e-2, weight_decay=0.0),
    "adamw": _Named(eager(torch.optim.AdamW), lr=1e-2, weight_decay=0.05),
    "muon": _Named(Muon, lr=0.02, weight_decay=0.05),
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
    scales = _scales(model)
    if isinstance(optimizer, str):
        named = OPTIMIZERS[optimizer]
        decay, rate = named.weight_decay if weight_decay is None else weight_decay, named.lr if lr is None else lr
        groups: list[dict[str, Any]] = []
        if named.make is Muon:
            hidden = matrices(model)
            groups = [{"params": hidden, "lr": rate, "weight_decay": decay, "orthogonal": True}]
            parameters = [each for each in parameters if all(each is not other for other in hidden)]
            rate /= 2
        groups += [
            {"params": [parameter for parameter in parameters if parameter.ndim > 1], "weight_decay": decay},
            {"params": [parameter for parameter in parameters if parameter.ndim <= 1], "weight_decay": 0.0},
        ]
        if scales:
            groups = [part for group in groups for part in _scaled({"lr": rate, **group}, scales)]
        return named.make(groups, lr=rate, fused=True, **named.options)
    if scales:
        raise EvaluationError(
            f"optimizer={optimizer!r} is a function, and parts of the network have a learning rate of their own "
            f"(aw.pretrained(..., lr=...)): name the optimizer by a string"
        )
    made = optimizer(parameters)
    if not isinstance(made, Optimizer):
        raise EvaluationError(f"optimizer={optimizer!r} made a {type(made).__name__}, not a torch.optim.Optimizer")
    return made


def _scales(model: torch.nn.Module) -> dict[int, float]:
    """Return the factors on the learning rate of parameters that have one, by their `id`."""
    found: dict[int, float] = {}
    for module in model.modules():
        scale = module.__dict__.get("lr_scale", 1.0)
        if isinstance(scale, dict):  # of a supernet, by the names of its weights
            held = module._parameters
            found |= {id(held[name]): each for name, each in scale.items() if each != 1.0 and name in held}
        elif scale != 1.0:
            found |= dict.fromkeys(map(id, module.parameters()), scale)
    return found


def _scaled(group: dict[str, Any], scales: dict[int, float]) -> list[dict[str, Any]]:
    """Return a group of parameters as one for each factor on the learning rate."""
    parts: dict[float, list[Parameter]] = {}
    for parameter in group["params"]:
        parts.setdefault(scales.get(id(parameter), 1.0), []).append(parameter)
    return [{**group, "params": params, "lr": group["lr"] * scale} for scale, params in sorted(parts.items())[::-1]]


WARM_UP = 0.25  # share of the training in which the rate rises
START = 1 / 25  # of the peak
END = START / 1e4  # of the peak


def one_cycle(progress: float) -> float:
    """Rise along a half cosine for a quarter of the training, then fall along another to almost zero.

    The policy of Smith and Topin, "Super-Convergence: Very Fast Training of Neural Networks Using
    Large Learning Rates" (2018), with its two phases; momentum is left as it is.
    """
    if progress < WARM_UP:
        return _half_cosine(START, 1.0, progress / WARM_UP)
    return _half_cosine(1.0, END, (progress - WARM_UP) / (1 - WARM_UP))


def cosine(progress: float) -> float:
    """Fall along a half cosine from the peak to zero.

    Loshchilov and Hutter, "SGDR: Stochastic Gradient Descent with Warm Restarts" (2017), without
    restarts.
    """
    return _half_cosine(1.0, 0.0, progress)


def constant(progress: float) -> float:
    """Stay at the peak."""
    return 1.0


def _half_cosine(start: float, end: float, share: float) -> float:
    """Return the value at `share` of the way from `start` to `end`."""
    return end + (start - end) * (1 + math.cos(math.pi * share)) / 2


SCHEDULES: dict[str, Callable[[float], float]] = {"one-cycle": one_cycle, "cosine": cosine, "constant": constant}
