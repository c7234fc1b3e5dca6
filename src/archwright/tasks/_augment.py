"""Augmentations: random changes to training images, each done to a whole batch at once.

Random numbers are drawn on the CPU, whatever the device, so that a seed means the same everywhere.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

AUGMENTATIONS = ("crop", "flip", "cutout")

_MIRRORED = 0.6  # of the images that are recognised, in a mirror; digits reach 0.4, clothes 0.7, photographs 1
_COMPARED, _SIDE = 1_500, 16  # images that are looked at, and the pixels of a side


def is_symmetric(images: Tensor, targets: Tensor) -> bool:
    """Tell whether a mirror image has the class of the image.

    That is measured: the nearest neighbour of a mirrored image has to be of its class at least 60 % as often as that of
    the image itself. Digits, letters and spectrograms do not pass, photographs do.

    Args:
        images: (n, channels, height, width).
        targets: The classes (n,). Values to be estimated may be places: they are not looked at, and do not pass.
    """
    if targets.is_floating_point():
        return False
    chosen = torch.randperm(len(targets), generator=torch.Generator().manual_seed(0))[:_COMPARED]
    images = images[chosen].float().mean(1, keepdim=True)
    if min(images.shape[-2:]) > _SIDE:
        images = F.adaptive_avg_pool2d(images, _SIDE)
    images, targets = images - images.mean((1, 2, 3), keepdim=True), targets[chosen]
    known = len(chosen) * 2 // 3
    right = [
        int((targets[torch.cdist(looked.flatten(1), images[:known].flatten(1)).argmin(1)] == targets[known:]).sum())
        for looked in (images[known:], images[known:].flip(3))
    ]
    return right[1] >= _MIRRORED * right[0] > 0


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


def cutout(images: Tensor, generator: torch.Generator, fill: Tensor) -> Tensor:
    """Fill a rectangle of half the height and half the width in each of (n, channels, height, width) images.

    Its centre is any pixel, so a part of it may lie outside, as in DeVries and Taylor, "Improved Regularization of
    Convolutional Neural Networks with Cutout" (2017).

    Args:
        images: The images.
        generator: The generator.
        fill: The value of each channel, such as its mean (channels,).
    """
    count, _, height, width = images.shape
    rows = _covered(count, height, generator).to(images.device)
    columns = _covered(count, width, generator).to(images.device)
    hole = (rows[:, :, None] & columns[:, None, :])[:, None]
    value = (fill if images.is_floating_point() else fill.round()).to(images).view(-1, 1, 1)
    return torch.where(hole, value, images)  # unlike `masked_fill`, keeps the memory format


def _covered(count: int, side: int, generator: torch.Generator) -> Tensor:
    """Return which of the places along a side are covered, shape `(count, side)`."""
    length = max(1, side // 2)
    start = torch.randint(side, (count, 1), generator=generator) - length // 2
    place = torch.arange(side)
    return (place >= start) & (place < start + length)
