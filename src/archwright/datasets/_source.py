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

    # Images, uint8 or float32 of shape (n, channels, height, width), or a table, float32 of shape (n, features), NaN
    # where a cell of a file is missing.
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
    target: str | tuple[str, ...] | None = None  # for tables in files, the column of the classes, or several of values
    validation: Samples | None = None  # a validation part of its own, if there is one
    width: int | None = None  # for tables in files, the number of all columns
    task: str | None = None  # what is learnt, if the reader knows or guesses it
    told: tuple[str, ...] = ()  # what was guessed, a line each
