"""Tables in CSV, TSV and Parquet files, and in data frames."""

from __future__ import annotations

import difflib
import math
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from archwright._words import counted
from archwright.datasets._labels import TO_CLASSIFY, scale_doubts, to_labels, to_marks, to_texts, to_values
from archwright.datasets._reading import TABLES, InputError, limit_text, row_bytes, to_number
from archwright.datasets._source import Samples, Source
from archwright.datasets._table_preprocess import PARQUET, Column, cell_text, is_missing, table_rows
from archwright.errors import DataError

_FIRST = 10_000  # rows from which the memory for all is estimated
_FEW, _MOST = 20, 1000  # categories: so many are always fine, more never
_LOOKED_AT, _WORDS = 200, 6  # cells of a column that are looked at, and the words that sentences have on average
_CLASSES, _OF_A_CLASS = 20, 5  # numbers that are classes: so many may be; more have to be counted up, and have samples
_LARGEST = float(np.finfo(np.float32).max)
_FEATURE_BYTES = 12  # that a feature takes at most, while missing cells are filled in
_IDENTIFIER = re.compile(r"(.*[ _.-])?(id|uuid|guid)|index|unnamed: 0|.*(?-i:[a-z](Id|ID))", re.IGNORECASE)


@dataclass(frozen=True)
class _Table:
    """The cells of one or several tables, column by column, as texts."""

    path: Path | str  # or what to call it
    columns: dict[str, list[str]]
    rows: list[str]  # where each sample stands
    named: bool  # whether the columns have names of their own

    def error(self, message: str) -> DataError:
        return DataError(f"{self.path}: {message}")

    def column(self, name: str) -> str:
        """Return the name of a column that has to be there."""
        if name in self.columns:
            return name
        near = difflib.get_close_matches(name, self.columns, n=1, cutoff=0.5)
        hint = f" Did you mean {near[0]!r}?" if near else ""
        raise self.error(f"there is no column {name!r}.{hint} There are: {_listed(list(self.columns))}.")


def is_frame(given: object) -> bool:
    """Tell whether a value is a data frame, of pandas or of polars."""
    return hasattr(given, "columns") and (hasattr(given, "itertuples") or hasattr(given, "iter_rows"))


def read_tables(
    source: Any,
    *,
    validation_file: Any = None,
    test_file: Any = None,
    target: str | Sequence[str] | None = None,
    ignore: Sequence[str] = (),
    header: bool | None = None,
    gigabytes: float = math.inf,
    task: str | None = None,
) -> Source:
    """Read a table: a data frame, or a file. In text files, commas, semicolons, tabs or bars separate the columns.

    Columns of numbers become one feature each, NaN where a cell is missing. Columns of texts become one 0/1 feature for
    each text that occurs, "" for a missing cell. Columns whose texts are too many for categories, or whose values only
    name the rows, are left out with a note. A first row of names is recognised by looking: it is taken for data only
    where all columns of numbers hold a number in it too (and these are not 0, 1, 2, ..., which pandas writes as names).
    Without names the columns are called "1", "2", ... The target is the last column where none is named; its values
    tell the task where none is given. Several targets are the values of a regression, or 0 and 1: several labels.
    """
    given = {"train": source, "validation": validation_file, "test": test_file}
    tables = {part: _read(each, part, header, gigabytes) for part, each in given.items() if each is not None}
    table = _joined(tables)
    names = list(table.columns)
    if len(names) < 2:
        raise table.error(
            f"there is one column only, {names[0]!r}; a table needs at least one feature and the "
            "target, separated by commas, semicolons, tabs or bars."
        )
    wanted = names[-1:] if target is None else [target] if isinstance(target, str) else list(target)
    if not wanted:
        raise table.error("target= names no column; leave it out for the last one.")
    chosen = tuple(dict.fromkeys(map(table.column, wanted)))
    without = {*chosen, *map(table.column, ignore)}
    for name in chosen:
        if name in ignore:
            raise table.error(f"the column {name!r} is the target, and cannot be ignored.")
        _check_labelled(table, name)
    task, told = _task_of(table, chosen, task, is_last=target is None)

    values: list[npt.NDArray[Any]] = []
    columns: list[Column] = []
    left: dict[str, list[str]] = {}
    for name in names:
        if name in without:
            continue
        found = _features(table, name)
        if isinstance(found, str):
            left.setdefault(found, []).append(name)
            continue
        values.append(found[0])
        columns.append(found[1])
    useless = [*chosen, *(name for group in left.values() for name in group)]
    hints = _texts_hint(table, [name for name in useless if _holds_sentences(table.columns[name])])
    notes = [*left_out(table.path, left), *(f"{table.path}: {hint}" for hint in hints)]
    listed = _listed(list(map(repr, chosen)))
    if not columns:
        raise table.error(f"no column is left to learn {listed} from. {' '.join(notes)}".rstrip())
    inputs = _inputs(table, columns, values, gigabytes)
    try:
        labels, doubts = _labels(table, chosen, task)
    except DataError as error:
        raise table.error(" ".join([f"{error} (The target is the column {listed}.)", *hints])) from error
    if task == "classification":
        _check_known(table, chosen[0], labels, len(tables["train"].rows))
    parts: dict[str, Samples] = {}
    start = 0
    for part, each in tables.items():
        here = slice(start, start + len(each.rows))
        parts[part] = Samples(inputs[here], labels[here], (*notes, *doubts) if part == "train" else ())
        start = here.stop
    return Source(
        _stem(source),
        **parts,
        columns=tuple(columns),
        named=table.named,
        target=chosen if len(chosen) > 1 else chosen[0],
        width=len(names),
        task=task,
        told=told if table.named else (*told, f"columns: there is no header; they are called '1' to '{len(names)}'"),
    )


