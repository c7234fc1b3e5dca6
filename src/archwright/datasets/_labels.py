"""Labels as class names, and class names in a stable order."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from archwright.datasets._source import Labels, Values
from archwright.errors import DataError

_NUMBER = re.compile(r"-?\d+(\.\d+)?")
_ABSENT = ("", "nan", "NaN", "NaT", "<NA>")  # what numpy and pandas make of missing values among texts
_SCALE = 5  # values from which a scale is suspected
_LARGEST = 2.0**53  # the whole numbers that float64 tells apart end here
_LONGEST = 200  # characters of a class; an array of texts takes for each as much as for the longest

TO_CLASSIFY = "To classify, give task='classification', or --task classification"


def to_labels(targets: npt.NDArray[Any]) -> Labels:
    """Return the class name of each sample, of whole numbers, truth values or texts, shape (n,).

    Whole numbers become their decimal digits, so that 3, 3.0 and "3" are one class. DataError where a label is missing,
    or the labels are measurements.
    """
    if targets.ndim != 1:
        raise DataError(
            f"targets hold one label for each sample, shape (n,); their shape is {targets.shape}. "
            "Turn one-hot rows into labels with `targets.argmax(1)`, a single column with "
            "`targets[:, 0]`."
        )
    kind = targets.dtype.kind
    if kind in "OTS":
        return _from_objects(targets.astype(object))
    if kind == "f":
        _refuse_missing(np.isnan(targets), targets)
        odd = np.flatnonzero((targets != np.floor(targets)) | (np.abs(targets) >= _LARGEST))
        if len(odd):
            raise DataError(
                f"the target {targets[odd[0]]} (index {odd[0]}) is no class: classes are whole "
                'numbers or texts. To predict the values themselves give task="regression" (--task regression); to '
                "classify, sort them into ranges first."
            )
        return targets.astype(np.int64).astype(np.str_)
    if kind in "iub":
        return targets.astype(np.str_)
    if kind == "U":
        _refuse_missing(np.isin(targets, _ABSENT), targets)
        return targets.astype(np.str_)
    raise DataError(f"targets are whole numbers, truth values or texts; their dtype is {targets.dtype}")


def to_texts(labels: Sequence[str], places: Sequence[str] | None = None) -> Labels:
    """Return labels as an array of texts, shape (n,).

    DataError where one is too long to be the name of a class; it says where the label stands, by `places`.
    """
    longest = max(range(len(labels)), key=lambda place: len(labels[place]), default=0)
    if labels and len(labels[longest]) > _LONGEST:
        where = f"index {longest}" if places is None else places[longest]
        raise DataError(
            f"the label {labels[longest][:40]!r}... ({where}) has {len(labels[longest]):,} characters; the name of a "
            f"class has {_LONGEST} at most. Are these the classes?"
        )
    return np.array(labels, dtype=np.str_)


def to_values(targets: npt.NDArray[Any]) -> Values:
    """Return the (n, k) target values of each sample, float64, of numbers or texts that are numbers, for regression.

    Their shape is (n,), or (n, k). DataError where a value is missing, infinite or no number.
    """
    if targets.ndim not in (1, 2) or 0 in targets.shape:
        raise DataError(
            f"targets hold one number for each sample, shape (n,), or several, shape (n, k); their shape is "
            f"{targets.shape}"
        )
    try:
        values = targets.astype(np.float64)
    except (TypeError, ValueError, OverflowError) as error:
        raise DataError(f"the targets of a regression are numbers: {error}. {TO_CLASSIFY}") from error
    odd = np.argwhere(~np.isfinite(values))
    if len(odd):
        raise DataError(
            f"{len(odd)} of {values.size} target values are missing or infinite, the first at index {odd[0][0]}; "
            "remove these samples"
        )
    return values.reshape(len(values), -1)


def to_marks(targets: npt.NDArray[Any]) -> Values:
    """Return which labels each sample has, float64 (n, k) of 0 and 1; DataError where a value is another."""
    values = to_values(targets)
    if values.shape[1] < 2 or not np.isin(values, (0, 1)).all():
        raise DataError(
            "the targets of task='multilabel' are 0 or 1, in two columns or more; for one label of several give "
            "task='classification', for other numbers task='regression' (--task)"
        )
    return values


def _from_objects(targets: npt.NDArray[Any]) -> Labels:
    """Return labels from Python objects, which must be all texts, all bytes, all truth values or all numbers."""
    _refuse_missing(np.array([_is_missing(label) for label in targets], dtype=np.bool_), targets)
    if all(isinstance(label, str) for label in targets):
        return to_labels(to_texts(targets.tolist()))
    if all(isinstance(label, bytes) for label in targets):
        return to_labels(to_texts([_decoded(label, index) for index, label in enumerate(targets)]))
    try:
        if all(isinstance(label, bool | np.bool_) for label in targets):
            return to_labels(targets.astype(np.bool_))
        if all(isinstance(label, int | np.integer) for label in targets):
            return to_labels(targets.astype(np.int64))
        if not any(isinstance(label, str | bytes) for label in targets):
            return to_labels(targets.astype(np.float64))
    except (TypeError, ValueError, OverflowError):
        pass
    raise DataError("targets must be all whole numbers or all texts; they hold a mixture.")


def _is_missing(label: Any) -> bool:
    try:
        return label is None or bool(label != label)
    except TypeError:
        return True  # `pandas.NA`, which is neither the same as itself nor another
    except (ValueError, RuntimeError):
        return False  # an array


def _refuse_missing(missing: npt.NDArray[np.bool_], targets: npt.NDArray[Any]) -> None:
    places = np.flatnonzero(missing)
    if len(places):
        label = targets[places[0]]
        label = repr(label) if isinstance(label, str) else label
        raise DataError(
            f"{len(places)} of {len(targets)} labels are missing ({label}), the first at "
            f"index {places[0]}; remove these samples or label them."
        )


def _decoded(label: bytes, index: int) -> str:
    try:
        return label.decode("utf-8")
    except UnicodeDecodeError as error:
        raise DataError(
            f"the label {label!r} at index {index} is not UTF-8 ({error.reason}); decode the labels first, such as by "
            "`[label.decode('latin-1') for label in labels]`."
        ) from error


def scale_doubts(targets: npt.NDArray[Any], labels: Labels, what: str = "the targets") -> list[str]:
    """Return what is to be said of labels that look like values of a scale rather than like classes."""
    if not all(isinstance(label, float | int | np.number) and not isinstance(label, bool) for label in targets[:1]):
        return []
    numbers = sorted(map(int, np.unique(labels)))
    count = len(numbers)
    if count < _SCALE or numbers in (list(range(count)), list(range(1, count + 1))):
        return []  # numbered as classes are
    return [
        f"{what} are whole numbers from {numbers[0]} to {numbers[-1]}, and are taken as {count} classes without an "
        f"order: {numbers[0]} in place of {numbers[-1]} counts no worse than {numbers[-2]}. To predict the values "
        "themselves give task='regression' (--task regression). If they are names of classes, give texts to silence "
        "this warning"
    ]


def class_names(labels: Labels) -> tuple[str, ...]:
    """Return the classes that occur: in numeric order where all are numbers, else by alphabet."""
    names = [str(name) for name in np.unique(labels)]
    if all(_NUMBER.fullmatch(name) for name in names):
        names.sort(key=lambda name: (float(name), name))
    return tuple(names)


def to_indices(labels: Labels, classes: tuple[str, ...], part: str = "test") -> npt.NDArray[np.int64]:
    """Return each label's position in `classes`, int64 of shape (n,); DataError where it is not among them."""
    names, inverse = np.unique(labels, return_inverse=True)
    places = {name: place for place, name in enumerate(classes)}
    new = [str(name) for name in names if str(name) not in places]
    if new:
        raise DataError(
            f"the {part} part holds {_listed(new)}, which the training part never shows. Training "
            f"classes: {_listed(classes)}. Make the names agree, or remove these samples."
        )
    position = np.array([places[str(name)] for name in names], dtype=np.int64)
    return position[inverse]


