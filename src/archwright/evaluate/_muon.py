"""Muon: momentum whose matrices are made orthogonal."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from archwright.evaluate._eager import eager

_STEPS = 5
_COEFFICIENTS = 3.4445, -4.7750, 2.0315  # of Jordan's polynomial, whose slope at zero is steep
_LAYERS = nn.Linear, nn.Conv1d, nn.Conv2d, nn.Conv3d


class Muon(eager(torch.optim.AdamW)):  # type: ignore[misc]  # a class made at run time
    """Muon for the weights of linear and convolutional layers, AdamW for all other parameters.

    The momentum M of a weight matrix, rows for outputs, is replaced by the nearest semi-orthogonal matrix, which has
    the singular vectors of M and singular values of about 1: all directions are learned at the same rate. With
    M = U S V^T, W <- (1 - lr wd) W - lr sqrt(max(1, rows / columns)) U V^T.

    Jordan et al., "Muon: An optimizer for hidden layers in neural networks" (2024). The last layer, layers with one
    input channel per group, biases and normalisation layers are trained by AdamW, with half the learning rate.

    Args:
        groups: Parameter groups; those with the key "orthogonal" hold weight matrices or kernels.
        momentum: The momentum of the matrices, with Nesterov's look ahead.
        **options: Those of `torch.optim.AdamW`.
    """

    param_groups: list[dict[str, Any]]

    def __init__(self, groups: list[dict[str, Any]], *, momentum: float = 0.95, **options: Any) -> None:
        super().__init__(groups, **options)
        self._momentum = momentum

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Make a step."""
        groups = self.param_groups
        for group in groups:
            if "orthogonal" in group:
                self._step(group)
        self.param_groups = [group for group in groups if "orthogonal" not in group]
        try:
            return super().step(closure)
        finally:
            self.param_groups = groups

    def _step(self, group: dict[str, Any]) -> None:
        for weight in group["params"]:
            if weight.grad is None:
                continue
            state = self.state[weight]
            if not state:
                state |= {"step": torch.tensor(0.0), "momentum": torch.zeros_like(weight)}  # AdamW looks for the step
            state["momentum"].lerp_(weight.grad, 1 - self._momentum)
            update = weight.grad.lerp(state["momentum"], self._momentum).flatten(1)
            scale = max(1.0, len(update) / update.shape[1]) ** 0.5
            weight.mul_(1 - group["lr"] * group["weight_decay"])
            weight.add_(orthogonal(update).view(weight.shape), alpha=-group["lr"] * scale)


def orthogonal(matrix: Tensor) -> Tensor:
    """Return about the nearest semi-orthogonal matrix, by five Newton-Schulz iterations.

    Args:
        matrix: (rows, columns).

    Returns:
        The same shape; singular values from about 0.7 to 1.2.
    """
    a, b, c = _COEFFICIENTS
    tall = matrix.shape[0] > matrix.shape[1]
    x = matrix.T if tall else matrix
    x = x / (x.norm() + 1e-7)
    for _ in range(_STEPS):
        gram = x @ x.T
        x = torch.addmm(x, torch.addmm(gram, gram, gram, beta=b, alpha=c), x, beta=a)
    return x.T if tall else x


def matrices(model: nn.Module) -> list[nn.Parameter]:
    """Return the weights of a network that Muon makes orthogonal steps for."""
    layers = [layer for layer in model.modules() if isinstance(layer, _LAYERS)]
    found = {id(layer.weight): layer.weight for layer in layers[:-1] if layer.weight.shape[1] > 1}
    return [weight for weight in found.values() if isinstance(weight, nn.Parameter) and weight.requires_grad]
