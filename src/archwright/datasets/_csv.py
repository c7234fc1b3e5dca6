"""Tables in CSV and TSV files."""

from __future__ import annotations

import difflib
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from archwright._words import counted
from archwright.datasets._arrays import check_finite
from archwright.datasets._labels import scale_doubts, to_labels, to_values
from archwright.datasets._reading import GIGABYTES, InputError, limit_text, read_rows, to_number
from archwright.datasets._source import Samples, Source
from archwright.datasets._table_preprocess import Column, is_missing
from archwright.errors import DataError

_MARKS = frozenset({"?", "-", "."})  # stand for a missing number, but may be a category among texts
_ROW_BYTES, _CELL_BYTES = 150, 64  # what a row of texts takes in memory, about
_FIRST = 10_000  # rows from which the memory for all is estimated
_FEW, _MOST = 20, 1000  # categories: so many are always fine, more never


@dataclass(frozen=True)
class _Table:
    """The cells of a file, column by column, as texts."""

    path: Path
    columns: dict[str, list[str]]
    rows: list[int]  # where each sample stands in the file, counted from 1
    named: bool  # whether the columns have names of their own

    def error(self, message: str) -> DataError:
        return DataError(f"{self.path}: {message}")


def read_csv(
    path: Path,
    *,
    target: str | None = None,
    header: bool | None = None,
    gigabytes: float = GIGABYTES,
    task: str = "classification",
) -> Source:
    """Read a table whose columns are separated by commas, semicolons, tabs or bars.

    Columns of numbers become one feature each. Columns of texts become one 0/1 feature for each text that occurs. A
    first row of names is recognised by looking: it is taken for data only where all columns of numbers hold a number in
    it too (and these are not 0, 1, 2, ..., which pandas writes as names). Without names the columns are called "1",
    "2", ... The target is the last column where none is named.
    """
    table = _read(path, header, gigabytes)
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
        raise table.error(f"there is no column {target!r}.{hint} There are: {_listed(names)}.")
    _check_complete(table)

    blocks: list[npt.NDArray[np.float32]] = []
    columns: list[Column] = []
    for name in names:
        if name != target:
            numbers = _numbers(table.columns[name])
            if numbers is None:
                block, categories = _categories(table, name)
                columns.append(Column(name, categories))
            else:
                block = numbers[:, None].astype(np.float32)
                columns.append(Column(name))
            blocks.append(block)
    inputs = torch.tensor(np.concatenate(blocks, axis=1))
    try:
        cells, numbers = table.columns[target], _numbers(table.columns[target])
        targets: npt.NDArray[Any] = np.array(cells, dtype=np.str_) if numbers is None else numbers
        if task == "regression":
            samples = Samples(check_finite(inputs), to_values(targets))
        else:
            labels = to_labels(targets)
            notes = scale_doubts(targets, labels, f"{path}: the labels in the column {target!r}")
            samples = Samples(check_finite(inputs), labels, tuple(notes))
    except DataError as error:
        raise table.error(f"{error} (The target is the column {target!r}.)") from error
    stem = path.with_suffix("").stem if path.suffix.lower() == ".gz" else path.stem
    return Source(stem, samples, columns=tuple(columns), named=table.named, target=target)