def _stem(source: Any) -> str:
    if not isinstance(source, Path):
        return "frame"
    return source.with_suffix("").stem if source.suffix.lower() == ".gz" else source.stem


def left_out(path: object, names: Mapping[str, Sequence[str]]) -> list[str]:
    """Return what is to be said of columns that are left out, given their names by the reason."""
    return [f"{path}: left out {reason}: {_listed(list(map(repr, each)))}" for reason, each in names.items() if each]


def _texts_hint(table: _Table, names: Sequence[str]) -> list[str]:
    """Return what is to be said where columns of a text file hold sentences."""
    if not names or not str(table.path).lower().endswith(TABLES):
        return []
    told = f"{_listed(list(map(repr, names)))} {'holds' if len(names) == 1 else 'hold'} sentences"
    other = "text classification learns from them: task='text-classification' (--task text-classification)"
    return [f"{told}, of which tables make nothing; {other}"]


def _holds_sentences(cells: Sequence[str]) -> bool:
    """Tell whether a column holds sentences, rather than names of classes or of rows."""
    few = cells[:_LOOKED_AT]
    return sum(len(cell.split()) for cell in few) >= _WORDS * len(few)


def _joined(tables: Mapping[str, _Table]) -> _Table:
    """Return the tables of the parts as one, the training part first; DataError where their columns differ."""
    train, *others = tables.values()
    if not others:
        return train
    columns, rows = {name: list(cells) for name, cells in train.columns.items()}, list(train.rows)
    for other in others:
        if other.columns.keys() != columns.keys():
            lacks = [name for name in columns if name not in other.columns]
            more = [name for name in other.columns if name not in columns]
            told = [f"lacks {_listed(list(map(repr, lacks)))}"] * bool(lacks)
            told += [f"has {_listed(list(map(repr, more)))} besides"] * bool(more)
            raise other.error(f"the columns differ from those of {train.path}: the file {' and '.join(told)}.")
        for name, cells in columns.items():
            cells += other.columns[name]
        rows += [f"{row} ({Path(other.path).name})" for row in other.rows]
    return _Table(train.path, columns, rows, train.named)


def _read(source: Any, part: str, header: bool | None, gigabytes: float) -> _Table:
    """Return the cells of a file or a data frame, checked for names."""
    is_file = isinstance(source, Path)
    path = source if is_file else f"the {part} data frame"
    is_text = is_file and source.suffix.lower() not in PARQUET
    header = header if is_text else True
    lines: list[tuple[int, list[str]]] = []
    taken = expected = 0
    for number, row in table_rows(source, gigabytes) if is_file else _frame_rows(source):
        taken += row_bytes(row)
        lines.append((number, row))
        if len(lines) == _FIRST and is_text:  # what is twice too large is refused now, not when the memory is full
            characters = sum(len(row) + sum(map(len, row)) for _, row in lines)
            expected = taken * _text_bytes(source) // (2 * characters)
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
    what = "file" if is_file else "frame"
    return _Table(path, columns, [f"row {number} of the {what}" for number, _ in lines], header)


