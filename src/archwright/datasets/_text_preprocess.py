"""Preprocessing of texts; a part of the `predict.py` of networks that take them."""

from __future__ import annotations

import csv
import gzip
import os
import re
import warnings
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import chain
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from archwright.datasets._preprocess import Noted, Preprocess, Sample, field, texts
from archwright.datasets._reading import GIGABYTES, TABLES, InputError, allow_long_cells, check_file, limit_text

__all__ = ["UNKNOWN", "TextPreprocess", "check_ids", "padded", "text_lines", "text_of_file", "text_rows", "words_of"]

UNKNOWN = 1
"""The id of words that are not in the vocabulary; 0 is padding, and the words begin at 2."""

_WORD = re.compile(r"\w+(?:['\u2019]\w+)*|[^\w\s]")
_QUOTED = re.compile(r'"(?:[^"]|"")*("|$)')
_BYTES = 8  # of memory for a byte of a file, about
_LINE = 40  # bytes that each line counts besides its own: its cells are objects


@dataclass(frozen=True)
class TextPreprocess(Preprocess):
    """Preprocessing of texts: the ids of their words, in lower case, cut or padded with 0 to one length.

    Args:
        classes: Names of the classes, in the order of the network's scores.
        vocabulary: The words with an id of their own, 2, 3, ...; all others are 1.
        length: The length.
        column: The column of the texts in a table: its name, or its position, from 1, if columns have no names.
        named: Whether columns have names.
        encoding: The encoding of files.

    Example:
        >>> preprocess = TextPreprocess(("bad", "good"), ("a", "film", "fine"), 5)
        >>> preprocess.item({"text": "A fine movie"})
        tensor([2, 4, 1, 0, 0])
    """

    kind = "text"
    takes = 'tables (CSV, TSV), .txt files with a text each, or mappings such as {"text": "a fine film"}'
    suffixes = (".txt", ".csv", ".tsv")
    is_numbered = True
    targets = ()

    classes: tuple[str, ...]
    vocabulary: tuple[str, ...]
    length: int
    column: str = "text"
    named: bool = True
    encoding: str = "utf-8"

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of one sample."""
        return (self.length,)

    @cached_property
    def ids(self) -> dict[str, int]:
        """The ids of the words."""
        return {word: place for place, word in enumerate(self.vocabulary, UNKNOWN + 1)}

    def encode(self, text: str, where: str = "") -> Tensor:
        """Return the ids of the words of a text, int64 (length,).

        Args:
            text: The text.
            where: The beginning of a message: where it stands.

        Raises:
            InputError: There is no word in it.
        """
        words = _some_words(text, where)
        if len(words) > self.length:
            warnings.warn(f"{where}the text has {len(words):,} words; the first {self.length} are read", stacklevel=2)
        return self._encoded(words)

    def _encoded(self, words: Sequence[str]) -> Tensor:
        return padded([self.ids.get(word, UNKNOWN) for word in words], self.length)

    def read(self, path: str | os.PathLike[str], *, gigabytes: float = GIGABYTES) -> Iterator[Sample]:
        """Yield the ids of each row of a table, or of the text that is any other file, or the error.

        Raises:
            InputError: The file cannot be read, or lacks the column.
        """
        path = Path(path)
        if not path.name.lower().endswith(TABLES):
            yield None, self.encode(text_of_file(path, gigabytes, self.encoding), f"{path}: ")
            return
        rows = text_rows(path, gigabytes, self.encoding)
        first = next(rows, None)
        if first is None:
            raise InputError(f"{path} is empty.")
        place, is_header = self._place(first[1], path)
        long: list[int] = []
        for number, cells in rows if is_header else chain([first], rows):
            try:
                words = _some_words(cells[place], f"{path}, row {number}: ")
            except InputError as error:
                yield number, error
                continue
            if len(words) > self.length:
                long.append(number)
            yield number, self._encoded(words)
        if long:
            told = f"more than {self.length} words, of which the first are read, in {len(long):,} rows"
            warnings.warn(f"{path}: {told}, the first of them row {long[0]}", stacklevel=2)

    def item(self, given: Any) -> Tensor | Noted:
        """Return the ids of the words of one text.

        Args:
            given: A mapping with the text under "text", or under the name of its column.

        Raises:
            InputError: It is no such mapping, or the text is empty.
        """
        if not isinstance(given, Mapping):
            return super().item(given)
        text = given.get(self.column, given.get("text"))
        if not isinstance(text, str):
            raise InputError(f'a text is given as {{"text": "..."}}; this mapping has {", ".join(map(repr, given))}.')
        return self.encode(text)

    def batch(self, raw: Tensor) -> Tensor:
        """Return ids of words (n, length) as int64, after a check.

        Raises:
            InputError: The shape is wrong, or a value is not an id.
        """
        return check_ids(raw, self.length, len(self.vocabulary) + UNKNOWN + 1)

    def source(self) -> str:
        """Return the source of the names of the classes."""
        return (
            "# Inputs are ids of words, int64 (n, length): 0 for padding, 1 for unknown words, and 2, 3, ... for the\n"
            f"# words in preprocess.json. Outputs are scores of these classes.\nCLASSES = {self.classes!r}"
        )

    def to_json(self) -> dict[str, Any]:
        """Return the content of `preprocess.json`."""
        return {
            "version": 1,
            "kind": self.kind,
            "classes": list(self.classes),
            "column": self.column,
            "named": self.named,
            "encoding": self.encoding,
            "length": self.length,
            "vocabulary": list(self.vocabulary),
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> TextPreprocess:
        """Return the preprocessing written by `to_json`.

        Raises:
            InputError: The value is not a preprocessing of texts.
        """
        length, named, column = field(data, "length", int), field(data, "named", bool), field(data, "column", str)
        if length < 1 or not (named or (column.isdecimal() and int(column))):
            raise InputError(f"length={length} or column={column!r} is not possible.")
        encoding = field({"encoding": "utf-8", **data}, "encoding", str)  # networks of earlier versions have none
        return cls(texts(data, "classes"), texts(data, "vocabulary"), length, column, named, encoding)

    def _place(self, first: Sequence[str], path: object) -> tuple[int, bool]:
        """Return where the texts stand, and whether the first row is one of names."""
        if self.named and self.column in first:
            return first.index(self.column), True
        if len(first) == 1:
            return 0, False
        if self.named:
            shown = ", ".join(map(repr, first[:8]))
            raise InputError(f"{path} has no column {self.column!r}; its first row is {shown}.")
        if int(self.column) > len(first):
            raise InputError(f"{path} has {len(first)} columns; texts are expected in column {self.column}.")
        return int(self.column) - 1, False


def _some_words(text: str, where: str) -> list[str]:
    if words := words_of(text):
        return words
    raise InputError(f"{where}the text is empty: there is no word in {text[:40]!r}.")


def words_of(text: str) -> list[str]:
    """Return the words and punctuation marks of a text, in lower case.

    Example:
        >>> words_of("It's a FINE film!")
        ["it's", 'a', 'fine', 'film', '!']
    """
    return _WORD.findall(text.lower())


def padded(ids: Sequence[int], length: int) -> Tensor:
    """Return ids as int64 (length,), cut or padded with 0.

    Example:
        >>> padded([3, 4], 3)
        tensor([3, 4, 0])
    """
    return torch.tensor([*ids[:length], *[0] * (length - len(ids))])


def check_ids(raw: Tensor, length: int, vocabulary: int) -> Tensor:
    """Return ids of tokens (n, length) as int64, after a check.

    Raises:
        InputError: The shape is wrong, or a value is not an id.
    """
    if raw.ndim != 2 or raw.shape[1] != length or raw.is_floating_point() or raw.is_complex():
        raise InputError(
            f"the network takes ids of tokens, whole numbers of shape (n, {length}), not {raw.dtype} of shape "
            f"{tuple(raw.shape)}."
        )
    if raw.numel():
        least, most = int(raw.min()), int(raw.max())
        if least < 0 or most >= vocabulary:
            raise InputError(f"ids of tokens are from 0 to {vocabulary - 1}; {least} to {most} were given.")
    return raw.long()


def text_lines(path: Path, gigabytes: float = GIGABYTES, encoding: str = "utf-8") -> Iterator[str]:
    """Yield the lines of a text file, with their ends; the file is compressed where its name ends in `.gz`.

    Raises:
        InputError: It cannot be read, is too large, or has another encoding; the message names the line.
    """
    check_file(path)
    opened: Any = gzip.open if path.suffix.lower() == ".gz" else open
    most = int(gigabytes * 1e9 / _BYTES)
    try:
        with opened(path, "rb") as file:
            number = 0
            while line := file.readline(most + 1):
                number, most = number + 1, most - len(line) - _LINE
                if most < 0:
                    raise InputError(f"{path} takes, as texts in memory, more than {limit_text(gigabytes)}")
                try:
                    text = line.decode(encoding)
                except UnicodeDecodeError as error:
                    raise InputError(
                        f"{path}, line {number}: {error.object[error.start : error.end]!r} is not {encoding.upper()}; "
                        "convert the file. Text classification and sequence labelling learn from files in other "
                        "encodings, too: encoding='latin-1', or --option encoding=latin-1"
                    ) from error
                except LookupError as error:
                    raise InputError(
                        f"encoding={encoding!r} is no encoding of texts, such as 'utf-8' or 'latin-1'"
                    ) from error
                yield text.removeprefix("\ufeff") if number == 1 else text
    except (OSError, EOFError, zlib.error) as error:
        raise InputError(f"{path} cannot be read, it may be damaged or cut short: {error}") from error


def text_of_file(path: Path, gigabytes: float = GIGABYTES, encoding: str = "utf-8") -> str:
    """Return a file as one text."""
    return "".join(text_lines(path, gigabytes, encoding))


def text_rows(path: Path, gigabytes: float = GIGABYTES, encoding: str = "utf-8") -> Iterator[tuple[int, list[str]]]:
    """Yield the rows of a table with texts, with the line at which each ends; empty ones are left out.

    Cells are separated by tabs, without quotes, where the name ends in `.tsv`; else by the commas, semicolons, tabs or
    bars that most of the first line are outside of quotes, and texts may stand in quotes.

    Raises:
        InputError: Rows differ in length, or the file cannot be read.
    """
    lines = text_lines(path, gigabytes, encoding)
    first = next(lines, "")
    rows: Iterable[tuple[int, list[str]]]
    if ".tsv" in path.name.lower():
        rows = ((place, line.rstrip("\r\n").split("\t")) for place, line in enumerate(chain([first], lines), 1))
    else:
        outside = _QUOTED.sub("", first)
        allow_long_cells()
        reader = csv.reader(chain([first], lines), delimiter=max(",;\t|", key=outside.count), skipinitialspace=True)
        rows = ((reader.line_num, cells) for cells in reader)
    begun: tuple[int, int] | None = None
    try:
        for number, row in rows:
            cells = [cell.strip() for cell in row]
            if not any(cells):
                continue
            begun = begun or (number, len(cells))
            if len(cells) != begun[1]:
                raise InputError(
                    f"{path}: row {number} has {len(cells)} cells, but row {begun[0]} has {begun[1]}. Give all the "
                    "same number (in a CSV put quotes around texts that hold the separator)."
                )
            yield number, cells
    except csv.Error as error:
        raise InputError(f"{path} cannot be read as a table: {error}") from error
