"""What the readers hand over: samples that nobody has split yet."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

__all__ = ["Labels", "Samples", "Source"]

Labels = npt.NDArray[Any]
"""Class names, one for each sample: text of shape (n,)."""


@dataclass(frozen=True)
class Samples:
    """Inputs with the names of their classes.

    Args:
        inputs: Images, uint8 or float32 of shape (n, channels, height, width), or a table, float32
            of shape (n, features).
        labels: Class names, text of shape (n,).
    """

    inputs: torch.Tensor
    labels: Labels


@dataclass(frozen=True)
class Source:
    """All that a reader found.

    Args:
        name: What to call the data.
        train: The samples to learn from; the validation part is taken from them, and so is the test
            part where there is no official one.
        test: The official test part, if there is one.
        indicators: For tables, which features are 0/1 marks of a category: bool of shape
            (features,).
    """

    name: str
    train: Samples
    test: Samples | None = None
    indicators: npt.NDArray[np.bool_] | None = None
