"""Data sets, split into training, validation and test parts."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch

from archwright._words import counted
from archwright.datasets._image_preprocess import ImagePreprocess
from archwright.datasets._preprocess import Preprocess, Target, normalise
from archwright.datasets._table_preprocess import Column, TablePreprocess
from archwright.space import TensorSpec

_VALUES = 4_000_000  # of which quantiles are taken, at most


@dataclass(frozen=True, eq=False)
class Part:
    """One part of a data set: training, validation or test.

    Args:
        inputs: Images, uint8 or float32 of shape (n, channels, height, width); a table, float32 of shape (n,
            features); or for other tasks any tensor (n, ...), or a tuple of them for networks with several inputs.
        targets: Index of each sample's class in `Data.classes`, int64 of shape (n,); or the values of a regression,
            float64 of shape (n, k); or which labels a sample has, float32 of shape (n, k); or for other tasks any
            tensor (n, ...).

    Example:
        >>> data = aw.data((torch.rand(40, 4), torch.arange(40) % 2))
        >>> data.train.inputs.shape, data.train.targets.dtype
        (torch.Size([28, 4]), torch.int64)
    """

    inputs: Any
    targets: torch.Tensor

    def __len__(self) -> int:
        """Return the number of samples."""
        return len(self.targets)

    def __add__(self, other: Part) -> Part:
        """Return the samples of both."""
        if isinstance(self.inputs, tuple):
            inputs: Any = tuple(torch.cat(pair) for pair in zip(self.inputs, other.inputs, strict=True))
        else:
            inputs = torch.cat([self.inputs, other.inputs])
        return Part(inputs, torch.cat([self.targets, other.targets]))

    def at(self, places: torch.Tensor | slice) -> tuple[Any, torch.Tensor]:
        """Return inputs and targets of some samples.

        Args:
            places: Indices, int64 of shape (n,), or a slice.
        """
        if isinstance(self.inputs, tuple):
            return tuple(each[places] for each in self.inputs), self.targets[places]
        return self.inputs[places], self.targets[places]

    def select(self, places: torch.Tensor) -> Part:
        """Return the part with the samples at given indices.

        Args:
            places: Indices, int64 of shape (n,).
        """
        return Part(*self.at(places))

    def placed(self, inputs: Callable[[Any], Any], targets: Callable[[torch.Tensor], torch.Tensor]) -> Part:
        """Return the part on another device.

        Args:
            inputs: Moves the inputs.
            targets: Moves the targets.
        """
        return Part(inputs(self.inputs), targets(self.targets))

    def batches(self, places: Sequence[torch.Tensor]) -> Iterator[tuple[Any, torch.Tensor]]:
        """Yield batches (inputs, targets).

        Args:
            places: Indices of the samples of each batch, int64 of shape (n,).
        """
        yield from map(self.at, places)

    def __repr__(self) -> str:
        """Return the number of samples and their shape, not the samples."""
        inputs = self.inputs if isinstance(self.inputs, tuple) else (self.inputs,)
        shown = " + ".join(f"{_shape(each)}, {str(each.dtype).removeprefix('torch.')}" for each in inputs)
        return f"Part({len(self):,} x {shown})"


@dataclass(frozen=True, eq=False)
class Data:
    """Labelled data, split into a training, a validation and a test part.

    Args:
        name: The name.
        kind: "image" or "table".
        classes: Names of the classes, or of the labels of which a sample may have several, in the order of the targets;
            empty for regression.
        train: The training part.
        validation: The validation part, on which a search compares networks.
        test: The test part, which is used once, for the final network.
        example_input: The input of a network for one sample: float32 of shape (channels, height, width) or (features,).
        mean: Mean of each channel or feature over the training part, in the units of the inputs (0..255 for uint8),
            float32 of shape (channels,) or (features,).
        std: Standard deviation likewise. 1 for constant features; one-hot features have mean 0 and deviation 1, and are
            not changed.
        spec: JSON-able arguments of `data(**spec)` that load the same data; `None` for arrays in memory.
        columns: For tables in files, the columns of the features.
        named: Whether the columns have names.
        target: For tables in files, the column of the classes or of the values, or several.
        resize: Whether images were resized when they were read.
        targets: For a regression, the name, mean and standard deviation of each of the k values.
        width: For tables in files, the number of all columns.
        told: What was guessed when the data were read, a line each.

    Example:
        >>> data = aw.data((torch.rand(40, 4), torch.arange(40) % 2))
        >>> len(data.train.targets), len(data.validation.targets), len(data.test.targets)
        (28, 4, 8)
    """

    name: str
    kind: str
    classes: tuple[str, ...]
    train: Part
    validation: Part
    test: Part
    example_input: TensorSpec
    mean: torch.Tensor
    std: torch.Tensor
    spec: Mapping[str, Any] | None = None
    columns: tuple[Column, ...] = ()
    named: bool = False
    target: str | tuple[str, ...] | None = None
    resize: bool = False
    targets: tuple[Target, ...] = ()
    width: int | None = None
    told: tuple[str, ...] = ()

    @property
    def is_multilabel(self) -> bool:
        """Whether a sample may have several of the classes."""
        return bool(self.classes) and self.train.targets.ndim == 2

    @property
    def preprocess(self) -> Preprocess:
        """The preprocessing of files and raw inputs, which is saved with each network."""
        means, stds = self.mean.tolist(), self.std.tolist()
        if self.kind == "image":
            channels, height, width = self.example_input.shape
            return ImagePreprocess(
                self.classes,
                channels,
                height,
                width,
                mean=tuple(means),
                std=tuple(stds),
                bytes=self.train.inputs.dtype == torch.uint8,
                resize=self.resize,
                targets=self.targets,
            )
        columns, start = [], 0
        for each in self.columns or [Column(str(place + 1)) for place in range(len(means))]:
            measured = each.categories is None
            columns.append(replace(each, mean=means[start], std=stds[start]) if measured else each)
            start += each.features
        return TablePreprocess(
            self.classes,
            tuple(columns),
            self.named,
            self.target,
            self.targets,
            width=None if self.named else self.width,
            multilabel=self.is_multilabel,
        )

    @property
    def groups(self) -> tuple[int, ...]:
        """The columns of a table, in the order of the features: 0 for a number, k for k features of which one is 1."""
        found: list[int] = []
        for each in self.columns:
            found += [0] + [1] * each.marked if each.categories is None else [len(each.categories)]
        return tuple(found) or (0,) * self.train.inputs.shape[1]

    def quantiles(self, bins: int) -> tuple[tuple[float, ...], ...]:
        """Return the edges of bins with as many training samples each, of each column of numbers, normalised.

        Args:
            bins: The number of bins. The edges are those of a part of the samples if there are many.
        """
        starts = np.cumsum([0, *(max(1, size) for size in self.groups)])
        places = [int(start) for start, size in zip(starts, self.groups, strict=False) if not size]
        step = -(-len(self.train) * len(places) // _VALUES) or 1
        values = self.normalise(self.train.inputs[::step])[:, places].numpy()
        edges = np.quantile(values, np.linspace(0, 1, bins + 1), axis=0).T
        return tuple(tuple(float(f"{edge:.4g}") for edge in row) for row in edges)

    def normalise(self, inputs: torch.Tensor) -> torch.Tensor:
        """Return normalised inputs: (inputs - mean) / std, with the statistics of the training set.

        Args:
            inputs: Samples of a part, on any device: (n, channels, height, width) or (n, features).

        Returns:
            float32 of the same shape, on the same device.
        """
        return normalise(inputs, self.mean, self.std)

    def __repr__(self) -> str:
        """Return one line: name, kind, shape, number of classes, sizes of the parts."""
        noun = f"{_shape(self.train.inputs)} images" if self.kind == "image" else "a table"
        if self.kind == "table":
            noun += f" of {counted(self.train.inputs.shape[1], 'feature')}"
        learnt = f"{len(self.classes)} {'labels' if self.is_multilabel else 'classes'}"
        learnt = learnt if self.classes else counted(len(self.targets), "target value")
        return (
            f"Data({self.name!r}: {noun}, {learnt}, {len(self.train):,} "
            f"training + {len(self.validation):,} validation + {counted(len(self.test), 'test sample')})"
        )


def _shape(inputs: torch.Tensor) -> str:
    """Return one sample's shape, such as 3x32x32."""
    return "x".join(str(size) for size in inputs.shape[1:])