def _read(path: Path, header: bool | None, gigabytes: float) -> _Table:
    """Return the cells of a file, checked for names."""
    lines: list[tuple[int, list[str]]] = []
    taken = expected = 0
    for number, row in read_rows(path, gigabytes):
        taken += _ROW_BYTES + _CELL_BYTES * len(row)
        lines.append((number, row))
        if len(lines) == _FIRST:  # what is twice too large is refused now, and not when the memory is full
            characters = sum(len(row) + sum(map(len, row)) for _, row in lines)
            expected = taken * _text_bytes(path) // (2 * characters)
        if max(taken, expected) > gigabytes * 1e9:
            raise InputError(f"{path} takes, as a table in memory, more than {limit_text(gigabytes)}")
    if not lines:
        raise DataError(f"{path} is empty; it should hold a row of names and one row for each sample.")
    width = len(lines[0][1])
    if header is None:
        header = _has_header([row for _, row in lines])
    names = lines.pop(0)[1] if header else [str(place + 1) for place in range(width)]
    if not lines:
        raise DataError(f"{path} holds names of columns but no samples.")
    seen: set[str] = set()
    for place, name in enumerate(names):
        if not name:
            raise DataError(
                f"{path}: column {place + 1} has no name. Name it, or leave it out if it only "
                "counts the rows (pandas: `to_csv(..., index=False)`)."
            )
        if name in seen:
            raise DataError(f"{path}: two columns are called {name!r}; give each a name of its own.")
        seen.add(name)
    columns = {name: [row[place] for _, row in lines] for place, name in enumerate(names)}
    return _Table(path, columns, [number for number, _ in lines], header)


def _text_bytes(path: Path) -> int:
    """Return how long a text is, by the last four bytes of a compressed file: what they say may be too little."""
    with path.open("rb") as file:
        end = file.seek(0, os.SEEK_END)
        if path.suffix.lower() != ".gz":
            return end
        file.seek(max(0, end - 4))
        return int.from_bytes(file.read(4), "little")


def _has_header(rows: Sequence[Sequence[str]]) -> bool:
    """Tell whether the first row holds names."""
    first, *rest = rows
    heads = [
        to_number(name)
        for place, name in enumerate(first)
        if rest and all(to_number(row[place]) is not None for row in rest)
    ]
    if not heads or None in heads:
        return True
    return heads in (list(range(len(heads))), list(range(1, len(heads) + 1)))


def _check_complete(table: _Table) -> None:
    """Raise where cells are missing, naming the columns and the first row of each."""
    gaps, advice = [], "Remove what is empty."
    for name, cells in table.columns.items():
        missing = [row for row, cell in zip(table.rows, cells, strict=True) if is_missing(cell)]
        if len(missing) == len(cells):
            gaps.append(f"column {name!r} is empty")
        elif missing:
            word = "missing cell" if len(missing) == 1 else "missing cells"
            gaps.append(f"column {name!r} has {len(missing)} {word}, the first in row {missing[0]} of the file")
            advice = "Fill the cells in or remove these rows."
    if gaps:
        rest = f"; {counted(len(gaps) - 5, 'more column')} with some" if len(gaps) > 5 else ""
        raise table.error(f"{'; '.join(gaps[:5])}{rest}. {advice}")


def _numbers(cells: Sequence[str]) -> npt.NDArray[np.float64] | None:
    """Return a column of numbers, or `None` where it is none."""
    values = [to_number(cell) for cell in cells]
    return None if None in values else np.array(values, dtype=np.float64)


def _categories(table: _Table, name: str) -> tuple[npt.NDArray[np.float32], tuple[str, ...]]:
    """Return a column of texts as one 0/1 column for each text, in alphabetical order, and the texts."""
    cells = table.columns[name]
    texts, inverse = np.unique(np.array(cells, dtype=np.str_), return_inverse=True)
    _check_categories(table, name, len(texts))
    marks = np.zeros((len(cells), len(texts)), dtype=np.float32)
    marks[np.arange(len(cells)), inverse] = 1
    return marks, tuple(map(str, texts))


def _check_categories(table: _Table, name: str, distinct: int) -> None:
    """Raise where a column that is not all numbers does not look like categories either."""
    cells = table.columns[name]
    total = len(cells)
    odd = [place for place, value in enumerate(map(to_number, cells)) if value is None]
    if all(to_number(cells[place].replace(",", ".", 1)) is not None for place in odd):
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


def _listed(names: Sequence[str], most: int = 40) -> str:
    return ", ".join(names[:most]) + (f" and {len(names) - most} more" if len(names) > most else "")
