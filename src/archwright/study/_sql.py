"""A study in a database."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any
from urllib.parse import quote

import sqlalchemy as sql
from sqlalchemy import event

from archwright.errors import StoreError
from archwright.study._store import DOCUMENTS, FORMAT, Record, Snapshot, Store
from archwright.trials import Trial

__all__ = ["SQLStore"]

_PATIENCE = 30.0  # seconds to wait for another process's transaction
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
    process, and a power cut may cost the last few, but never the file. Values are JSON text.

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
        if isinstance(place, Path):
            uri = f"file:{quote(str(place.absolute()))}?mode={'ro' if readonly else 'rwc'}"
            self._engine = sql.create_engine(
                "sqlite://", poolclass=sql.pool.NullPool, creator=lambda: self._open_file(uri)
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

    def read(self) -> Snapshot:
        """Return all that is kept.

        Raises:
            StoreError: The database is damaged, or holds no study that this version can read.
        """
        found = self._tables()
        if not {"study", "trials"} <= set(found):
            raise StoreError(f"{self._place} holds no study: its tables are {', '.join(found) or 'none'}")
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
        if study["format"] > FORMAT:
            raise StoreError(
                f"{self._place} was written by a later version of archwright (format {study['format']}, "
                f"this version reads up to {FORMAT})"
            )
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
            self._connection.close()
            self._engine.dispose()
        finally:
            self._close_file()

    def _open_file(self, uri: str) -> sqlite3.Connection:
        file = self._file = sqlite3.connect(
            uri, uri=True, timeout=_PATIENCE, isolation_level=None, check_same_thread=False, factory=_File
        )
        if not self._readonly:
            file.execute("PRAGMA journal_mode = WAL")
            file.execute("PRAGMA synchronous = NORMAL")
        found = file.execute("PRAGMA quick_check(1)").fetchone()
        if found != ("ok",):
            raise StoreError(f"{self._place} is damaged: {found[0]}")
        return file

    def _close_file(self) -> None:
        if self._file is not None:
            self._file.close()

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
        except ValueError as error:
            raise StoreError(f"{self._place} is damaged: {what} is not JSON ({error})") from error

    def _record(self, position: int, row: dict[str, Any]) -> Record:
        what = f"trial {row['number']}"
        if row["number"] != position:
            raise StoreError(f"{self._place} is damaged: trial {position} is missing, {what} follows")
        elapsed, ended = row.pop("elapsed"), row.pop("ended")
        row |= {name: self._load(row[name], f"{name} of {what}") for name in _JSON}
        if row.get("share") is None:
            row.pop("share", None)  # a trial of a version in which each was a full one
        try:
            return Record(Trial.from_json(row), elapsed, ended)
        except (TypeError, ValueError, AttributeError) as error:
            raise StoreError(f"{self._place} is damaged: {what} cannot be read ({error})") from error

    @staticmethod
    def _row(record: Record) -> dict[str, Any]:
        row = record.trial.to_json()
        row |= {name: json.dumps(row[name], allow_nan=False) for name in _JSON}
        row |= {"elapsed": record.elapsed, "ended": record.ended}
        return row
