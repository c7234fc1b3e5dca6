"""Labels as class names, and class names in a stable order."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import numpy.typing as npt

from archwright.datasets._source import Labels
from archwright.errors import DataError

__all__ = ["check_classes", "class_names", "to_indices", "to_labels"]

_NUMBER = re.compile(r"-?\d+(\.\d+)?")
_LARGEST = 2.0**53  # the whole numbers that float64 tells apart end here


def to_labels(targets: npt.NDArray[Any]) -> Labels:
    """Return the class name of each sample.

    Whole numbers become their decimal digits, so that 3, 3.0 and "3" are one class.

    Args:
        targets: Whole numbers, truth values or texts, shape (n,).

    Raises:
        DataError: The shape is another, a label is missing, or the labels are measurements.
    """
    if targets.ndim != 1:
        raise DataError(
            f"targets hold one label for each sample, shape (n,); their shape is {targets.shape}. "
            "Turn one-hot rows into labels with `targets.argmax(1)`, a single column with "
            "`targets[:, 0]`."
        )
    kind = targets.dtype.kind
    if kind == "f":
        missing = np.flatnonzero(np.isnan(targets))
        if len(missing):
            raise DataError(
                f"{len(missing)} of {len(targets)} labels are missing (NaN), the first at index "
                f"{missing[0]}; remove these samples or label them."
            )
        odd = np.flatnonzero((targets != np.floor(targets)) | (np.abs(targets) >= _LARGEST))
        if len(odd):
            raise DataError(
                f"the target {targets[odd[0]]} (index {odd[0]}) is no class: classes are whole "
                "numbers or texts. Regression is not supported here; to classify, sort the values "
                "into ranges first."
            )
        return targets.astype(np.int64).astype(np.str_)
    if kind in "iubU":
        return targets.astype(np.str_)
    if kind == "S":
        return np.char.decode(targets, "utf-8")
    if kind == "O":
        return _from_objects(targets)
    raise DataError(f"targets are whole numbers, truth values or texts; their dtype is {targets.dtype}")


def _from_objects(targets: npt.NDArray[Any]) -> Labels:
    """Return labels from Python objects, which must all be texts or all be numbers."""
    for index, label in enumerate(targets):
        if label is None or label != label:
            raise DataError(f"the label at index {index} is missing ({label!r}); remove that sample or label it.")
    if all(isinstance(label, str) for label in targets):
        return targets.astype(np.str_)
    try:
        return to_labels(np.asarray(targets, dtype=np.float64))
    except (TypeError, ValueError):
        raise DataError("targets must be all whole numbers or all texts; they hold a mixture.") from None


def class_names(labels: Labels) -> tuple[str, ...]:
    """Return the classes that occur: in numeric order where all are numbers, else by alphabet."""
    names = [str(name) for name in np.unique(labels)]
    if all(_NUMBER.fullmatch(name) for name in names):
        names.sort(key=lambda name: (float(name), name))
    return tuple(names)


def to_indices(labels: Labels, classes: tuple[str, ...]) -> npt.NDArray[np.int64]:
    """Return each label's position in `classes`, int64 of shape (n,).

    Raises:
        DataError: A label is not among the classes: it occurs in the test part alone.
    """
    names, inverse = np.unique(labels, return_inverse=True)
    new = [str(name) for name in names if name not in classes]
    if new:
        raise DataError(
            f"the test part holds {_listed(new)}, which the training part never shows. Training "
            f"classes: {_listed(classes)}. Make the names agree, or remove these test samples."
        )
    position = np.array([classes.index(name) for name in names], dtype=np.int64)
    return position[inverse]


def check_classes(labels: Labels) -> None:
    """Raise where the labels cannot be learnt or split.

    Raises:
        DataError: There is one class only, or a class with a single sample.
    """
    names, counts = np.unique(labels, return_counts=True)
    if len(names) < 2:
        raise DataError(f"there is one class only, {str(names[0])!r}; at least two are needed to learn from.")
    single = [str(name) for name in names[counts == 1]]
    if single:
        have = "has one sample" if len(single) == 1 else "have one sample each"
        raise DataError(
            f"{_listed(single)} of the {len(names)} classes {have}: a class needs at least two to "
            "be split into training and held-out parts. Add samples or remove the class. (If the "
            "targets are measurements: regression is not supported here.)"
        )


def _listed(names: list[str] | tuple[str, ...], most: int = 8) -> str:
    """Return the first few names for a message."""
    rest = f" and {len(names) - most} more" if len(names) > most else ""
    word = "class" if len(names) == 1 else "classes"
    return f"{word} {', '.join(repr(name) for name in names[:most])}{rest}"
