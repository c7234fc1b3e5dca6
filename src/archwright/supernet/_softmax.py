"""DARTS: mixtures weighted by a softmax."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from archwright._checks import check_options, check_positive
from archwright.supernet._base import Batch, Relaxation, between, register
from archwright.supernet._execution import Mix

if TYPE_CHECKING:
    from archwright.supernet._supernet import Supernet
    from archwright.supernet._trainer import Trainer


@register("softmax")
@dataclass(frozen=True)
class Softmax(Relaxation):
    """A mixture of all options, weighted by a softmax of trained logits (DARTS).

    Liu, Simonyan and Yang, "DARTS: Differentiable architecture search", ICLR 2019: sum softmax(logits / temperature)_i
    op_i(x).

    Args:
        order: 1 for the gradient at the current weights; 2 for that through one step of the weights.
        start: The first temperature, above 0.
        end: The last temperature; it changes linearly.

    Example:
        >>> model = nn.Sequential(aw.choice(nn.ReLU(), nn.Tanh(), name="act"), nn.Linear(4, 3))
        >>> supernet = aw.Supernet(aw.Space(model=model, example_input=(4,)), aw.supernet.Softmax())
        >>> supernet.draw().mixes["act"].weights.detach().numpy().round(2)
        array([0.5, 0.5], dtype=float32)
    """

    order: int = 1
    start: float = 1.0
    end: float = 1.0

    def __post_init__(self) -> None:
        super().__post_init__()
        check_positive(self, "start", "end")
        check_options(self, order=(1, 2))

    def mix(self, supernet: Supernet, logits: Tensor, progress: float) -> Mix:
        """Return the options weighed by the softmax of their logits."""
        return Mix(torch.softmax(logits / between(self.start, self.end, progress), dim=0))

    def arch_step(self, trainer: Trainer, batch: Batch, weight_batch: Batch) -> Tensor:
        """Make one step of the logits."""
        if self.order == 1:
            return super().arch_step(trainer, batch, weight_batch)
        from archwright.supernet._unrolled import unrolled_step

        return unrolled_step(trainer, batch, weight_batch)
