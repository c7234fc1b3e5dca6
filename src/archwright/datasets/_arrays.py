"""Arrays and tensors in memory as inputs and labels."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from archwright._words import counted
from archwright.datasets._labels import scale_doubts, to_labels, to_marks, to_values
from archwright.datasets._source import Samples
from archwright.errors import DataError

_CHANNELS = (1, 3)


def to_samples(inputs: Any, targets: Any, *, task: str = "classification") -> Samples:
    """Return a pair of arrays, tensors or nested lists as samples.

    Targets are whole numbers, truth values or texts, shape (n,); for a regression numbers, shape (n,) or (n, k).
    DataError where their lengths differ, or one of them cannot be learnt from.
    """
    array = to_array(inputs, "inputs")
    labels = to_array(targets, "targets")
    if array.ndim and labels.ndim and len(array) != len(labels):
        raise DataError(
            f"there are {counted(len(array), 'input')} but {counted(len(labels), 'target')}; give one target for each "
            "input, in the same order."
        )
    if task == "regression":
        return Samples(to_inputs(array), to_values(labels), tuple(_doubts(array)))
    if task == "multilabel":
        return Samples(to_inputs(array), to_marks(labels), tuple(_doubts(array)))
    names = to_labels(labels)
    return Samples(to_inputs(array), names, (*_doubts(array), *scale_doubts(labels, names)))


def to_inputs(array: npt.NDArray[Any]) -> torch.Tensor:
    """Return inputs as a tensor: a table from two axes, images from three or four.

    They are numbers of shape (n, features), (n, height, width), (n, channels, height, width) or (n, height, width,
    channels). With four axes the channels are the axis of size 1 or 3, and the second axis where both fit. Whole
    numbers in images lie in 0..255; anything else is a DataError.

    Returns:
        float32 (n, features), or uint8 or float32 (n, channels, height, width).
    """
    if array.dtype.kind not in "biuf":
        raise DataError(
            f"inputs must be numbers; their dtype is {array.dtype}. Turn texts into numbers "
            "first, or read them from a CSV file, which does so."
        )
    if array.ndim not in (2, 3, 4):
        raise DataError(
            f"inputs of shape {array.shape} are neither a table (n, features) nor images (n, "
            "height, width), (n, channels, height, width) or (n, height, width, channels). "
            "Reshape them."
        )
    if array.size == 0:
        raise DataError(f"inputs of shape {array.shape} hold nothing to learn from.")
    if array.ndim == 2:
        return check_finite(_tensor(_to_float32(array)))
    images = array[:, None] if array.ndim == 3 else _channels_first(array)
    if images.dtype.kind == "f":
        return check_finite(_tensor(_to_float32(images)))
    low, high = int(images.min()), int(images.max())
    if low < 0 or high > 255:
        raise DataError(
            f"images of whole numbers lie in 0..255; these lie in {low}..{high}. Scale them, or give them as float32."
        )
    return _tensor(images.astype(np.uint8))


def check_finite(inputs: torch.Tensor) -> torch.Tensor:
    """Return inputs as they are; DataError where a value is NaN, infinite, or was too large for float32."""
    finite = torch.isfinite(inputs)
    if not bool(finite.all()):
        samples = torch.nonzero(~finite.flatten(1).all(1)).flatten()
        raise DataError(
            f"inputs hold {int((~finite).sum())} values that are NaN, infinite or too large for "
            f"float32, in {len(samples)} of {len(inputs)} samples, the first at index "
            f"{int(samples[0])}. Replace them or remove these samples."
        )
    return inputs


def to_array(values: Any, what: str) -> npt.NDArray[Any]:
    """Return values of a supported type as an array.

    Args:
        values: An array, a tensor, a series or data frame of pandas, or nested lists.
        what: Their name in error messages.

    Raises:
        DataError: The values form no array, are empty, or some are masked.

    Example:
        >>> from archwright.datasets import to_array
        >>> to_array(torch.ones(2, 3), "inputs").shape
        (2, 3)
    """
    if isinstance(values, np.ma.MaskedArray) and np.ma.is_masked(values):
        raise DataError(f"{what} hold masked values, which are missing; fill them in or remove these samples.")
    if isinstance(values, torch.Tensor):
        if values.is_meta:
            raise DataError(f"{what} are a tensor on the meta device, which holds no data.")
        values = values.detach().cpu().to_dense()
        # numpy knows no bfloat16
        return np.asarray((values.float() if values.dtype == torch.bfloat16 else values).numpy())
    try:
        array = np.asarray(values)
        if array.dtype.kind in "USO" and isinstance(values, list | tuple):
            # numpy turns a NaN among texts into the text "nan", and a number into its digits
            array = np.array(values, dtype=object)
        return array
    except ValueError as error:
        raise DataError(f"{what} do not form an array; every sample must have the same shape ({error}).") from error


def _doubts(array: npt.NDArray[Any]) -> list[str]:
    """Return what is to be said of a table of whole numbers, which may be codes rather than measurements."""
    if array.ndim != 2 or array.dtype.kind not in "iu" or (array.min() >= 0 and array.max() <= 1):
        return []
    return [
        f"inputs are whole numbers ({array.dtype}, {array.min():,} to {array.max():,}) and are taken as measurements: "
        "each feature is standardised. That makes no sense for token ids and other codes: train on those with an "
        "evaluator of your own. For measurements and counts, give float32 to silence this warning"
    ]


def _channels_first(array: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Return images of shape (n, channels, height, width)."""
    if array.shape[1] in _CHANNELS:
        return array
    if array.shape[3] in _CHANNELS:
        return array.transpose(0, 3, 1, 2)
    raise DataError(
        f"images of shape {array.shape}: neither the second nor the last axis has size 1 or 3, so "
        "the channels cannot be told. Give grey (1) or colour (3) images."
    )


def _to_float32(array: npt.NDArray[Any]) -> npt.NDArray[np.float32]:
    """Return float32 values; what does not fit becomes infinite, which `check_finite` refuses."""
    with np.errstate(over="ignore"):
        return array.astype(np.float32)


def _tensor(array: npt.NDArray[Any]) -> torch.Tensor:
    """Return a tensor of its own, whatever strides or write protection the array has."""
    return torch.tensor(np.ascontiguousarray(array))
