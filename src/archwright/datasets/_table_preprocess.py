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
    Result,
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
from archwright.datasets._reading import GIGABYTES, InputError, check_file, limit_text, read_rows, to_number

__all__ = ["PARQUET", "Column", "Labels", "TablePreprocess", "cell_text", "is_missing", "table_rows"]

PARQUET = (".parquet", ".pq")
_MISSING = frozenset({"", "na", "n/a", "nan", "null", "<na>", "#n/a"})
_LISTED = 50  # bytes that a value in a list takes in memory, with its text, about
_NO_NUMBER = frozenset({"?", "-", ".", "none"})  # stand for a missing number, but may be a category among texts


@dataclass(frozen=True)
class Column:
    """A column of a table.

    Args:
        name: The name, or the position, from 1, if columns have no names.
        categories: The categories, one 0/1 feature each, "" for a missing cell; `None` for a numeric column.
        mean: The mean of a numeric column over the training part.
        std: Standard deviation likewise.
        fill: The number in place of missing cells of a numeric column, the median of the training part; `None` if no
            cell may be missing.
        marked: Whether a numeric column has a second feature, which is 1 where its cell is missing.

    Example:
        >>> Column("colour", ("blue", "red")).encode("red", "row 1")
        [0.0, 1.0]
        >>> Column("age", fill=37.0, marked=True).encode("", "row 1")
        [37.0, 1.0]
    """

    name: str
    categories: tuple[str, ...] | None = None
    mean: float = 0.0
    std: float = 1.0
    fill: float | None = None
    marked: bool = False

    @property
    def features(self) -> int:
        """The number of features of the column."""
        return 1 + self.marked if self.categories is None else len(self.categories)

    def encode(self, cell: str, where: str) -> list[float]:
        """Return the features of a cell.

        Zeros for a category that is not in the training data, and the median for a missing number in a column that had
        none in training; both with a warning.

        Raises:
            InputError: The cell is not a number in a numeric column, or is missing and there is nothing to fill in.
        """
        if self.categories is None:
            return self._number(cell, where)
        cell = "" if is_missing(cell) else cell
        if cell not in self.categories:
            known = ", ".join(map(repr, self.categories[:8])) + (", ..." if len(self.categories) > 8 else "")
            warnings.warn(
                f"column {self.name!r} holds the unknown category {cell[:40]!r} (known are {known}): its features are "
                "all 0",
                stacklevel=2,
            )
        return [float(cell == category) for category in self.categories]

    def _number(self, cell: str, where: str) -> list[float]:
        value = to_number(cell)
        missing = is_missing(cell, number=True) if value is None else value != value
        value = self.fill if missing else value
        if value is None:
            if missing:
                raise InputError(f"{where}column {self.name!r} is missing ({cell!r}); fill it in.")
            raise InputError(f"{where}column {self.name!r} holds {cell[:40]!r} where a number is required.")
        if missing and not self.marked:
            warnings.warn(
                f"column {self.name!r} has missing cells, but had none in training: {value:g}, the median in training, "
                "takes their place",
                stacklevel=3,
            )
        return [value, float(missing)] if self.marked else [value]


@dataclass(frozen=True)
class Labels(Result):
    """The labels of one sample, of which it may have several or none.

    Args:
        file: The file of the sample; `None` for a sample in memory.
        row: Its row in the file, from 1, or its index in memory, from 0.
        labels: Those with a probability above 0.5.
        probabilities: The probabilities of all labels.

    Example:
        >>> Labels(None, 0, ["rock"], {"rock": 0.9, "jazz": 0.25}).cells()
        {'labels': 'rock'}
    """

    labels: list[str]
    probabilities: dict[str, float]

    def cells(self) -> dict[str, str]:
        """Return the labels."""
        return {"labels": ", ".join(self.labels) or "-"}


