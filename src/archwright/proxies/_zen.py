"""Zen-score: sensitivity of the features with Gaussian weights."""

from __future__ import annotations

import math
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from archwright.errors import EvaluationError
from archwright.proxies._base import Proxy, register
from archwright.proxies._passes import Passes, gaussian
from archwright.proxies._state import NORMS, batch_norms, refilled


@register("zen")
@dataclass(frozen=True)
class Zen(Proxy):
    """Zen-score: sensitivity of the features to perturbed Gaussian inputs, with the scale of batch normalisation.

    log of the mean over the samples of ||f(x) - f(x + strength × e)||, plus the logarithm of each batch normalisation's
    standard deviation. x, e and the weights are Gaussian; f(x) is the last feature map (before the global pooling), or
    the output if there is none. Residual connections are kept, unlike in the paper. A normalisation with a constant
    input is ignored.

    It needs two separate passes. Undefined without batch normalisation, and for integer inputs.

    Lin, Wang, Sun, Chen, Sun, Qian, Li and Jin, "Zen-NAS: A Zero-Shot NAS for High-Performance Image Recognition", ICCV
    2021.

    Args:
        strength: The size of the perturbation, in standard deviations of the input.

    Raises:
        EvaluationError: `strength` is not a number above 0.

    Example:
        >>> model = torch.nn.Sequential(torch.nn.Conv2d(1, 8, 3), torch.nn.BatchNorm2d(8), torch.nn.ReLU())
        >>> scores = aw.proxies.score(model, torch.zeros(4, 1, 6, 6), torch.zeros(4, dtype=torch.int64), "zen")
        >>> round(scores["zen"], 1)
        -1.5
    """

    strength: float = 0.01

    def __post_init__(self) -> None:
        if not 0 < self.strength < math.inf:
            raise EvaluationError(f"zen: strength must be a number above 0, not {self.strength!r}")

    def score(self, passes: Passes) -> float:
        """Return the logarithm of the distance, with the normalisations' scales put back."""
        model, like = passes.model, passes.floating_inputs()
        norms = batch_norms(model)
        if not norms:
            raise EvaluationError(
                "the network has no batch normalisation, by whose variances its scale is known: take a proxy that "
                "needs none, such as 'naswot' or 'zico'"
            )
        generator = passes.generator()
        inputs = gaussian(like, generator)
        step = self.strength * gaussian(like, generator)
        with torch.no_grad(), refilled(model, _drawn(generator), torch.float32):
            variances: list[float] = []
            with ExitStack() as hooks:
                for norm in norms:
                    hooks.callback(norm.register_forward_pre_hook(_note_variance(variances)).remove)
                here = _features(model, inputs)
            moved = _features(model, inputs + step) - here
        distance = float(moved.flatten(1).norm(dim=1).mean())
        if not distance > 0:
            raise EvaluationError(
                "the features do not depend on the input: leave networks out of the space through which nothing leads"
            )
        return math.log(distance) + sum(math.log(variance) / 2 for variance in variances if variance > 0)


def _drawn(generator: torch.Generator) -> Callable[[nn.Module, str, Tensor], Tensor]:
    def fill(module: nn.Module, name: str, values: Tensor) -> Tensor:
        if values.ndim > 1:
            return gaussian(values, generator)
        if name.startswith("bias"):
            return torch.zeros_like(values)
        return torch.ones_like(values) if isinstance(module, NORMS) else values

    return fill


def _note_variance(found: list[float]) -> Callable[[nn.Module, Any], None]:
    def hook(module: nn.Module, arguments: Any) -> None:
        inputs = arguments[0]
        axes = [axis for axis in range(inputs.ndim) if axis != 1]
        # Several times as fast as Tensor.var.
        found.append(float((inputs - inputs.mean(axes, keepdim=True)).square().mean()))

    return hook


def _features(model: nn.Module, inputs: Tensor) -> Tensor:
    """Return the last tensor with positions that a layer gets or gives, or what the network gives."""
    last: list[Tensor] = []

    def note(module: nn.Module, arguments: Any, output: Any) -> None:
        for tensor in (*arguments, output):
            if isinstance(tensor, Tensor) and tensor.ndim > 2 and tensor.shape[2:].numel() > 1:
                last[:] = [tensor]

    with ExitStack() as hooks:
        for module in model.modules():
            if not any(True for _ in module.children()):
                hooks.callback(module.register_forward_hook(note).remove)
        outputs: Tensor = model(inputs)
    return last[0] if last else outputs