def _frame_rows(frame: Any) -> Iterator[tuple[int, list[str]]]:
    yield 0, list(map(str, frame.columns))
    rows = frame.itertuples(index=False, name=None) if hasattr(frame, "itertuples") else frame.iter_rows()
    for number, row in enumerate(rows, 1):
        yield number, list(map(cell_text, row))


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
        if rest and not is_missing(name, number=True) and _numbers([row[place] for row in rest]) is not None
    ]
    if not heads or None in heads:
        return True
    return heads in (list(range(len(heads))), list(range(1, len(heads) + 1)))


def _check_labelled(table: _Table, target: str) -> None:
    """Raise where the target is missing, naming the first row."""
    missing = [row for row, cell in zip(table.rows, table.columns[target], strict=True) if is_missing(cell)]
    if missing:
        raise table.error(
            f"column {target!r}, the target, has {counted(len(missing), 'missing cell')}, the first in {missing[0]}. "
            "Fill the cells in or remove these rows."
        )


def _task_of(table: _Table, targets: Sequence[str], task: str | None, *, is_last: bool) -> tuple[str, tuple[str, ...]]:
    """Return the task, by the values of the target where it is not given, and what was guessed, a line each."""
    if len(targets) > 1:
        if task is None and all(set(_marks(table.columns[name])) <= {0.0, 1.0} for name in targets):
            return "multilabel", ()
        if task == "classification":
            raise table.error(
                "a classification has one target; for several columns of 0 and 1 give task='multilabel' (--task)."
            )
        return task or "regression", ()
    (target,) = targets
    told = f"the last column, {target!r}," if is_last else f"the column {target!r}"
    other = ", another column with target=, or --label" if is_last else ""
    if task is None and (values := _numbers(table.columns[target])) is not None:
        numbers, counts = np.unique(values, return_counts=True)
        # Numbers of classes are counted up from 0 or 1, and each class has some samples.
        is_counted = len(numbers) == numbers[-1] - numbers[0] + 1 and numbers[0] in (0, 1)
        is_measured = len(numbers) > _CLASSES and not (is_counted and counts.min() >= _OF_A_CLASS)
        if is_measured or not np.array_equal(numbers, np.floor(numbers)):
            line = f"task: regression, because {told} has {len(numbers):,} different numbers"
            return "regression", (f"{line}; name another task with task=, or --task{other}",)
    if is_last:
        return task or "classification", (f"target: the last column, {target!r}; name{other.removeprefix(',')}",)
    return task or "classification", ()


def _marks(cells: Sequence[str]) -> npt.NDArray[np.float64]:
    """Return a column of 0 and 1, also where they are written as truth values; NaN where it is none of numbers."""
    truths = {"false": "0", "true": "1"}
    found = _numbers([truths.get(cell.casefold(), cell) for cell in cells])
    return np.full(len(cells), np.nan) if found is None else found


def _labels(table: _Table, chosen: Sequence[str], task: str) -> tuple[npt.NDArray[Any], list[str]]:
    """Return the classes or the values of all samples, and what is to be said of them."""
    if task == "multilabel":
        return to_marks(np.stack([_marks(table.columns[name]) for name in chosen], axis=1)), []
    if len(chosen) > 1:
        columns = [_numbers(table.columns[name]) for name in chosen]
        texts = [name for name, column in zip(chosen, columns, strict=True) if column is None]
        if texts:
            raise DataError(f"several targets are numbers, and {texts[0]!r} is none")
        return to_values(np.stack([column for column in columns if column is not None], axis=1)), []
    (target,) = chosen
    cells = table.columns[target]
    numbers = _numbers(cells)
    targets: npt.NDArray[Any] = to_texts(cells, table.rows) if numbers is None else numbers
    if task == "regression":
        odd = next(
            (place for place, cell in enumerate(cells) if to_number(cell) is None and not is_missing(cell)), None
        )
        if odd is not None:
            raise DataError(f"a regression needs numbers, not {cells[odd][:40]!r} in {table.rows[odd]}. {TO_CLASSIFY}.")
        return to_values(targets), []
    labels = to_labels(targets)
    return labels, scale_doubts(targets, labels, f"{table.path}: the labels in the column {target!r}")


def _check_known(table: _Table, target: str, labels: npt.NDArray[Any], first: int) -> None:
    """Raise where rows of a part of its own have a class that those of the training part, the first, never show."""
    new = np.flatnonzero(~np.isin(labels[first:], labels[:first]))
    if len(new):
        place = first + int(new[0])
        raise table.error(
            f"column {target!r} holds the class {str(labels[place])!r}, which the training part never shows, in "
            f"{table.rows[place]}. Make the names agree, or remove such rows."
        )


