"""Tables in text files."""

from __future__ import annotations

import csv
import difflib
import gzip
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO, cast

import numpy as np
import numpy.typing as npt
import torch

from archwright.datasets._arrays import check_finite
from archwright.datasets._labels import to_labels
from archwright.datasets._source import Labels, Samples, Source
from archwright.errors import DataError

__all__ = ["read_csv"]

_DELIMITERS = ",;\t|"
_MISSING = frozenset({"", "na", "n/a", "nan", "null"})
_MARKS = frozenset({"?", "-", "."})  # stand for a missing number, but may be a category among texts
_FEW, _MOST = 20, 1000  # categories: so many are always fine, more never


@dataclass(frozen=True)
class _Table:
    """The cells of a file, column by column, as texts."""

    path: Path
    columns: dict[str, list[str]]
    rows: list[int]  # where each sample stands in the file, counted from 1

    def error(self, message: str) -> DataError:
        return DataError(f"{self.path}: {message}")


def read_csv(path: Path, *, target: str | None = None, header: bool | None = None) -> Source:
    """Read a table whose columns are separated by commas, semicolons, tabs or bars.

    Columns of numbers become one feature each. Columns of texts become one 0/1 feature for each
    text that occurs. A first row of names is recognised by looking: it is taken for data only where
    all columns of numbers hold a number in it too (and these are not 0, 1, 2, ..., which pandas
    writes as names).

    Args:
        path: The file, compressed where its name ends in `.gz`.
        target: The column of class names; the last one by default.
        header: Whether the first row holds the columns' names; `None` looks. Without names the
            columns are called "1", "2", ...

    Raises:
        DataError: The file is no such table, a cell is missing, a column is neither numbers nor
            categories, there is no column `target`, or that holds measurements.
    """
    table = _read(path, header)
    names = list(table.columns)
    if len(names) < 2:
        raise table.error(
            f"there is one column only, {names[0]!r}; a table needs at least one feature and the "
            "target, separated by commas, semicolons, tabs or bars."
        )
    if target is None:
        target = names[-1]
    elif target not in names:
        near = difflib.get_close_matches(target, names, n=1, cutoff=0.5)
        hint = f" Did you mean {near[0]!r}?" if near else ""
        raise table.error(f"there is no column {target!r}.{hint} There are: {', '.join(names)}.")
    _check_complete(table)

    blocks: list[npt.NDArray[np.float32]] = []
    marks: list[npt.NDArray[np.bool_]] = []
    for name in names:
        if name != target:
            numbers = _numbers(table.columns[name])
            block = _categories(table, name) if numbers is None else numbers[:, None]
            blocks.append(block.astype(np.float32))
            marks.append(np.full(block.shape[1], numbers is None))
    inputs = torch.tensor(np.concatenate(blocks, axis=1))
    try:
        samples = Samples(check_finite(inputs), _labels(table.columns[target]))
    except DataError as error:
        raise table.error(f"{error} (The target is the column {target!r}.)") from error
    return Source(_stem(path), samples, indicators=np.concatenate(marks))


def _read(path: Path, header: bool | None) -> _Table:
    """Return the cells of a file, checked for names and for rows of one length."""
    try:
        with _open(path) as file:
            delimiter = _delimiter(file)
            reader = csv.reader(file, delimiter=delimiter, skipinitialspace=True)
            lines = [(reader.line_num, [cell.strip() for cell in row]) for row in reader]
    except (OSError, EOFError, zlib.error, UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"{path} cannot be read as a table in UTF-8: {error}") from error
    lines = [(number, row) for number, row in lines if len(row) > 1 or any(row)]  # blank ones are no rows
    if not lines:
        raise DataError(f"{path} is empty; it should hold a row of names and one row for each sample.")
    width = len(lines[0][1])
    for number, row in lines:
        if len(row) != width:
            raise DataError(
                f"{path}: row {number} has {len(row)} cells, but row {lines[0][0]} has {width}. "
                "Give all the same number (put quotes around texts that hold the separator)."
            )
    if header is None:
        header = _has_header([row for _, row in lines])
    names = lines.pop(0)[1] if header else [str(place + 1) for place in range(width)]
    if not lines:
        raise DataError(f"{path} holds names of columns but no samples.")
    for place, name in enumerate(names):
        if not name:
            raise DataError(
                f"{path}: column {place + 1} has no name. Name it, or leave it out if it only "
                "counts the rows (pandas: `to_csv(..., index=False)`)."
            )
        if name in names[:place]:
            raise DataError(f"{path}: two columns are called {name!r}; give each a name of its own.")
    columns = {name: [row[place] for _, row in lines] for place, name in enumerate(names)}
    return _Table(path, columns, [number for number, _ in lines])


