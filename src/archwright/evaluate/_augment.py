"""Random changes to training images, each done to a whole batch at once.

Random numbers are drawn on the CPU, whatever the device, so that a seed means the same everywhere.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

AUGMENTATIONS = ("crop", "flip", "cutout")


def flip(images: Tensor, generator: torch.Generator) -> Tensor:
    """Mirror each of (n, channels, height, width) images left to right with a probability of one half."""
    chosen = torch.rand(len(images), generator=generator).to(images.device) < 0.5
    return torch.where(chosen.view(-1, 1, 1, 1), images.flip(3), images)


def crop(images: Tensor, generator: torch.Generator) -> Tensor:
    """Shift each of (n, channels, height, width) images by up to an eighth of its sides; zeros fill the gap.

    It is shifted by up to a pixel at least.
    """
    count, _, height, width = images.shape
    tall, wide = max(1, height // 8), max(1, width // 8)
    # A view of every window of the padded images; indexing copies the one that is wanted of each image.
    windows = F.pad(images, (wide, wide, tall, tall)).unfold(2, height, 1).unfold(3, width, 1)
    top = torch.randint(2 * tall + 1, (count,), generator=generator).to(images.device)
    left = torch.randint(2 * wide + 1, (count,), generator=generator).to(images.device)
    return windows[torch.arange(count, device=images.device), :, top, left]


def cutout(images: Tensor, generator: torch.Generator) -> Tensor:
    """Set a rectangle of half the height and half the width to zero in each of (n, channels, height, width) images.

    Its centre is any pixel, so a part of it may lie outside. On normalised images zero is the mean, as in DeVries and
    Taylor, "Improved Regularization of Convolutional Neural Networks with Cutout" (2017).
    """
    count, _, height, width = images.shape
    rows = _covered(count, height, generator).to(images.device)
    columns = _covered(count, width, generator).to(images.device)
    hole = (rows[:, :, None] & columns[:, None, :])[:, None]
    return torch.where(hole, 0, images)  # unlike `masked_fill`, keeps the memory format


def _covered(count: int, side: int, generator: torch.Generator) -> Tensor:
    """Return which of the places along a side are covered, shape `(count, side)`."""
    length = max(1, side // 2)
    start = torch.randint(side, (count, 1), generator=generator) - length // 2
    place = torch.arange(side)
    return (place >= start) & (place < start + length)
