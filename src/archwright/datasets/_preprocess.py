"""Preprocessing: from an image, a table row or a raw tensor to the input of a network.

It is saved with each network, as `preprocess.json`. This module is a part of the `predict.py` beside it, so it imports
only PyTorch.
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from archwright.datasets._reading import GIGABYTES, InputError, read_idx, read_image, read_rows, to_number

__all__ = [
    "Column",
    "ImagePreprocess",
    "Normalised",
    "Preprocess",
    "TablePreprocess",
    "Target",
    "is_missing",
    "normalise",
]

_MISSING = frozenset({"", "na", "n/a", "nan", "null"})

Sample = tuple[int | None, Tensor | InputError]
"""The row of a table (None for a picture) and the raw values, or why there are none."""


@dataclass(frozen=True)
class Target:
    """A value that a network predicts; networks learn it less its mean, over its standard deviation.

    Args:
        name: Its name.
        mean: Over the training part.
        std: Standard deviation likewise; above 0.
    """

    name: str
    mean: float
    std: float


@dataclass(frozen=True)
class ImagePreprocess:
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
        _check_numbers(batch)
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

    def to_json(self) -> dict[str, Any]:
        """Return the content of `preprocess.json`."""
        return {
            "version": 1,
            "kind": "image",
            "channels": self.channels,
            "height": self.height,
            "width": self.width,
            "bytes": self.bytes,
            "resize": self.resize,
            "mean": list(self.mean),
            "std": list(self.std),
            **_outputs_to_json(self),
        }


@dataclass(frozen=True)
class Column:
    """A column of a table.

    Args:
        name: The name, or the position, from 1, if columns have no names.
        categories: The categories, one 0/1 feature each; `None` for a numeric column.
        mean: The mean of a numeric column over the training part.
        std: Standard deviation likewise.

    Example:
        >>> Column("colour", ("blue", "red")).encode("red", "row 1")
        [0.0, 1.0]
    """

    name: str
    categories: tuple[str, ...] | None = None
    mean: float = 0.0
    std: float = 1.0

    @property
    def features(self) -> int:
        """The number of features of the column."""
        return 1 if self.categories is None else len(self.categories)

    def encode(self, cell: str, where: str) -> list[float]:
        """Return the features of a cell; zeros, with a warning, for a category that is not in the training data.

        Raises:
            InputError: The cell is empty, or not a number in a numeric column.
        """
        if is_missing(cell):
            raise InputError(f"{where}column {self.name!r} is missing ({cell!r}); fill it in.")
        if self.categories is None:
            value = to_number(cell)
            if value is None:
                raise InputError(f"{where}column {self.name!r} holds {cell[:40]!r} where a number is required.")
            return [value]
        if cell not in self.categories:
            known = ", ".join(map(repr, self.categories[:8])) + (", ..." if len(self.categories) > 8 else "")
            warnings.warn(
                f"column {self.name!r} holds the unknown category {cell[:40]!r} (known are {known}): its features are "
                "all 0",
                stacklevel=2,
            )
        return [float(cell == category) for category in self.categories]


@dataclass(frozen=True)
class TablePreprocess:
    """Preprocessing of table rows.

    Args:
        classes: Names of the classes, in the order of the network's scores; none for a regression.
        columns: The columns in the order of the network's features.
        named: Whether the first row of a file holds the names of its columns; otherwise columns are identified by
            position.
        target: The column of the classes in training, which is ignored in a file.
        targets: The targets of a regression, in the order of the network's outputs.

    Example:
        >>> preprocess = TablePreprocess(("a", "b"), (Column("x", mean=1.0, std=2.0), Column("c", ("u", "v"))))
        >>> preprocess.row({"x": 5.0, "c": "v"}).tolist()
        [5.0, 0.0, 1.0]
    """

    classes: tuple[str, ...]
    columns: tuple[Column, ...]
    named: bool = False
    target: str | None = None
    targets: tuple[Target, ...] = ()

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of one sample."""
        return (len(self.mean),)

    @property
    def mean(self) -> tuple[float, ...]:
        """Mean of each feature; 0 for the 0/1 features of categories."""
        return tuple(each.mean for each in self.columns for _ in range(each.features))

    @property
    def std(self) -> tuple[float, ...]:
        """Standard deviation of each feature; 1 for the 0/1 features of categories."""
        return tuple(each.std for each in self.columns for _ in range(each.features))

    def normalise(self, raw: Tensor) -> Tensor:
        """Return raw features (n, features) as (raw - mean) / std, float32."""
        return normalise(raw, self.mean, self.std)

    def read(self, path: str | os.PathLike[str], *, gigabytes: float = GIGABYTES) -> Iterator[Sample]:
        """Yield each row of a table file as float32 (features,), or the error.

        Other columns are ignored.

        Raises:
            InputError: The file cannot be read, or lacks a column.
        """
        rows = read_rows(Path(path), gigabytes)
        first = next(rows, None)
        if first is None:
            raise InputError(f"{path} is empty.")
        places, is_header = self._places(first[1], path)
        for number, cells in rows if is_header else chain([first], rows):
            try:
                yield number, self._encode([cells[place] for place in places], f"{path}, row {number}: ")
            except InputError as error:
                yield number, error

    def row(self, row: Mapping[str, Any]) -> Tensor:
        """Return the features of one row, float32 (features,).

        Args:
            row: Values by column name; other columns are ignored.

        Raises:
            InputError: A column is missing or invalid.
        """
        _check_columns([each.name for each in self.columns if each.name not in row], "a row")
        cells = ["" if _is_absent(row[each.name]) else str(row[each.name]).strip() for each in self.columns]
        return self._encode(cells, "")

    def batch(self, raw: Tensor) -> Tensor:
        """Return raw features unchanged, after a check.

        Args:
            raw: Shape (n, features): numbers, and a 0/1 feature for each category.

        Raises:
            InputError: The shape is wrong, or a value is not a number.
        """
        if tuple(raw.shape[1:]) != self.shape:
            raise InputError(
                f"the network takes {self.shape[0]} features, shape (n, {self.shape[0]}), not {tuple(raw.shape)}."
            )
        _check_numbers(raw)
        return raw

    def to_json(self) -> dict[str, Any]:
        """Return the content of `preprocess.json`."""
        columns = [
            {"name": each.name, "mean": each.mean, "std": each.std}
            if each.categories is None
            else {"name": each.name, "categories": list(each.categories)}
            for each in self.columns
        ]
        return {
            "version": 1,
            "kind": "table",
            "named": self.named,
            "target": self.target,
            "columns": columns,
            **_outputs_to_json(self),
        }

    def _places(self, first: Sequence[str], path: object) -> tuple[list[int], bool]:
        """Return where the columns stand, and whether the first row is one of names."""
        if self.named:
            held = {name: place for place, name in enumerate(first)}
            absent = [each.name for each in self.columns if each.name not in held]
            _check_columns(absent, f"{path}, whose first row should name its columns,")
            return [held[each.name] for each in self.columns], True
        places = list(range(len(self.columns)))
        if self.target is not None and len(first) == len(places) + 1:
            skipped = int(self.target) - 1
            places = [place for place in range(len(first)) if place != skipped]
        elif len(first) != len(places):
            raise InputError(f"{path} has {len(first)} columns; the network takes {len(places)}.")
        numbers = [first[place] for place, each in zip(places, self.columns, strict=True) if each.categories is None]
        return places, bool(numbers) and all(to_number(cell) is None for cell in numbers)

    def _encode(self, cells: Sequence[str], where: str) -> Tensor:
        values = [value for cell, each in zip(cells, self.columns, strict=True) for value in each.encode(cell, where)]
        features = torch.tensor(values, dtype=torch.float32)
        if not bool(features.isfinite().all()):
            raise InputError(f"{where}a number is infinite or too large for float32.")
        return features