def check_classes(labels: Labels, *, maybe_header: bool = False, where: str = "") -> None:
    """Refuse labels that cannot be learnt: there is one class only, or at least half of them have a single sample.

    The sample of a class with one alone is a training sample. It is refused if it may be a header: the first row of a
    table without one. The message begins with where they stand.
    """
    where = f"{where}: " if where else ""
    names, counts = np.unique(labels, return_counts=True)
    if len(names) < 2:
        held = f"one class only, {str(names[0])!r}" if len(names) else "no training sample"
        raise DataError(f"{where}there is {held}; at least two classes are needed to learn from.")
    single = [str(name) for name in names[counts == 1]]
    if maybe_header and str(labels[0]) in single:
        raise DataError(
            f"{where}class {str(labels[0])!r} has one sample, the first row. If that row holds the names of the "
            "columns, give header=True or write names that are no numbers; else add samples or remove the row."
        )
    if 2 * len(single) >= len(names):
        have = "has one sample" if len(single) == 1 else "have one sample each"
        raise DataError(
            f"{where}{_listed(single)} of the {len(names)} classes {have}: most classes need at least two to "
            "be split into training and held-out parts. Add samples or remove these classes. If the "
            "targets are measurements, give task='regression' (--task regression)."
        )


def _listed(names: list[str] | tuple[str, ...], most: int = 8) -> str:
    """Return the first few names for a message."""
    rest = f" and {len(names) - most} more" if len(names) > most else ""
    word = "class" if len(names) == 1 else "classes"
    return f"{word} {', '.join(repr(name) for name in names[:most])}{rest}"
