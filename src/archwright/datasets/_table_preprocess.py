"""Preprocessing of tables; a part of the `predict.py` of networks that take rows."""

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

from archwright.datasets._preprocess import (
    Normalised,
    Noted,
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
    texts,
)
from archwright.datasets._reading import GIGABYTES, InputError, read_rows, to_number

__all__ = ["Column", "TablePreprocess", "is_missing"]

_MISSING = frozenset({"", "na", "n/a", "nan", "null"})


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
class TablePreprocess(Preprocess):
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
        >>> preprocess.item({"x": 5.0, "c": "v"}).tolist()
        [5.0, 0.0, 1.0]
    """

    kind = "table"
    takes = "tables (CSV)"
    is_numbered = True

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

    def item(self, given: Any) -> Tensor | Noted:
        """Return the features of one row, float32 (features,).

        Args:
            given: A mapping from column names to values; other columns are ignored.

        Raises:
            InputError: It is no mapping, or a column is missing or invalid.
        """
        if not isinstance(given, Mapping):
            return super().item(given)
        _check_columns([each.name for each in self.columns if each.name not in given], "a row")
        cells = ["" if _is_absent(given[each.name]) else str(given[each.name]).strip() for each in self.columns]
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
        check_numbers(raw)
        return raw

    def adapted(self, network: nn.Module) -> nn.Module:
        """Return a network for raw inputs, whose regression outputs are in the units of the targets."""
        return Normalised(network, self)

    def source(self) -> str:
        """Return the source of the constants and of the function `preprocess`."""
        return outputs_source(self, f"(n, {self.shape[0]})", "view(-1)")

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
            **outputs_to_json(self),
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> TablePreprocess:
        """Return the preprocessing written by `to_json`.

        Raises:
            InputError: The value is not a preprocessing of tables.
        """
        columns = tuple(_column(each) for each in field(data, "columns", list))
        if not columns or len({each.name for each in columns}) < len(columns):
            raise InputError("a table needs columns, each with a name of its own.")
        named, target = field(data, "named", bool), data.get("target")
        if not (target is None or (isinstance(target, str) and (named or target.isdecimal()))):
            raise InputError(f"the target {target!r} is no column.")
        return cls(columns=columns, named=named, target=target, **outputs_from_json(data))

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


def _column(data: Any) -> Column:
    if not isinstance(data, dict):
        raise InputError(f"{data!r} is no column.")
    name = field(data, "name", str)
    if "categories" in data:
        return Column(name, texts(data, "categories"))
    return Column(name, None, *moments(data.get("mean"), data.get("std")))
