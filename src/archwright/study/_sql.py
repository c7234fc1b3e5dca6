"""A study in a database."""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from urllib.parse import quote

import sqlalchemy as sql
from sqlalchemy import event

from archwright._fields import number, whole
from archwright.errors import ArchitectureError, StoreError
from archwright.study._store import DOCUMENTS, FORMAT, Record, Snapshot, Store
from archwright.trials import Trial

__all__ = ["SQLStore"]

_PATIENCE = 30.0  # seconds to wait for another process's transaction
_SETTLE_PAGES, _SETTLE_SECONDS = 16, 0.5  # of changes, after which they are moved into the file itself
_schema = sql.MetaData()
_study = sql.Table(
    "study",
    _schema,
    sql.Column("id", sql.Integer, primary_key=True, autoincrement=False),
    sql.Column("format", sql.Integer, nullable=False),
    *(sql.Column(name, sql.Text) for name in DOCUMENTS),
)
_trials = sql.Table(
    "trials",
    _schema,
    sql.Column("number", sql.Integer, primary_key=True, autoincrement=False),
    sql.Column("architecture", sql.Text, nullable=False),
    sql.Column("state", sql.String(16), nullable=False),
    sql.Column("metrics", sql.Text, nullable=False),
    sql.Column("curve", sql.Text, nullable=False),
    sql.Column("seconds", sql.Double, nullable=False),
    sql.Column("seed", sql.BigInteger, nullable=False),
    sql.Column("fidelity", sql.Text),
    sql.Column("share", sql.Double),
    sql.Column("origin", sql.Integer),
    sql.Column("worker", sql.Text, nullable=False),
    sql.Column("error", sql.Text),
    sql.Column("attempts", sql.Integer, nullable=False),
    sql.Column("elapsed", sql.Double, nullable=False),
    sql.Column("ended", sql.Integer),
)
_LATER = {
    "reference",
    "learned",
    "scheduler",
    "checkpoints",
    "why",
    "elapsed",
    "share",
    "origin",
}  # columns that the first version did not have
_JSON = ("architecture", "metrics", "curve", "fidelity")
_add = sql.insert(_trials)
_write = sql.update(_trials).where(_trials.c.number == sql.bindparam("key"))
_write = _write.values(
    {
        name: sql.bindparam(name)
        for name in _trials.c.keys()  # noqa: SIM118 - a column collection iterates over columns
        if name not in ("number", "architecture", "seed", "fidelity", "share")
    }
)


class _File(sqlite3.Connection):
    """An SQLite file that is really closed when it is closed.

    An interrupt can leave a transaction behind that the engine knows nothing of. As long as a cursor of it is in some
    traceback, it would outlive the closing, and keep every other writer out.
    """

    def close(self) -> None:
        """Roll back what is open, and close the file."""
        with suppress(sqlite3.ProgrammingError):  # it is closed already
            self.rollback()
        super().close()


