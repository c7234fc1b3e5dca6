"""Preprocessing of images; a part of the `predict.py` of networks that take images."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import torch
from torch import Tensor, nn

from archwright.datasets._preprocess import (
    Normalised,
    Preprocess,
    Sample,
    Target,
    check_numbers,
    field,
    moments,
    normalise,
    outputs_from_json,
    outputs_source,
    outputs_to_json,
)
from archwright.datasets._reading import GIGABYTES, IMAGES, InputError, read_idx, read_image

__all__ = ["ImagePreprocess"]

_MOST_VALUES = 2**28  # of one sample, so that a damaged file asks for no terabytes


@dataclass(frozen=True)
class ImagePreprocess(Preprocess):
    """Preprocessing of images.

    Args:
        classes: Names of the classes, in the order of the network's scores; none for a regression.
        channels: 1 for greyscale, 3 for colour.
        height: In pixels.
        width: In pixels.
        mean: Of each channel over the training part.
        std: Standard deviation likewise.
        bytes: Whether raw values are 0..255, as in image files, or floats.
        resize: Whether images of another size are resized (bilinear, ignoring the aspect ratio), as in training, or
            refused.
        targets: The targets of a regression, in the order of the network's outputs.

    Example:
        >>> preprocess = ImagePreprocess(("cat", "dog"), 1, 2, 2, mean=(127.5,), std=(127.5,))
        >>> preprocess.normalise(torch.full((1, 2, 2), 255, dtype=torch.uint8)).flatten().tolist()
        [1.0, 1.0, 1.0, 1.0]
    """

    kind = "image"
    takes = "images, folders of images, or idx files"
    suffixes = IMAGES

    classes: tuple[str, ...]
    channels: int
    height: int
    width: int
    mean: tuple[float, ...]
    std: tuple[float, ...]
    bytes: bool = True
    resize: bool = False
    targets: tuple[Target, ...] = ()

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of one sample."""
        return (self.channels, self.height, self.width)

    def normalise(self, raw: Tensor) -> Tensor:
        """Return raw images (n, channels, height, width) as (raw - mean) / std, float32."""
        return normalise(raw, self.mean, self.std)

    def read(self, path: str | os.PathLike[str], *, gigabytes: float = GIGABYTES) -> Iterator[Sample]:
        """Yield the image in a file as uint8 (channels, height, width), or the error.

        An idx file, with `idx3-ubyte` in its name as those of MNIST, yields all of its images, numbered from 1.
        """
        try:
            if not self.bytes:
                raise InputError(
                    f"{path}: this network was trained on float arrays of a scale that picture files do not have; give "
                    f"a tensor of shape (n, {self.channels}, {self.height}, {self.width})."
                )
            if "idx3-ubyte" in Path(path).name:
                pixels = read_idx(Path(path), 3, gigabytes).unsqueeze(1)
                self._check_size(path, pixels)
                yield from enumerate(pixels.expand(-1, self.channels, -1, -1), start=1)
                return
            size = (self.height, self.width) if self.resize else None
            picture = read_image(Path(path), self.channels, size, gigabytes)
            self._check_size(path, picture)
            yield None, picture
        except InputError as error:
            yield None, error

    def batch(self, raw: Tensor) -> Tensor:
        """Return raw images as (n, channels, height, width).

        Args:
            raw: Shape (n, channels, height, width), (n, height, width, channels), or (n, height, width) for greyscale.

        Raises:
            InputError: The shape or the range of values differs from the training data.
        """
        shape = tuple(raw.shape)
        if shape[1:] == self.shape:
            batch = raw
        elif shape[1:] == (self.height, self.width, self.channels):
            batch = raw.permute(0, 3, 1, 2)
        elif self.channels == 1 and shape[1:] == self.shape[1:]:
            batch = raw.unsqueeze(1)
        else:
            raise InputError(
                f"the network takes pictures of shape (n, {self.channels}, {self.height}, {self.width}) or (n, "
                f"{self.height}, {self.width}, {self.channels}), not {shape}."
            )
        check_numbers(batch)
        if self.bytes and batch.numel() and batch.dtype != torch.uint8:
            low, high = float(batch.min()), float(batch.max())
            if low < 0 or high > 255:
                raise InputError(f"the network takes pixels of 0..255; these are {low:g}..{high:g}.")
            if high <= 1 and bool((batch != batch.round()).any()):
                raise InputError(
                    "the network takes pixels of 0..255; these are fractions within 0..1: multiply by 255."
                )
        return batch

    def _check_size(self, path: object, pixels: Tensor) -> None:
        height, width = pixels.shape[-2:]
        if (height, width) != (self.height, self.width):
            raise InputError(
                f"{path} is {height} x {width} pixels (height x width); the network takes {self.height} x "
                f"{self.width}, and its training pictures were not resized either. Resize it."
            )

    def adapted(self, network: nn.Module) -> nn.Module:
        """Return a network for raw inputs, whose regression outputs are in the units of the targets."""
        return Normalised(network, self)

    def source(self) -> str:
        """Return the source of the constants and of the function `preprocess`."""
        scale = ", pixels of 0..255," if self.bytes else ""
        return outputs_source(self, f"(n, {self.channels}, {self.height}, {self.width}){scale}", "view(-1, 1, 1)")

    def to_json(self) -> dict[str, Any]:
        """Return the content of `preprocess.json`."""
        return {
            "version": 1,
            "kind": self.kind,
            "channels": self.channels,
            "height": self.height,
            "width": self.width,
            "bytes": self.bytes,
            "resize": self.resize,
            "mean": list(self.mean),
            "std": list(self.std),
            **outputs_to_json(self),
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        """Return the preprocessing written by `to_json`.

        Raises:
            InputError: The value is not a preprocessing of images.
        """
        channels, height, width = (field(data, name, int) for name in ("channels", "height", "width"))
        if channels not in (1, 3) or min(height, width) < 1 or channels * height * width > _MOST_VALUES:
            raise InputError(f"pictures of {height} x {width} pixels and {channels} channels are not possible.")
        mean, std = (field(data, name, list) for name in ("mean", "std"))
        if len(mean) != channels or len(std) != channels:
            raise InputError(f"there are {channels} channels but {len(mean)} means and {len(std)} deviations.")
        pairs = [moments(*pair) for pair in zip(mean, std, strict=True)]
        return cls(
            channels=channels,
            height=height,
            width=width,
            mean=tuple(mean for mean, _ in pairs),
            std=tuple(std for _, std in pairs),
            bytes=field(data, "bytes", bool),
            resize=field(data, "resize", bool),
            **outputs_from_json(data),
        )
