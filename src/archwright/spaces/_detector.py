"""Parts of detectors. The text of these classes is copied into written source."""

from __future__ import annotations

import torch
from torch import nn

RARE = 4.595  # the logarithm of 99: at first a location is thought to be an object with a probability of 0.01


def joined(levels: list[torch.Tensor], classes: int) -> torch.Tensor:
    """Return (n, locations, outputs) of levels (n, outputs, height, width), with scores of classes that begin low."""
    found = torch.cat([level.flatten(2) for level in levels], 2).transpose(1, 2)
    shift = torch.zeros(found.shape[-1], dtype=found.dtype, device=found.device)
    shift[:classes] = RARE
    return found - shift


class SharedHead(nn.Module):
    """One head for all levels.

    Args:
        head: The head: (n, channels, height, width) to (n, classes + 5, height, width).
        classes: The number of classes.
    """

    def __init__(self, head: nn.Module, classes: int) -> None:
        super().__init__()
        self.head = head
        self.classes = classes

    def forward(
        self,
        fine: torch.Tensor,
        middle: torch.Tensor,
        coarse: torch.Tensor,
    ) -> torch.Tensor:
        """Return (n, locations, classes + 5)."""
        levels = [self.head(level) for level in (fine, middle, coarse)]
        return joined(levels, self.classes)


class Joined(nn.Module):
    """The outputs of the heads of three levels in one sequence.

    Args:
        classes: The number of classes.
    """

    def __init__(self, classes: int) -> None:
        super().__init__()
        self.classes = classes

    def forward(
        self,
        fine: torch.Tensor,
        middle: torch.Tensor,
        coarse: torch.Tensor,
    ) -> torch.Tensor:
        """Return (n, locations, classes + 5)."""
        return joined([fine, middle, coarse], self.classes)
