"""Published tables: location, checksums, and columns."""

from __future__ import annotations

import csv
import gzip
import hashlib
import io
import json
import os
import zlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from archwright.errors import TableError, require

__all__ = ["Columns", "Content", "Source", "read"]


@dataclass(frozen=True)
class Source:
    """A table's file.

    Args:
        file: Its name, such as "table.csv.gz"; the same table may also lie beside as "table.csv" or "table.parquet".
        sha256: Its checksum.
        origin: Where the original is published.
        shipped: Whether it comes with the package.
    """

    file: str
    sha256: str
    origin: str
    shipped: bool = False

    @property
    def names(self) -> tuple[str, ...]:
        """The names under which it is looked for."""
        stem, kind, _ = self.file.split(".")
        return (self.file, f"{stem}.{kind}", *([f"{stem}.parquet"] if kind == "csv" else []))


class Columns:
    """The columns of a table, by name.

    Args:
        names: The names.
        cells: For each column its cells: texts, or what a Parquet file holds; None and "" are empty.
    """

    def __init__(self, names: Sequence[str], cells: Sequence[Sequence[Any]]) -> None:
        self._cells: Mapping[str, Sequence[Any]] = dict(zip(names, cells, strict=True))

    def __contains__(self, name: str) -> bool:
        """Tell whether there is a column of this name."""
        return name in self._cells

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the columns, in order."""
        return tuple(self._cells)

    def texts(self, name: str) -> list[str]:
        """Return a column as texts; empty cells are "".

        Raises:
            KeyError: There is no such column.
        """
        return ["" if cell is None else str(cell) for cell in self._cells[name]]

    def numbers(self, name: str, scale: float = 1.0) -> NDArray[np.float64]:
        """Return a column as numbers times a factor; an empty cell is NaN, which a table refuses to answer with.

        Raises:
            KeyError: There is no such column.
            ValueError: A cell is no number.
        """
        return scale * np.array([float("nan" if cell is None or cell == "" else cell) for cell in self._cells[name]])


@dataclass(frozen=True)
class Content:
    """What a file holds, unpacked.

    Args:
        where: The file, for messages.
        data: Its bytes.
    """

    where: str
    data: bytes

    def columns(self) -> Columns:
        """Return the columns of a CSV or a Parquet file.

        Raises:
            MissingExtra: It is a Parquet file, and PyArrow is not installed.
            ValueError: It is neither; or a row has more or fewer cells than there are columns.
        """
        if self.data[:4] == b"PAR1":
            parquet = require("pyarrow.parquet", extra="parquet", purpose=f"the table {self.where}")
            table = parquet.read_table(io.BytesIO(self.data))
            return Columns(table.column_names, [column.to_pylist() for column in table.columns])
        rows = csv.reader(io.StringIO(self.data.decode()))
        names = next(rows, [])
        held = list(rows)
        wrong = next((number for number, row in enumerate(held, 2) if len(row) != len(names)), None)
        if wrong is not None:
            raise ValueError(f"line {wrong} has not the {len(names)} cells of the first line")
        return Columns(names, list(zip(*held, strict=True)) or [()] * len(names))

    def json(self) -> Any:
        """Return what a JSON file holds.

        Raises:
            ValueError: It is none.
        """
        return json.loads(self.data)


def read(source: Source, path: str | Path | None, *, verify: bool) -> Content:
    """Return the content of a table's file.

    Args:
        source: Which file.
        path: The file, or the folder it is in; `None` for the package, `$ARCHWRIGHT_DATA`, and the user's data folder.
        verify: Whether to refuse a file that is not the known one.

    Raises:
        TableError: There is no such file; or it is damaged, cut off, or not the known one.
    """
    if path is None and source.shipped:
        data = resources.files("archwright.bench").joinpath(source.file).read_bytes()
        where = source.file
    else:
        found = _find(source, path)
        data, where = found.read_bytes(), str(found)
    digest = hashlib.sha256(data).hexdigest()
    if verify and digest != source.sha256:
        raise TableError(
            f"{where} is not the table that is known: its SHA256 is {digest}, not {source.sha256}. "
            f"Fetch it again ({source.origin}); verify=False (--no-verify) takes a table that you made yourself."
        )
    if data[:2] != b"\x1f\x8b":
        return Content(where, data)
    try:
        return Content(where, gzip.decompress(data))
    except (OSError, EOFError, zlib.error) as error:
        raise TableError(f"{where} is damaged or cut off: {error}. Fetch it again ({source.origin}).") from error


def _find(source: Source, path: str | Path | None) -> Path:
    places = list(_places(path))
    for place in places:
        if place.is_file():
            return place
        for folder in (place, place / "benchmarks"):
            for name in source.names:
                if (folder / name).is_file():
                    return folder / name
    looked = ", ".join(map(str, places))
    raise TableError(
        f"the table {source.file} was not found in {looked}. Its original is published at {source.origin}; "
        f"docs/tables.md says what the file holds. Name it with --data PATH (path=), or set ARCHWRIGHT_DATA."
    )


def _places(path: str | Path | None) -> Iterable[Path]:
    if path is not None:
        yield Path(path)
        return
    if named := os.environ.get("ARCHWRIGHT_DATA"):
        yield Path(named)
    yield Path(os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share") / "archwright"