class SQLStore(Store):
    """Keeps a study in an SQLite file, or in the database that a URL names.

    One connection is kept open, and each call is one short transaction. SQLite runs in write-ahead mode, where
    readers and the writer do not wait for each other; a transaction that is on record survives the death of the
    process, and a power cut may cost the last few, but never the file. The log of changes is moved into the file
    every few transactions, so that its loss costs no more than these. A file in a place that cannot be written to can
    be read all the same. Values are JSON text.

    Args:
        place: The path of an SQLite file, or a database URL such as "postgresql+psycopg://user@host/name".
        readonly: Whether to open an existing study only to read it.

    Raises:
        StoreError: The database cannot be opened, is damaged, or holds something else.
    """

    def __init__(self, place: Path | str, *, readonly: bool = False) -> None:
        self._place = str(place)
        self._readonly = readonly
        self._file: sqlite3.Connection | None = None
        self._copy: TemporaryDirectory[str] | None = None
        self._settled = time.monotonic()
        if isinstance(place, Path):
            self._engine = sql.create_engine(
                "sqlite://", poolclass=sql.pool.NullPool, creator=lambda: self._open_file(place)
            )
            event.listen(self._engine, "begin", self._begin_sqlite)
        else:
            self._engine = sql.create_engine(place)
        try:
            with self._told():
                self._connection = self._engine.connect()
        except BaseException:
            self._close_file()
            raise

    def is_empty(self) -> bool:
        """Tell whether the database has no tables."""
        return not self._tables()

    def create(self, document: Mapping[str, Any]) -> None:
        """Begin a study in an empty database.

        Raises:
            StoreError: The database is not empty.
        """
        found = self._tables()
        if found:
            raise StoreError(f"{self._place} is not empty: it holds the tables {', '.join(found)}")
        row = {name: json.dumps(document.get(name), allow_nan=False) for name in DOCUMENTS}
        with self._transaction():
            _schema.create_all(self._connection)
            self._connection.execute(sql.insert(_study), {"id": 1, "format": FORMAT, **row})
        self._settle()

    def read(self) -> Snapshot:
        """Return all that is kept.

        Raises:
            StoreError: The database is damaged, or holds no study that this version can read.
        """
        found = self._tables()
        if not found:
            raise StoreError(
                f"{self._place} holds no study yet: its process was stopped before anything was on record. Begin the "
                "search again, in the same folder"
            )
        if not {"study", "trials"} <= set(found):
            raise StoreError(f"{self._place} holds no study: its tables are {', '.join(found)}")
        if not self._readonly:
            self._complete()
        of_study, of_trials = (
            sql.select(*[column for column in table.columns if column.name not in missing])
            for table, missing in ((table, self._missing(table)) for table in (_study, _trials))
        )
        with self._transaction():
            study = self._connection.execute(of_study).mappings().first()
            rows = self._connection.execute(of_trials.order_by(_trials.c.number)).mappings().all()
        if study is None:
            raise StoreError(f"{self._place} holds no study: its table 'study' is empty")
        try:
            if whole(study["format"], "format") > FORMAT:
                raise StoreError(
                    f"{self._place} was written by a later version of archwright (format {study['format']}, "
                    f"this version reads up to {FORMAT})"
                )
        except ValueError as error:
            raise StoreError(f"{self._place} is damaged: {error}") from error
        document = {name: self._load(study[name], name) if name in study else None for name in DOCUMENTS}
        return Snapshot(document, [self._record(i, dict(row)) for i, row in enumerate(rows)])

    def update(self, **documents: Any) -> None:
        """Replace parts of the study's description, by the names in `DOCUMENTS`."""
        row = {name: json.dumps(value, allow_nan=False) for name, value in documents.items()}
        with self._transaction():
            self._connection.execute(sql.update(_study).values(row))

    def add(self, record: Record) -> None:
        """Keep a new trial."""
        with self._transaction():
            self._connection.execute(_add, self._row(record))

    def write(self, record: Record) -> None:
        """Keep what has become of a trial."""
        row = self._row(record)
        row["key"] = row["number"]
        with self._transaction():
            self._connection.execute(_write, row)

    def close(self) -> None:
        """Close the connection."""
        try:
            # An interrupt inside SQLAlchemy can leave a transaction that is half made, which cannot be closed: it is
            # rolled back with the file, or when the database loses the connection.
            with suppress(AttributeError):
                self._connection.close()
            self._engine.dispose()
        finally:
            self._close_file()

    def _open_file(self, place: Path) -> sqlite3.Connection:
        file = self._open_to_read(place) if self._readonly else self._connect(place, "mode=rwc")
        found = file.execute("PRAGMA quick_check(1)").fetchone()
        if found != ("ok",):
            raise StoreError(f"{self._place} is damaged: {found[0]}")
        kinds = dict(file.execute("SELECT name, type FROM sqlite_master"))
        odd = [name for name, kind in kinds.items() if kind not in ("table", "index")]
        if odd:  # what runs by itself when a table is read or written
            raise StoreError(f"{self._place} holds no study: besides tables there is the {kinds[odd[0]]} {odd[0]!r}")
        tables = sorted(name for name, kind in kinds.items() if kind == "table" and not name.startswith("sqlite_"))
        if tables and not {"study", "trials"} <= set(tables):  # it is somebody else's, and stays as it is
            raise StoreError(f"{self._place} holds no study: its tables are {', '.join(tables)}")
        if not self._readonly:
            file.execute("PRAGMA synchronous = NORMAL")
            file.execute("PRAGMA journal_mode = WAL")
            file.execute(f"PRAGMA wal_autocheckpoint = {_SETTLE_PAGES}")
        return file

    def _open_to_read(self, place: Path) -> sqlite3.Connection:
        """Open a file to read it, also where SQLite cannot make the files that it needs beside it."""
        try:
            file = self._connect(place, "mode=ro")
            file.execute("SELECT 1 FROM sqlite_master").fetchone()
        except sqlite3.OperationalError:
            if os.access(place.parent, os.W_OK):
                raise
        else:
            return file
        self._close_file()
        log = place.with_name(f"{place.name}-wal")
        if not log.exists() or not log.stat().st_size:
            return self._connect(place, "immutable=1")
        # A process was killed before its changes were in the file: they are put there in a copy.
        self._copy = TemporaryDirectory()
        for each in (place, log):
            shutil.copyfile(each, Path(self._copy.name) / each.name)
        return self._connect(Path(self._copy.name) / place.name, "mode=rw")

    def _connect(self, place: Path, how: str) -> sqlite3.Connection:
        self._file = sqlite3.connect(
            f"file:{quote(os.fsencode(place.absolute()))}?{how}",
            uri=True,
            timeout=_PATIENCE,
            isolation_level=None,
            check_same_thread=False,
            factory=_File,
        )
        self._file.execute("PRAGMA trusted_schema = OFF")
        return self._file

    def _close_file(self) -> None:
        if self._file is not None:
            self._file.close()
        if self._copy is not None:
            self._copy.cleanup()

    def _settle(self) -> None:
        """Move the changes from SQLite's log into the file; they are on record either way."""
        if self._file is not None:
            with suppress(sqlite3.OperationalError):  # the disk is full, or a reader is in the way: later, then
                self._file.execute("PRAGMA wal_checkpoint(PASSIVE)")
        self._settled = time.monotonic()

    def _begin_sqlite(self, connection: sql.Connection) -> None:
        # Python's driver would begin a writing transaction only at its first change, when another writer may
        # have come between: taking the write lock at once makes each transaction wait its turn instead.
        connection.exec_driver_sql("BEGIN" if self._readonly else "BEGIN IMMEDIATE")

    @contextmanager
    def _told(self) -> Iterator[None]:
        try:
            yield
        except (sql.exc.SQLAlchemyError, sqlite3.Error) as error:
            reason = getattr(error, "orig", None) or error
            raise StoreError(f"{self._place} cannot be used: {reason}") from error

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        with self._told(), self._connection.begin():
            yield
        if not self._readonly and time.monotonic() - self._settled > _SETTLE_SECONDS:
            self._settle()

    def _tables(self) -> list[str]:
        with self._transaction():
            return sorted(sql.inspect(self._connection).get_table_names())

    def _missing(self, table: sql.Table) -> set[str]:
        """Return the columns that a table lacks because the study was begun by an earlier version."""
        with self._transaction():
            return _LATER - {column["name"] for column in sql.inspect(self._connection).get_columns(table.name)}

    def _complete(self) -> None:
        """Add the columns that an earlier version did not have yet."""
        for table in (_study, _trials):
            missing = self._missing(table) & set(table.columns.keys())
            with self._transaction():
                for name in sorted(missing):
                    kind = table.columns[name].type.compile(self._engine.dialect)
                    self._connection.execute(sql.text(f"ALTER TABLE {table.name} ADD COLUMN {name} {kind}"))

    def _load(self, text: str | None, what: str) -> Any:
        try:
            return None if text is None else json.loads(text)
        except RecursionError:
            raise StoreError(f"{self._place} is damaged: {what} is nested too deeply") from None
        except (TypeError, ValueError) as error:
            raise StoreError(f"{self._place} is damaged: {what} is not JSON ({error})") from error

    def _record(self, position: int, row: dict[str, Any]) -> Record:
        what = f"trial {row['number']}"
        if row["number"] != position:
            raise StoreError(f"{self._place} is damaged: trial {position} is missing, {what} follows")
        row |= {name: self._load(row[name], f"{name} of {what}") for name in _JSON}
        if row.get("share") is None:
            row |= {"share": 1.0, "origin": None}  # a trial of a version in which each was a full one
        try:
            trial = Trial.from_json(row)
            ended = None if row["ended"] is None else whole(row["ended"], "ended")
            if trial.ended != (ended is not None):
                raise ValueError(f"state is {trial.state!r}, and ended is {ended}")
            return Record(trial, number(row["elapsed"], "elapsed", least=0.0), ended)
        except (ValueError, ArchitectureError) as error:
            raise StoreError(f"{self._place} is damaged: {what} cannot be read ({error})") from error

    @staticmethod
    def _row(record: Record) -> dict[str, Any]:
        row = record.trial.to_json()
        for name in ("worker", "error"):  # text that is no Unicode cannot be stored as it is
            row[name] = row[name] and row[name].encode(errors="backslashreplace").decode()
        row |= {name: json.dumps(row[name], allow_nan=False) for name in _JSON}
        row |= {"elapsed": record.elapsed, "ended": record.ended}
        return row
