"""Operations of einspace that torch has no layers for. Their text is copied into written source."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn


class Im2Col(nn.Module):
    """Makes a column of the pixels around each position of an image.

    Args:
        kernel: Rows and columns of pixels that are taken; odd.
        stride: Steps between two positions.
    """

    def __init__(self, kernel: int, stride: int) -> None:
        super().__init__()
        self.kernel = kernel
        self.stride = stride

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return (n, positions, channels * kernel ** 2) of (n, channels, height, width)."""
        around = self.kernel // 2
        padded = F.pad(x, (around, around, around, around))
        rows = padded.unfold(2, self.kernel, self.stride)
        # (n, channels, rows, columns, kernel, kernel)
        patches = rows.unfold(3, self.kernel, self.stride)
        return patches.permute(0, 2, 3, 1, 4, 5).flatten(3).flatten(1, 2)


class Col2Im(nn.Module):
    """Puts columns back to the positions of an image.

    Args:
        stride: Steps between two positions.
    """

    def __init__(self, stride: int) -> None:
        super().__init__()
        self.stride = stride

    def forward(self, columns: torch.Tensor, image: torch.Tensor) -> torch.Tensor:
        """Return (n, features, rows, columns) of (n, positions, features), and the image that they were taken of."""
        rows = (image.shape[2] - 1) // self.stride + 1
        return torch.unflatten(columns.transpose(1, 2), 2, (rows, -1))


class SinePositions(nn.Module):
    """Adds sines and cosines of the position to each column.

    Vaswani et al., "Attention is all you need", 2017.
    """

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return the columns (n, positions, features) with those of their positions added."""
        ones = x.new_ones(x.shape[1:])
        position, feature = ones.cumsum(0) - 1, ones.cumsum(1) - 1
        pair = (feature / 2).floor()
        angles = position * 10_000 ** (-2 * pair / x.shape[2])
        return x + torch.where(feature == 2 * pair, angles.sin(), angles.cos())


class Product(nn.Module):
    """The matrix product of columns with other columns, or of scores with columns.

    Args:
        scaled: Whether it is divided by the square root of the features.
    """

    def __init__(self, scaled: bool) -> None:
        super().__init__()
        self.scaled = scaled

    def forward(self, first: torch.Tensor, second: torch.Tensor) -> torch.Tensor:
        """Return (n, positions, positions) of twice (n, positions, features)."""
        product = first @ second.transpose(1, 2)
        return product / first.shape[2] ** 0.5 if self.scaled else product