Preprocess = ImagePreprocess | TablePreprocess


class Normalised(nn.Module):
    """A network on raw inputs, whose regression outputs are in the units of the targets.

    Args:
        network: The network on normalised inputs.
        preprocess: Its preprocessing.

    Example:
        >>> preprocess = TablePreprocess(("a", "b"), (Column("x", mean=1.0, std=2.0),))
        >>> Normalised(torch.nn.Identity(), preprocess)(torch.tensor([[5.0]])).tolist()
        [[2.0]]
    """

    mean: Tensor
    std: Tensor
    target_mean: Tensor
    target_std: Tensor

    def __init__(self, network: nn.Module, preprocess: Preprocess) -> None:
        super().__init__()
        self.network = network
        shape = (-1,) + (1,) * (len(preprocess.shape) - 1)
        weight = next(network.parameters(), None)
        device = None if weight is None else weight.device
        self.register_buffer("mean", torch.tensor(preprocess.mean, device=device).view(shape))
        self.register_buffer("std", torch.tensor(preprocess.std, device=device).view(shape))
        targets = preprocess.targets
        self.register_buffer("target_mean", torch.tensor([each.mean for each in targets], device=device))
        self.register_buffer("target_std", torch.tensor([each.std for each in targets], device=device))

    def forward(self, raw: Tensor) -> Any:
        """Return the network's output for raw inputs (n, ...)."""
        output = self.network((raw.to(torch.float32) - self.mean) / self.std)
        return output * self.target_std + self.target_mean if len(self.target_std) else output


def _outputs_to_json(preprocess: Preprocess) -> dict[str, Any]:
    """Return what the outputs of a network mean: names of classes, or the values of a regression."""
    if not preprocess.targets:
        return {"classes": list(preprocess.classes)}
    return {"targets": [{"name": each.name, "mean": each.mean, "std": each.std} for each in preprocess.targets]}


def normalise(raw: Tensor, mean: Sequence[float] | Tensor, std: Sequence[float] | Tensor) -> Tensor:
    """Return (n, ...) values less the mean, over the deviation of each channel or feature, as float32."""
    shape = (-1,) + (1,) * (raw.ndim - 2)
    centre, spread = (torch.as_tensor(each, device=raw.device).view(shape) for each in (mean, std))
    return (raw.to(torch.float32) - centre).div_(spread)


def is_missing(cell: str) -> bool:
    """Tell whether a cell of a table stands for a value that is missing."""
    return cell.casefold() in _MISSING


def _is_absent(value: Any) -> bool:
    try:
        return value is None or bool(value != value)
    except (TypeError, ValueError):
        return True  # `pandas.NA`


def _check_columns(absent: Sequence[str], place: str) -> None:
    if absent:
        rest = f" and {len(absent) - 8} more" if len(absent) > 8 else ""
        word = "column" if len(absent) == 1 else "columns"
        raise InputError(f"{place} lacks the {word} {', '.join(map(repr, absent[:8]))}{rest}, which the network needs.")


def _check_numbers(raw: Tensor) -> None:
    if raw.is_complex() or (raw.is_floating_point() and not bool(raw.isfinite().all())):
        raise InputError("the input holds values that are NaN, infinite or complex; replace them.")
