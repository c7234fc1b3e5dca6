"""The first layer of networks for microcontrollers. Its text is copied into written source."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional as F


class Resize(nn.Module):
    """Resizes images by bilinear interpolation.

    Args:
        height: Height that comes out, in pixels.
        width: Width that comes out.
    """

    def __init__(self, height: int, width: int) -> None:
        super().__init__()
        self.size = (height, width)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return the resized images, `(n, channels, height, width)`."""
        if tuple(x.shape[2:]) == self.size:
            return x
        return F.interpolate(x, self.size, mode="bilinear")
