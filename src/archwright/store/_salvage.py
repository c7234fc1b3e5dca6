"""What can still be read of a damaged SQLite file."""

from __future__ import annotations

import shutil
import sqlite3
import warnings
from collections.abc import Iterator
from contextlib import closing, suppress
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from archwright._words import counted
from archwright.errors import StoreError
from archwright.store._store import DOCUMENTS, Record, Snapshot
from archwright.store._tables import COLUMNS, Damaged, load, records_of
from archwright.store._url import database_url, file_of

_NEEDED = ("space", "strategy", "objective", "seed", "fingerprint", "created", "versions", "results")


def salvage_studies(place: Path | str) -> Iterator[tuple[str, Snapshot]]:
    """Yield the studies of a damaged file, each with the trials before the first one that is lost.

    The file itself is left as it is: a copy is read. A warning says what is missing.

    Args:
        place: The path of an SQLite file or of a run folder.

    Raises:
        StoreError: It is no SQLite file, or no study can be read.
    """
    url = database_url(file_of(place))
    if url.drivername != "sqlite":
        raise StoreError("what a server holds is not salvaged: repair it with its own tools, or take its backup")
    path = Path(str(url.database))
    if not path.is_file():
        raise StoreError(f"there is no database {path}")
    with TemporaryDirectory() as folder:
        copy = Path(folder) / path.name
        for end in ("", "-wal", "-journal"):
            beside = path.with_name(f"{path.name}{end}")
            if beside.is_file():
                shutil.copyfile(beside, copy.with_name(f"{copy.name}{end}"))
        with closing(sqlite3.connect(copy)) as file:
            yield from _studies(file, path)


def _studies(file: sqlite3.Connection, path: Path) -> Iterator[tuple[str, Snapshot]]:
    with suppress(sqlite3.Error):
        file.execute("PRAGMA trusted_schema = OFF")
        file.execute("PRAGMA writable_schema = ON")  # with which SQLite reads a file that is shorter than it says
    try:
        kinds = {kind for (kind,) in file.execute("SELECT type FROM sqlite_master") if isinstance(kind, str)}
    except sqlite3.Error as error:
        raise StoreError(f"nothing can be read of {path}: {error}") from error
    if kinds - {"table", "index"}:
        raise StoreError(f"{path} holds no study: it has a {sorted(kinds - {'table', 'index'})[0]}")
    present = {row[1] for row in _rows(file, "PRAGMA table_info(trials)")}
    columns = ", ".join(column.name if column.name in present else "NULL" for column in COLUMNS)
    rows = {(row[0], row[1]): row[1:] for row in _rows(file, f"SELECT study, {columns} FROM trials NOT INDEXED")}
    texts = {(row[0], row[1]): row[2] for row in _rows(file, "SELECT study, name, value FROM documents NOT INDEXED")}
    studies = [row for row in _rows(file, "SELECT id, name FROM studies NOT INDEXED") if isinstance(row[1], str)]
    if not studies:
        raise StoreError(f"no study can be read of {path}")
    for key, name in studies:
        document: dict[str, Any] = dict.fromkeys(DOCUMENTS)
        lost = []
        for each in DOCUMENTS:
            found = texts.get((key, each)) or _row(
                file, "SELECT value FROM documents WHERE study = ? AND name = ?", (key, each)
            )
            try:
                document[each] = load(found[0] if isinstance(found, tuple) else found, each)
            except Damaged:
                lost.append(each)
        lost += [each for each in _NEEDED if document[each] is None and each not in lost]
        records: list[Record] = []
        while True:
            number = len(records)
            wanted = f"SELECT {columns} FROM trials WHERE study = ? AND number = ?"
            row = rows.get((key, number)) or _row(file, wanted, (key, number))
            try:
                records += records_of([row], number) if row else []
            except Damaged:
                break
            if len(records) == number:
                break
        told = (
            f"study {name!r}: {counted(len(records), 'trial')} can be read; what came after them, if anything, is lost"
        )
        if lost:
            told += f", and of its settings: {', '.join(lost)}"
        warnings.warn(told, stacklevel=2)
        yield name, Snapshot(document, _in_order(records))


def _in_order(records: list[Record]) -> list[Record]:
    """Close the gaps that lost trials leave in the order in which trials ended."""
    order = sorted(record.ended for record in records if record.ended is not None)
    places = {ended: place for place, ended in enumerate(order)}
    return [each if each.ended is None else replace(each, ended=places[each.ended]) for each in records]


def _rows(file: sqlite3.Connection, query: str) -> list[tuple[Any, ...]]:
    """Return the rows before the first page that cannot be read."""
    found: list[tuple[Any, ...]] = []
    with suppress(sqlite3.Error, UnicodeError):
        for row in file.execute(query):
            found.append(row)
    return found


def _row(file: sqlite3.Connection, query: str, key: tuple[object, ...]) -> tuple[Any, ...] | None:
    with suppress(sqlite3.Error, UnicodeError):
        found: tuple[Any, ...] | None = file.execute(query, key).fetchone()
        return found
    return None
