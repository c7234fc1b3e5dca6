"""PC-DARTS: mixtures on a part of the channels, and weights for the edges of a cell."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, ClassVar

import torch
from torch import Tensor

from archwright.errors import RelaxationError
from archwright.space import Choice, Subset
from archwright.supernet._base import Relaxation, register
from archwright.supernet._frame import Mix

if TYPE_CHECKING:
    from archwright.supernet._supernet import Supernet

__all__ = ["Partial"]


@register("partial")
@dataclass(frozen=True)
class Partial(Relaxation):
    """A softmax mixture on a part of the channels, with a softmax over the edges of each node (PC-DARTS).

    Branches whose options have weights and keep the number of channels of an image are run on the first part of its
    channels; the other channels go past, and are shuffled in. It takes less memory and time, and the logits of
    operations without weights are favoured less. Edges have logits of their own, which hold the choice still.

    Xu et al., "PC-DARTS: Partial channel connections for memory-efficient architecture search", ICLR 2020.

    Args:
        warmup: As in `Relaxation`.
        channels: One in so many channels goes through the options.
    """

    edges: ClassVar[bool] = True

    channels: int = 4

    def __post_init__(self) -> None:
        """Check the settings."""
        super().__post_init__()
        if type(self.channels) is not int or self.channels < 1:
            raise RelaxationError(f"Partial: channels is an integer of 1 or more, not {self.channels!r}")

    def branch(self, supernet: Supernet, name: str, decision: Choice | Subset, progress: float) -> Mix:
        """Return the mixture of a branch, on a part of the channels where that suits it."""
        mix = super().branch(supernet, name, decision, progress)
        return replace(mix, channels=self.channels) if name in supernet.channelled else mix

    def mix(self, supernet: Supernet, logits: Tensor, progress: float) -> Mix:
        """Return the options weighed by the softmax of their logits."""
        return Mix(torch.softmax(logits, dim=0))
