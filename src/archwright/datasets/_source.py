"""Samples before the split, as the readers return them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from archwright.datasets._table_preprocess import Column

Labels = npt.NDArray[Any]
"""Class names, one for each sample: text of shape (n,)."""
Values = npt.NDArray[np.float64]
"""Target values of a regression: float64 of shape (n, k)."""


@dataclass(frozen=True)
class Samples:
    """Inputs with the names of their classes, or with target values."""

    # Images, uint8 or float32 of shape (n, channels, height, width), or a table, float32 of shape (n, features).
    inputs: torch.Tensor
    labels: Labels | Values  # class names, text of shape (n,); or values, float64 of shape (n, k)
    # What the user is to be warned of: values that may mean something else than they are taken for.
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Source:
    """All that a reader found."""

    name: str  # what to call the data
    train: Samples  # the samples to learn from; a part that is not given is taken from them
    test: Samples | None = None  # the official test part, if there is one
    columns: tuple[Column, ...] = ()  # for tables in files, what their columns become, in the order of the features
    named: bool = False  # whether these have names of their own
    target: str | None = None  # for tables in files, the column of the classes
    validation: Samples | None = None  # a validation part of its own, if there is one

    @property
    def indicators(self) -> npt.NDArray[np.bool_]:
        """Which features are 0/1 marks of a category, bool of shape (features,)."""
        if not self.columns:
            return np.zeros(self.train.inputs.shape[1], dtype=np.bool_)
        return np.concatenate(
            [np.full(each.features, each.categories is not None, dtype=np.bool_) for each in self.columns]
        )
