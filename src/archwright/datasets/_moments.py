"""Mean and standard deviation of inputs."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TypeVar

import numpy as np
import numpy.typing as npt
import torch

from archwright.datasets._image_preprocess import ImagePreprocess

Kind = TypeVar("Kind", bound=ImagePreprocess)

_BLOCK, _VALUES = 512, 2**22  # samples turned to float64 at a time, and about the values that they have at most


def moments_of(
    inputs: torch.Tensor, indicators: npt.NDArray[np.bool_] | None = None
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return mean and standard deviation of each channel or feature.

    Two passes in float64: one pass over squares would lose a small spread far from zero.

    Args:
        inputs: Images (n, channels, height, width), or a table (n, features).
        indicators: Which (features,) are 0/1 marks, which have mean 0 and deviation 1; `None` for none of them.

    Returns:
        Both float32 of shape (channels,) or (features,); the deviation of constant values is 1.

    Example:
        >>> from archwright.datasets import moments_of
        >>> moments_of(torch.tensor([[1.0, 5.0], [3.0, 5.0]]))
        (tensor([2., 5.]), tensor([1., 1.]))
    """
    values = inputs.numpy()
    axes = (0, 2, 3) if values.ndim == 4 else (0,)
    count = values.size // values.shape[1]
    step = min(_BLOCK, max(1, _VALUES // values[0].size))

    def blocks() -> Iterator[npt.NDArray[np.float64]]:
        return (values[start : start + step].astype(np.float64) for start in range(0, len(values), step))

    mean = np.sum([block.sum(axes) for block in blocks()], axis=0) / count
    centre = mean.reshape(-1, *[1] * (values.ndim - 2))
    std = np.sqrt(np.sum([np.square(block - centre).sum(axes) for block in blocks()], axis=0) / count)
    # rounding may give constant values a tiny deviation, and float32 may have no room for one
    flat = (values.max(axes) == values.min(axes)) | (std < np.finfo(np.float32).tiny)
    mean, std = np.asarray(mean), np.where(flat, 1, std)
    if indicators is not None:
        mean, std = np.where(indicators, 0, mean), np.where(indicators, 1, std)
    return torch.tensor(mean, dtype=torch.float32), torch.tensor(std, dtype=torch.float32)


def fitted_to_images(kind: type[Kind], images: torch.Tensor, classes: tuple[str, ...]) -> Kind:
    """Return a preprocessing of files of images, with the mean and standard deviation of training images.

    Args:
        kind: The class of the preprocessing.
        images: uint8 of shape (n, channels, height, width).
        classes: The names of the classes.

    Example:
        >>> from archwright.datasets import SegmentationPreprocess, fitted_to_images
        >>> images = torch.arange(32, dtype=torch.uint8).reshape(2, 1, 4, 4)
        >>> fitted_to_images(SegmentationPreprocess, images, ("dark", "bright")).mean
        (15.5,)
    """
    mean, std = moments_of(images)
    channels, height, width = images.shape[1:]
    return kind(classes, channels, height, width, tuple(mean.tolist()), tuple(std.tolist()), resize=True)
