"""DARTS: every option at once, weighed by a softmax."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from archwright.supernet._base import Relaxation, register
from archwright.supernet._frame import Mix

if TYPE_CHECKING:
    from archwright.supernet._supernet import Supernet

__all__ = ["Softmax"]


@register("softmax")
@dataclass(frozen=True)
class Softmax(Relaxation):
    """All options at once, weighed by the softmax of their logits (DARTS).

    Liu, Simonyan and Yang, "DARTS: Differentiable architecture search", ICLR 2019.
    """

    def mix(self, supernet: Supernet, logits: Tensor, progress: float) -> Mix:
        """Return the options weighed by the softmax of their logits."""
        return Mix(torch.softmax(logits, dim=0))
