"""Data in three parts, ready to learn from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import torch

from archwright._words import counted
from archwright.datasets._preprocess import Column, ImagePreprocess, Preprocess, TablePreprocess, normalise
from archwright.space import TensorSpec

__all__ = ["Data", "Part"]


@dataclass(frozen=True, eq=False)
class Part:
    """One part of the data.

    Args:
        inputs: Images, uint8 (or float32 where they came as such) of shape (n, channels, height,
            width); or a table, float32 of shape (n, features).
        targets: Position of each sample's class in `Data.classes`, int64 of shape (n,).
    """

    inputs: torch.Tensor
    targets: torch.Tensor

    def __len__(self) -> int:
        """Return the number of samples."""
        return len(self.targets)

    def __repr__(self) -> str:
        """Return the number of samples and their shape, not the samples."""
        dtype = str(self.inputs.dtype).removeprefix("torch.")
        return f"Part({len(self):,} x {_shape(self.inputs)}, {dtype})"


@dataclass(frozen=True, eq=False)
class Data:
    """Labelled data, split into a training, a validation and a test part.

    Args:
        name: What it is called.
        kind: "image" or "table".
        classes: Names of the classes, in the order of the targets.
        train: The part that networks learn from.
        validation: The part that a search compares networks on.
        test: The part that is used once, at the very end.
        example_input: What a network sees of one sample: float32 of shape (channels, height, width)
            or (features,).
        mean: Mean of each channel or feature over the training part, in the units of the inputs
            (0..255 for uint8), float32 of shape (channels,) or (features,).
        std: Standard deviation likewise. It is 1 where a feature is constant; for the 0/1 marks of
            a category the mean is 0 and the deviation 1, so that these stay as they are.
        spec: What `data(**spec)` needs to load the same again, JSON-able; `None` for arrays in
            memory.
        columns: For tables in files, the columns that the features were made of.
        named: Whether these have names of their own.
        target: For tables in files, the column of the classes.
        resize: Whether images were resized as they were read.
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
    target: str | None = None
    resize: bool = False

    @property
    def preprocess(self) -> Preprocess:
        """What turns files and raw inputs into what a network takes; it is saved with each network."""
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
            )
        columns, start = [], 0
        for each in self.columns or [Column(str(place + 1)) for place in range(len(means))]:
            measured = each.categories is None
            columns.append(replace(each, mean=means[start], std=stds[start]) if measured else each)
            start += each.features
        return TablePreprocess(self.classes, tuple(columns), self.named, self.target)

    def normalise(self, inputs: torch.Tensor) -> torch.Tensor:
        """Return what a network sees: inputs less the training mean, over its deviation.

        Args:
            inputs: Samples as a part holds them, on any device: (n, channels, height, width) or (n,
                features).

        Returns:
            float32 of the same shape, on the same device.
        """
        return normalise(inputs, self.mean, self.std)

    def with_validation(self) -> Part:
        """Return the training and the validation part as one, for the final training."""
        return Part(
            torch.cat([self.train.inputs, self.validation.inputs]),
            torch.cat([self.train.targets, self.validation.targets]),
        )

    def hold_test(self) -> Data:
        """Return the same data with an empty test part, for a search that must not see it."""
        return replace(self, test=Part(self.test.inputs[:0], self.test.targets[:0]))

    def __repr__(self) -> str:
        """Return one line: name, kind, shape, number of classes, sizes of the parts."""
        noun = f"{_shape(self.train.inputs)} images" if self.kind == "image" else "a table"
        if self.kind == "table":
            noun += f" of {counted(self.train.inputs.shape[1], 'feature')}"
        return (
            f"Data({self.name!r}: {noun}, {len(self.classes)} classes, {len(self.train):,} "
            f"training + {len(self.validation):,} validation + {counted(len(self.test), 'test sample')})"
        )


def _shape(inputs: torch.Tensor) -> str:
    """Return one sample's shape, such as 3x32x32."""
    return "x".join(str(size) for size in inputs.shape[1:])
