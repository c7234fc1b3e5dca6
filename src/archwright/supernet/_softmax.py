"""DARTS: every option at once, weighed by a softmax."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from archwright.errors import RelaxationError
from archwright.supernet._base import Batch, Relaxation, register
from archwright.supernet._frame import Mix

if TYPE_CHECKING:
    from archwright.supernet._supernet import Supernet
    from archwright.supernet._trainer import Trainer

__all__ = ["Softmax"]


@register("softmax")
@dataclass(frozen=True)
class Softmax(Relaxation):
    """All options at once, weighed by the softmax of their logits (DARTS).

    Liu, Simonyan and Yang, "DARTS: Differentiable architecture search", ICLR 2019.

    Args:
        warmup: As in `Relaxation`.
        order: 1, or 2 for the gradient through a step of the weights (`unrolled_step`), at several times the cost.
        hot: What logits are divided by at the beginning.
        cold: What they are divided by in the end; below `hot` the mixture is sharpened on the way.
    """

    order: int = 1
    hot: float = 1.0
    cold: float = 1.0

    def __post_init__(self) -> None:
        """Check the settings."""
        super().__post_init__()
        if self.order not in (1, 2):
            raise RelaxationError(f"Softmax: order is 1 or 2, not {self.order!r}")
        self.check_range("hot", 1e-3, 1e3)
        self.check_range("cold", 1e-3, 1e3)

    def mix(self, supernet: Supernet, logits: Tensor, progress: float) -> Mix:
        """Return the options weighed by the softmax of their logits."""
        return Mix(torch.softmax(logits / self.temperature(self.hot, self.cold, progress), dim=0))

    def arch_step(self, trainer: Trainer, batch: Batch, weight_batch: Batch) -> Tensor:
        """Make one step of the logits, of first or second order."""
        if self.order == 1:
            return super().arch_step(trainer, batch, weight_batch)
        from archwright.supernet._unrolled import unrolled_gradient

        loss, gradients = unrolled_gradient(trainer, batch, weight_batch)
        for logits, gradient in zip(trainer.supernet.arch_parameters(), gradients, strict=True):
            logits.grad = gradient
        trainer.step_logits()
        return loss
