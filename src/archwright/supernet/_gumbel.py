"""GDAS: one drawn option of each branch, with a straight-through gradient."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import torch
from torch import Tensor

from archwright.supernet._base import Relaxation, register
from archwright.supernet._frame import Mix

if TYPE_CHECKING:
    from archwright.supernet._supernet import Supernet

__all__ = ["Gumbel"]


@register("gumbel")
@dataclass(frozen=True)
class Gumbel(Relaxation):
    """One option of each branch, drawn by the Gumbel-max trick; gradients are those of the softened draw (GDAS).

    Only the option that was drawn is run, so a step costs what a single network costs. Its weight is 1 in the forward
    pass and the softmax of the noisy logits in the backward pass. The temperature falls from `hot` to `cold`.

    Dong and Yang, "Searching for a robust neural architecture in four GPU hours", CVPR 2019.

    Args:
        warmup: As in `Relaxation`.
        hot: The temperature at the beginning.
        cold: The temperature in the end.
    """

    absent: ClassVar[bool] = True

    hot: float = 10.0
    cold: float = 0.1

    def __post_init__(self) -> None:
        """Check the settings."""
        super().__post_init__()
        self.check_range("hot", 1e-3, 1e3)
        self.check_range("cold", 1e-3, 1e3)

    def mix(self, supernet: Supernet, logits: Tensor, progress: float) -> Mix:
        """Return the option that was drawn, with its straight-through weight."""
        noise = torch.from_numpy(supernet.rng.gumbel(size=len(logits))).to(logits)
        temperature = self.temperature(self.hot, self.cold, progress)
        soft = torch.softmax((torch.log_softmax(logits, dim=0) + noise) / temperature, dim=0)
        index = int(soft.argmax())
        hard = torch.zeros_like(soft).index_fill(0, torch.tensor([index], device=soft.device), 1.0)
        return Mix(hard + soft - soft.detach(), (index,))