def _inputs(
    table: _Table, columns: Sequence[Column], values: Sequence[npt.NDArray[Any]], gigabytes: float
) -> torch.Tensor:
    """Return the features of all columns, float32 (n, features), of what `_features` returned for each."""
    count, width = len(table.rows), sum(each.features for each in columns)
    if _FEATURE_BYTES * count * width > gigabytes * 1e9:
        most = max(columns, key=lambda each: each.features)
        raise InputError(
            f"{table.path}: {count:,} rows of {counted(width, 'feature')} take more than {limit_text(gigabytes)} Or "
            f"leave out columns with many categories, such as {most.name!r} with {most.features:,}: ignore=, or "
            "--ignore."
        )
    inputs = np.zeros((count, width), dtype=np.float32)
    start = 0
    for column, cells in zip(columns, values, strict=True):
        if column.categories is None:
            inputs[:, start] = cells
        else:
            inputs[np.arange(count), start + cells] = 1
        start += column.features
    return torch.from_numpy(inputs)


def _features(table: _Table, name: str) -> tuple[npt.NDArray[Any], Column] | str:
    """Return the numbers of a column, float32 (n,), or the places of its categories, and the column; or why it goes."""
    numbers = _numbers(table.columns[name])
    if numbers is None:
        return _categories(table, name)
    odd = np.flatnonzero(np.abs(numbers) > _LARGEST)
    if len(odd):
        raise table.error(
            f"column {name!r} holds {table.columns[name][odd[0]]!r} in {table.rows[odd[0]]}, which is infinite or too "
            "large for float32. Put a number there, or leave the cell empty."
        )
    is_whole = np.array_equal(numbers, np.floor(numbers))  # and none is missing
    if table.named and is_whole and _IDENTIFIER.fullmatch(name) and len(np.unique(numbers)) == len(numbers):
        return "as identifiers, different in each row"
    return numbers.astype(np.float32), Column(name)


def _numbers(cells: Sequence[str]) -> npt.NDArray[np.float64] | None:
    """Return a column of numbers, NaN where one is missing; `None` where it is none."""
    values = np.full(len(cells), np.nan)
    for place, cell in enumerate(cells):
        value = to_number(cell)
        if value is not None:
            values[place] = value
        elif not is_missing(cell, number=True):
            return None
    return None if np.isnan(values).all() and not all(map(is_missing, cells)) else values


def _categories(table: _Table, name: str) -> tuple[npt.NDArray[np.int64], Column] | str:
    """Return a column of texts, in alphabetical order, and the position of each cell; or why it is left out."""
    cells = ["" if is_missing(cell) else cell for cell in table.columns[name]]
    texts = sorted(set(cells))
    _check_numbers(table, name, len(texts))
    if len(texts) == len(cells) > _FEW:
        return "as identifiers, different in each row"
    if len(texts) > _MOST or (len(texts) > _FEW and len(texts) > len(cells) / 2):
        return f"for too many different texts to be categories (over {_MOST:,}, or over half the rows)"
    places = {text: place for place, text in enumerate(texts)}
    return np.array([places[cell] for cell in cells], dtype=np.int64), Column(name, tuple(texts))


def _check_numbers(table: _Table, name: str, distinct: int) -> None:
    """Raise where a column that is not all numbers seems to be meant as one."""
    cells = table.columns[name]
    held = [place for place, cell in enumerate(cells) if not is_missing(cell, number=True)]
    odd = [place for place in held if to_number(cells[place]) is None]
    if odd and all(to_number(cells[place].replace(",", ".", 1)) is not None for place in odd):
        raise table.error(
            f"column {name!r} holds decimal commas, such as {cells[odd[0]]!r} in {table.rows[odd[0]]}; write decimal "
            "points."
        )
    if len(odd) < len(held) and len(odd) <= (0.2 if distinct > len(cells) / 2 else 0.05) * len(held):
        raise table.error(
            f"column {name!r} holds {len(held) - len(odd)} numbers and {counted(len(odd), 'other cell')}, the first of "
            f"them {cells[odd[0]]!r} in {table.rows[odd[0]]}. Put numbers there or remove these rows. (If the column "
            "holds categories, put a letter before each.)"
        )


def _listed(names: Sequence[str], most: int = 40) -> str:
    return ", ".join(names[:most]) + (f" and {len(names) - most} more" if len(names) > most else "")
