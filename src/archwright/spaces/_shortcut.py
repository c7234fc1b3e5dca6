"""A way past an operation. The text of the class is copied into written source."""

from __future__ import annotations

import torch
from torch import nn

__all__ = ["Shortcut"]


class Shortcut(nn.Module):
    """Hands its input on; where the widths differ, through a 1x1 convolution with batch normalisation.

    Args:
        inputs: Channels that come in.
        outputs: Channels that go out.
    """

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.change = (
            nn.Identity()
            if inputs == outputs
            else nn.Sequential(nn.Conv2d(inputs, outputs, 1, bias=False), nn.BatchNorm2d(outputs))
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return the input in the width that goes out."""
        y: torch.Tensor = self.change(x)
        return y