@dataclass(frozen=True)
class TablePreprocess(Preprocess):
    """Preprocessing of table rows.

    Args:
        classes: Names of the classes, in the order of the network's scores; none for a regression.
        columns: The columns in the order of the network's features.
        named: Whether the first row of a file holds the names of its columns; otherwise columns are identified by
            position.
        target: The column of the classes in training, or several, which are ignored in a file.
        targets: The targets of a regression, in the order of the network's outputs.
        width: The number of columns of the training file, of which some may have been left out; `None` for none left
            out.
        multilabel: Whether a row may have several of the classes, or none.

    Example:
        >>> preprocess = TablePreprocess(("a", "b"), (Column("x", mean=1.0, std=2.0), Column("c", ("u", "v"))))
        >>> preprocess.item({"x": 5.0, "c": "v"}).tolist()
        [5.0, 0.0, 1.0]
    """

    kind = "table"
    takes = "tables (CSV, Parquet)"
    is_numbered = True

    classes: tuple[str, ...]
    columns: tuple[Column, ...]
    named: bool = False
    target: str | tuple[str, ...] | None = None
    targets: tuple[Target, ...] = ()
    width: int | None = None
    multilabel: bool = False

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of one sample."""
        return (len(self.mean),)

    @property
    def mean(self) -> tuple[float, ...]:
        """Mean of each feature; 0 for the 0/1 features of categories and missing cells."""
        return tuple(value for each in self.columns for value in (each.mean, *[0.0] * (each.features - 1)))

    @property
    def std(self) -> tuple[float, ...]:
        """Standard deviation of each feature; 1 for the 0/1 features of categories and missing cells."""
        return tuple(value for each in self.columns for value in (each.std, *[1.0] * (each.features - 1)))

    def normalise(self, raw: Tensor) -> Tensor:
        """Return raw features (n, features) as (raw - mean) / std, float32."""
        return normalise(raw, self.mean, self.std)

    def read(self, path: str | os.PathLike[str], *, gigabytes: float = GIGABYTES) -> Iterator[Sample]:
        """Yield each row of a table file as float32 (features,), or the error.

        Other columns are ignored.

        Raises:
            InputError: The file cannot be read, or lacks a column.
        """
        rows = table_rows(Path(path), gigabytes)
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
        return self._encode([cell_text(given[each.name]) for each in self.columns], "")

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

    def results(self, outputs: Any, places: Sequence[Any]) -> Sequence[Result]:
        """Return the prediction for each row: its class, its labels, or the values of the targets."""
        if not self.multilabel:
            return super().results(outputs, places)
        shares = [dict(zip(self.classes, row, strict=True)) for row in outputs.sigmoid().tolist()]
        return [
            Labels(place[0], place[1], [name for name, share in row.items() if share > 0.5], row)
            for place, row in zip(places, shares, strict=True)
        ]

    def source(self) -> str:
        """Return the source of the constants and of the function `preprocess`."""
        return outputs_source(self, f"(n, {self.shape[0]})", "view(-1)")

    def to_json(self) -> dict[str, Any]:
        """Return the content of `preprocess.json`."""
        columns = [
            {"name": each.name, "mean": each.mean, "std": each.std, "fill": each.fill, "marked": each.marked}
            if each.categories is None
            else {"name": each.name, "categories": list(each.categories)}
            for each in self.columns
        ]
        return {
            "version": 1,
            "kind": "table",
            "named": self.named,
            "target": list(self.target) if isinstance(self.target, tuple) else self.target,
            "width": self.width,
            "multilabel": self.multilabel,
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
        named, target, multilabel = field(data, "named", bool), data.get("target"), data.get("multilabel", False)
        if isinstance(target, list):
            target = texts(data, "target")
        for each in _names(target):
            if not isinstance(each, str) or not (named or each.isdecimal()):
                raise InputError(f"the target {each!r} is no column.")
        if not isinstance(multilabel, bool):
            raise InputError(f"'multilabel' should be true or false; it is {multilabel!r}.")
        width = None if data.get("width") is None else field(data, "width", int)
        if width is not None and not named and not all(_is_place(each.name, width) for each in columns):
            raise InputError(f"a column is none of the {width} of the training file.")
        return cls(
            columns=columns,
            named=named,
            target=target,
            width=width,
            multilabel=multilabel,
            **outputs_from_json(data),
        )

    def _places(self, first: Sequence[str], path: object) -> tuple[list[int], bool]:
        """Return where the columns stand, and whether the first row is one of names."""
        if self.named:
            held = {name: place for place, name in enumerate(first)}
            absent = [each.name for each in self.columns if each.name not in held]
            _check_columns(absent, f"{path}, whose first row should name its columns,")
            return [held[each.name] for each in self.columns], True
        targets = {int(each) - 1 for each in _names(self.target)}
        count = len(self.columns)
        if self.width is None:
            width = count + len(targets)
            places = [place for place in range(width) if place not in targets][:count]
        else:
            width = self.width
            places = [int(each.name) - 1 for each in self.columns]
        # A file has all columns of the training file, or those without the target, or only those of the network.
        if len(first) == width - len(targets):
            places = [place - sum(target < place for target in targets) for place in places]
        elif len(first) == count:
            places = list(range(count))
        elif len(first) != width:
            raise InputError(f"{path} has {len(first)} columns; the network takes {count}.")
        numbers = [first[place] for place, each in zip(places, self.columns, strict=True) if each.categories is None]
        is_header = all(to_number(cell) is None and not is_missing(cell, number=True) for cell in numbers)
        return places, bool(numbers) and is_header

    def _encode(self, cells: Sequence[str], where: str) -> Tensor:
        values = [value for cell, each in zip(cells, self.columns, strict=True) for value in each.encode(cell, where)]
        features = torch.tensor(values, dtype=torch.float32)
        if not bool(features.isfinite().all()):
            raise InputError(f"{where}a number is infinite or too large for float32.")
        return features


def _names(target: Any) -> tuple[Any, ...]:
    return target if isinstance(target, tuple) else () if target is None else (target,)


def is_missing(cell: str, *, number: bool = False) -> bool:
    """Tell whether a cell of a table stands for a value that is missing, and for that of a number in particular."""
    folded = cell.casefold()
    return folded in _MISSING or (number and folded in _NO_NUMBER)


def table_rows(path: Path, gigabytes: float = GIGABYTES) -> Iterator[tuple[int, list[str]]]:
    """Yield the rows of a table with their numbers in the file, counted from 1; the names of a Parquet file as row 0.

    InputError where the file cannot be read, or takes more than the limit.
    """
    yield from _parquet_rows(path, gigabytes) if path.suffix.lower() in PARQUET else read_rows(path, gigabytes)


def _parquet_rows(path: Path, gigabytes: float) -> Iterator[tuple[int, list[str]]]:
    check_file(path)
    try:
        from pyarrow import ArrowException, parquet
    except ImportError as error:
        raise InputError(f"reading {path} needs pyarrow: pip install pyarrow") from error
    try:
        # A text that many rows share is read once. Written out for each, little that is on disk would fill the memory.
        texts = [each.name for each in parquet.read_schema(path) if str(each.type) in ("string", "large_string")]
        with parquet.ParquetFile(path, read_dictionary=texts) as file:
            groups = range(file.metadata.num_row_groups)
            taken = sum(file.metadata.row_group(group).total_byte_size for group in groups)
            # A row of lists may have any number of values, and many that are the same take a few bytes on disk.
            nested = [place for place in range(len(file.schema)) if file.schema.column(place).max_repetition_level]
            pairs = ((group, place) for group in groups for place in nested)
            taken += _LISTED * sum(file.metadata.row_group(group).column(place).num_values for group, place in pairs)
            if taken > gigabytes * 1e9:
                raise InputError(f"{path} takes more than {limit_text(gigabytes)}")
            yield 0, list(file.schema_arrow.names)
            rows = (row for batch in file.iter_batches() for row in zip(*map(_values, batch.columns), strict=True))
            for number, row in enumerate(rows, 1):
                yield number, list(map(cell_text, row))
    except InputError:
        raise
    except (OSError, OverflowError, ValueError, ArrowException) as error:  # the second one of dates far away
        raise InputError(f"{path} cannot be read as a Parquet file: {error}") from error


def _values(column: Any) -> list[Any]:
    values: list[Any] = getattr(column, "dictionary", column).to_pylist()
    if not hasattr(column, "dictionary"):
        return values
    return [None if place is None else values[place] for place in column.indices.to_pylist()]


def cell_text(value: Any) -> str:
    """Return a value as the text that a cell of a CSV file would hold; an empty one for a missing value."""
    return "" if _is_absent(value) else str(value).strip()


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
    fill, marked = data.get("fill"), data.get("marked", False)
    if not isinstance(marked, bool) or (marked and fill is None):
        raise InputError(f"the column {name!r} marks missing cells by {marked!r} and fills in {fill!r}.")
    filled = None if fill is None else moments(fill, 1.0)[0]
    return Column(name, None, *moments(data.get("mean"), data.get("std")), filled, marked)


def _is_place(name: str, width: int) -> bool:
    return name.isdecimal() and 1 <= int(name) <= width