def _open(path: Path) -> TextIO:
    # utf-8-sig drops the mark that Excel puts at the start
    if path.suffix.lower() == ".gz":
        return cast(TextIO, gzip.open(path, "rt", encoding="utf-8-sig", newline=""))
    return path.open(encoding="utf-8-sig", newline="")


def _delimiter(file: TextIO) -> str:
    """Return the separator that occurs most often in the first line, and go back to the start."""
    first = file.readline()
    file.seek(0)
    return max(_DELIMITERS, key=first.count)


def _has_header(rows: Sequence[Sequence[str]]) -> bool:
    """Tell whether the first row holds names."""
    first, *rest = rows
    heads = [
        _number(name)
        for place, name in enumerate(first)
        if rest and all(_number(row[place]) is not None for row in rest)
    ]
    if not heads or None in heads:
        return True
    return heads in (list(range(len(heads))), list(range(1, len(heads) + 1)))


def _check_complete(table: _Table) -> None:
    """Raise where cells are missing, naming the columns and the first row of each."""
    gaps = []
    for name, cells in table.columns.items():
        missing = [row for row, cell in zip(table.rows, cells, strict=True) if cell.casefold() in _MISSING]
        if missing:
            word = "missing cell" if len(missing) == 1 else "missing cells"
            gaps.append(f"column {name!r} has {len(missing)} {word}, the first in row {missing[0]} of the file")
    if gaps:
        rest = f"; {len(gaps) - 5} more columns have some too" if len(gaps) > 5 else ""
        raise table.error(f"{'; '.join(gaps[:5])}{rest}. Fill the cells in or remove these rows.")


def _number(cell: str) -> float | None:
    """Return the number that a cell holds, if it holds one and nothing else."""
    try:
        return None if "_" in cell else float(cell)  # Python alone reads 1_000 as a number
    except ValueError:
        return None


def _numbers(cells: Sequence[str]) -> npt.NDArray[np.float64] | None:
    """Return a column of numbers, or `None` where it is none."""
    values = []
    for cell in cells:
        value = _number(cell)
        if value is None:
            return None
        values.append(value)
    return np.array(values, dtype=np.float64)


def _labels(cells: Sequence[str]) -> Labels:
    """Return the target column as class names."""
    numbers = _numbers(cells)
    return to_labels(np.array(cells, dtype=np.str_) if numbers is None else numbers)


def _categories(table: _Table, name: str) -> npt.NDArray[np.float32]:
    """Return a column of texts as one 0/1 column for each text, in alphabetical order."""
    cells = table.columns[name]
    texts, inverse = np.unique(np.array(cells, dtype=np.str_), return_inverse=True)
    _check_categories(table, name, len(texts))
    marks = np.zeros((len(cells), len(texts)), dtype=np.float32)
    marks[np.arange(len(cells)), inverse] = 1
    return marks


def _check_categories(table: _Table, name: str, distinct: int) -> None:
    """Raise where a column that is not all numbers does not look like categories either."""
    cells = table.columns[name]
    total = len(cells)
    odd = [place for place, value in enumerate(map(_number, cells)) if value is None]
    if all(_number(cells[place].replace(",", ".", 1)) is not None for place in odd):
        raise table.error(
            f"column {name!r} holds decimal commas, such as {cells[odd[0]]!r} in row "
            f"{table.rows[odd[0]]} of the file; write decimal points."
        )
    few = len(odd) <= 0.05 * total or {cells[place] for place in odd} <= _MARKS
    if len(odd) < total and (few or distinct > total / 2):
        raise table.error(
            f"column {name!r} holds {total - len(odd)} numbers and {len(odd)} other cells, the "
            f"first of them {cells[odd[0]]!r} in row {table.rows[odd[0]]} of the file. Put "
            "numbers there or remove these rows. (If the column holds categories, put a letter "
            "before each.)"
        )
    if distinct > _MOST or (distinct > _FEW and distinct > total / 2):
        raise table.error(
            f"column {name!r} holds {distinct} different texts in {total} rows, such as "
            f"{cells[0]!r}: too many to be categories (at most {_MOST:,}, and at most {_FEW} or "
            "half the rows). Leave the column out if it identifies the rows, or sort its texts "
            "into groups."
        )


def _stem(path: Path) -> str:
    return path.with_suffix("").stem if path.suffix.lower() == ".gz" else path.stem
