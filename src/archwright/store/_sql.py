"""Studies in a database."""

from __future__ import annotations

import atexit
import json
import os
import socket
import sqlite3
import threading
import time
import weakref
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Any

import sqlalchemy as sql
from sqlalchemy import event

from archwright._fields import whole
from archwright.errors import StoreError, StudyLocked, require
from archwright.store import _tables as tables
from archwright.store._sqlite import SQLiteFile
from archwright.store._store import DOCUMENTS, Record, Snapshot, Store
from archwright.store._url import address, database_url

_LEASE = 60.0  # seconds after which the right to write of a process that does not renew it can be taken over
_CREATION = 1635022707  # the key of PostgreSQL's lock under which tables are created
_IDLE_SECONDS = 2.0  # after which a server is asked whether the connection is still open
_SETTLE_SECONDS = 0.5  # after which the changes in SQLite's log are moved into the file itself
_UNUSABLE = (sql.exc.SQLAlchemyError, sqlite3.Error, UnicodeError)  # the last where a damaged schema is no text
_NOW = {
    "sqlite": "((julianday('now') - 2440587.5) * 86400.0)",
    "postgresql": "extract(epoch from clock_timestamp())::double precision",
}
"""The time by the clock of the database, in seconds since 1970, for each kind of database."""


class SQLStore(Store):
    """Storage of a study in an SQLite file or a PostgreSQL database, which may hold many studies.

    One connection is kept open, and each call is one short transaction. One process at a time may write: it holds a
    lease of 60 seconds, by the clock of the database, which a thread renews. When the process dies, another one can
    take over after that time; a process that was only paused cannot write any more then, since each write names the
    epoch of its lease. Values are JSON text.

    Args:
        place: The path of an SQLite file, or a URL such as "postgresql://user@host/database" or "sqlite:///studies.db".
        name: The name of the study.
        readonly: Whether to open an existing study for reading only.
        locked: Whether a lock file keeps other writers out, as that of a run folder does: the right to write is then
            acquired at once, and there is no lease.

    Raises:
        StoreError: The database cannot be opened, is damaged, or holds something else.
        MissingExtra: The driver of the database is not installed.

    Example:
        >>> import tempfile
        >>> store = SQLStore(f"{tempfile.mkdtemp()}/studies.db", "first")
        >>> store.is_empty()
        True
        >>> store.close()
    """

    def __init__(self, place: Path | str, name: str = "study", *, readonly: bool = False, locked: bool = False) -> None:
        url = database_url(place)
        self._place = address(place)
        self._name = name
        self._readonly = readonly
        self._locked = locked
        self._id: int | None = None
        self._epoch = -1  # none that a study ever has
        self._renewal: _Renewal | None = None  # which has no reference to the store: that can be collected
        self._file: SQLiteFile | None = None
        self._settled = self._used = time.monotonic()
        if url.drivername == "sqlite":
            self._file = SQLiteFile(Path(self._place), readonly=readonly)
            self._engine = sql.create_engine("sqlite://", poolclass=sql.pool.NullPool, creator=self._file.connect)
            # Python's driver would begin a writing transaction only at its first change, when another writer may have
            # come between: taking the write lock at once makes each transaction wait its turn instead.
            begin = "BEGIN" if readonly else "BEGIN IMMEDIATE"
            event.listen(self._engine, "begin", lambda connection: connection.exec_driver_sql(begin))
        else:
            require("psycopg", extra="postgresql", purpose="a PostgreSQL database")
            self._engine = sql.create_engine(url, pool_pre_ping=True)
        self._now = sql.literal_column(_NOW[self._engine.dialect.name], sql.Double)
        try:
            with self._told():
                self._connection = self._engine.connect()
        except BaseException:
            self._dispose()
            raise

    def is_empty(self) -> bool:
        """Return whether the study does not exist yet."""
        return self._find() is None

    def create(self, document: Mapping[str, Any]) -> None:
        """Create the study, and the tables where there are none, and acquire the right to write.

        Raises:
            StoreError: The study exists.
            StudyLocked: Another process creates it at the same time.
        """
        if not self.is_empty():
            raise StoreError(f"{self._place} is not empty: it holds a study {self._name!r}")
        with self._transaction():
            if self._file is None:  # two transactions cannot create the same table: the second waits for the first
                self._connection.execute(sql.select(sql.func.pg_advisory_xact_lock(_CREATION)))
            tables.SCHEMA.create_all(self._connection)
            row = {"name": self._name, "format": tables.FORMAT, "epoch": 0}
            try:
                key = self._connection.execute(sql.insert(tables.studies).values(row)).inserted_primary_key
            except sql.exc.IntegrityError as error:
                raise StudyLocked(
                    f"the study {self._name!r} in {self._place} has just been created by another process"
                ) from error
            assert key is not None
            rows = [{"study": key[0], "name": name, "value": _dump(document.get(name))} for name in DOCUMENTS]
            self._connection.execute(sql.insert(tables.documents), rows)
        self.acquire()
        self._settle()

    def acquire(self) -> None:
        """Acquire the right to write.

        Raises:
            StudyLocked: Another process holds it.
            StoreError: There is no study.
        """
        study = self._required()
        expires = tables.studies.c.expires
        is_free = sql.true() if self._locked else expires.is_(None) | (expires < self._now)
        taken: dict[str, Any] = {"epoch": tables.studies.c.epoch + 1, "holder": None, "expires": None}
        if not self._locked:
            since = time.strftime("%Y-%m-%d %H:%M:%S")
            holder = f"process {os.getpid()} on {socket.gethostname()} (since {since})"
            taken |= {"holder": holder, "expires": self._now + _LEASE}
        change = sql.update(tables.studies).where(tables.studies.c.id == study, is_free).values(taken)
        lease = sql.select(tables.studies.c.epoch, tables.studies.c.holder, tables.studies.c.expires - self._now)
        with self._transaction():
            is_mine = self._connection.execute(change).rowcount == 1
            epoch, holder, left = self._connection.execute(lease.where(tables.studies.c.id == study)).one()
        if not is_mine:
            raise StudyLocked(
                f"the study {self._name!r} in {self._place} is being written to by {holder}. Wait until it ends, or "
                f"stop it; if it has died, its lease ends in {left:.0f} seconds. Reading with `load` is possible "
                "meanwhile."
            )
        self._epoch = epoch
        if not self._locked:
            self._renewal = _Renewal(self._engine, self._now, study, epoch)
            weakref.finalize(self, self._renewal.ends.put, None).atexit = False

    def read(self) -> Snapshot:
        """Return the content.

        Raises:
            StoreError: The database is damaged, or holds no study that this version can read.
        """
        study = self._required()
        documents = sql.select(tables.documents.c.name, tables.documents.c.value)
        trials = sql.select(tables.trials).order_by(tables.trials.c.number)
        with self._transaction():
            stored = self._connection.execute(documents.where(tables.documents.c.study == study)).all()
            rows = self._connection.execute(trials.where(tables.trials.c.study == study)).mappings().all()
        try:
            document = dict.fromkeys(DOCUMENTS) | {name: tables.load(value, name) for name, value in stored}
            return Snapshot(document, [tables.record_of(dict(row), i) for i, row in enumerate(rows)])
        except StoreError as error:
            raise StoreError(f"{self._place} is damaged: {error}") from error

    def update(self, **documents: Any) -> None:
        """Replace documents, by the names in `DOCUMENTS`."""
        lease = self._lease()
        with self._transaction():
            for name, value in documents.items():
                row = {"value": _dump(value), **lease}
                if not self._connection.execute(tables.WRITE_DOCUMENT, {"key": name, **row}).rowcount:
                    self._execute(tables.ADD_DOCUMENT, {"study": self._id, "name": name, **row})

    def add(self, record: Record) -> None:
        """Store a new trial."""
        row = tables.row_of(record, self._required()) | self._lease()
        with self._transaction():
            self._execute(tables.ADD_TRIAL, row)

    def write(self, record: Record) -> None:
        """Replace a stored trial."""
        row = tables.row_of(record, self._required())
        row = {name: row[name] for name in tables.CHANGES} | self._lease() | {"key": record.trial.number}
        with self._transaction():
            self._execute(tables.WRITE_TRIAL, row)

    def close(self) -> None:
        """Give up the right to write, and close the connection."""
        # An interrupt inside SQLAlchemy can leave a transaction that is half made, which cannot be closed: it is
        # rolled back with the file, or when the database loses the connection.
        try:
            with suppress(AttributeError):
                self._connection.close()
            if self._renewal is not None:
                self._renewal.stop()
                self._renewal = None
        finally:
            self._epoch = -1
            self._dispose()

    def list(self) -> list[Listed]:
        """Return the studies of the database, by name; the one of this store is one of them."""
        with self._transaction():
            if not sql.inspect(self._connection).has_table("studies"):
                return []
            of, holder = tables.studies.c, sql.case((tables.studies.c.expires > self._now, tables.studies.c.holder))
            created = sql.select(tables.documents.c.value).where(
                tables.documents.c.study == of.id, tables.documents.c.name == "created"
            )
            count = sql.select(sql.func.count()).where(tables.trials.c.study == of.id)
            wanted = sql.select(of.name, created.scalar_subquery(), count.scalar_subquery(), holder)
            rows = self._connection.execute(wanted.order_by(of.name)).all()
        return [Listed(name, tables.load(at, "created") or "", trials, writer) for name, at, trials, writer in rows]

    # ------------------------------------------------------------------ the lease

    def _lease(self) -> dict[str, Any]:
        return {"of_study": self._required(), "mine": self._epoch}

    def _execute(self, statement: Any, row: Mapping[str, Any]) -> None:
        """Write a row.

        Raises:
            StudyLocked: This process has not acquired the right to write, or has lost it.
        """
        if not self._connection.execute(statement, row).rowcount:
            raise StudyLocked(
                f"the study {self._name!r} in {self._place} cannot be written to: another process has taken it over, "
                "and goes on with it"
            )

    # ------------------------------------------------------------------ inside

    def _find(self) -> int | None:
        """Return the id of the study, or `None` while there is none.

        Raises:
            StoreError: It was written by a later version, or the tables are of another program.
        """
        if self._id is not None:
            return self._id
        with self._transaction():
            check = sql.inspect(self._connection)
            if not check.has_table("studies"):
                return None
            strange = {column.name for column in tables.studies.columns} - {
                column["name"] for column in check.get_columns("studies")
            }
            if strange:
                raise StoreError(
                    f"{self._place} holds a table 'studies' of another program: it lacks {', '.join(sorted(strange))}. "
                    "Use another database, or another schema of it"
                )
            formats = self._connection.execute(sql.select(tables.studies.c.format).distinct()).scalars().all()
            wanted = sql.select(tables.studies.c.id).where(tables.studies.c.name == self._name)
            self._id = self._connection.execute(wanted).scalar()
        try:
            latest = max((whole(each, "format") for each in formats), default=0)
        except ValueError as error:
            self._id = None
            raise StoreError(f"{self._place} is damaged: {error}") from error
        if latest > tables.FORMAT:
            self._id = None
            raise StoreError(
                f"{self._place} was written by a later version of archwright (format {latest}, this version reads up "
                f"to {tables.FORMAT})"
            )
        return self._id

    def _required(self) -> int:
        found = self._find()
        if found is None:
            if self._locked:
                raise StoreError(
                    f"{self._place} holds no study yet: its process was stopped before anything was on record. Begin "
                    "the search again, in the same folder"
                )
            names = ", ".join(repr(study.name) for study in self.list()) or "none"
            raise StoreError(f"{self._place} holds no study {self._name!r}; its studies: {names}")
        return found

    def _settle(self) -> None:
        """Move the changes from SQLite's log into the file; they are on record either way."""
        if self._file is not None:
            file = self._connection.connection.driver_connection
            assert file is not None
            with suppress(sqlite3.OperationalError):  # the disk is full, or a reader is in the way: later, then
                file.execute("PRAGMA wal_checkpoint(PASSIVE)")
        self._settled = time.monotonic()

    @contextmanager
    def _told(self) -> Iterator[None]:
        try:
            yield
        except _UNUSABLE as error:
            reason = getattr(error, "orig", None) or error
            raise StoreError(f"{self._place} cannot be used: {reason}") from error

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        if self._file is None and time.monotonic() - self._used > _IDLE_SECONDS:
            self._reconnect()
        with self._told(), self._connection.begin():
            yield
        self._used = time.monotonic()
        if not self._readonly and time.monotonic() - self._settled > _SETTLE_SECONDS:
            self._settle()

    def _reconnect(self) -> None:
        """Make another connection to a server, if the one that was idle has been closed meanwhile."""
        with self._told():
            try:
                with self._connection.begin():
                    self._connection.execute(sql.select(1))
            except sql.exc.DBAPIError:
                self._connection.close()
                self._connection = self._engine.connect()

    def _dispose(self) -> None:
        self._engine.dispose()
        if self._file is not None:
            self._file.close()


class _Renewal(threading.Thread):
    """Renews a lease until it is stopped or lost, then gives it up.

    It is stopped by the closing of the store, by its garbage collection, or by the end of the process.
    """

    def __init__(self, engine: sql.Engine, now: sql.ColumnElement[float], study: int, epoch: int) -> None:
        super().__init__(name="archwright-lease", daemon=True)
        self.ends: SimpleQueue[None] = SimpleQueue()  # unlike an event, safe in a garbage collection
        self._engine = engine
        self._now = now
        self._is_held = (tables.studies.c.id == study) & (tables.studies.c.epoch == epoch)
        self._every = _LEASE / 4
        atexit.register(self.stop)
        self.start()

    def run(self) -> None:
        """Renew, and give up."""
        while not self._is_over():
            with suppress(*_UNUSABLE, StoreError):  # the database may be back the next time
                if not self.write(expires=self._now + _LEASE):
                    break
        with suppress(*_UNUSABLE, StoreError):  # the lease ends by itself
            self.write(holder=None, expires=None)
        atexit.unregister(self.stop)

    def write(self, **change: Any) -> bool:
        """Change the lease, over a connection of its own; return whether it was still held."""
        with self._engine.begin() as connection:
            return connection.execute(sql.update(tables.studies).where(self._is_held).values(change)).rowcount == 1

    def stop(self) -> None:
        """Give the lease up, and wait until that is done."""
        self.ends.put(None)
        self.join()

    def _is_over(self) -> bool:
        try:
            self.ends.get(timeout=self._every)
        except Empty:
            return False
        return True


@dataclass(frozen=True)
class Listed:
    """A study of a database.

    Args:
        name: Its name.
        created: When it was created.
        trials: How many trials it has.
        writer: The process that holds the lease, or `None`.

    Example:
        >>> Listed("first", "2026-11-30T10:00:00+00:00", 12, None).trials
        12
    """

    name: str
    created: str
    trials: int
    writer: str | None


def list_studies(place: Path | str) -> list[Listed]:
    """Return the studies of a database, by name.

    Args:
        place: The path of an SQLite file, or a URL.

    Raises:
        StoreError: It cannot be opened, is damaged, or holds something else.

    Example:
        >>> import tempfile
        >>> path = f"{tempfile.mkdtemp()}/studies.db"
        >>> SQLStore(path, "first").create(dict.fromkeys(DOCUMENTS))
        >>> [study.name for study in list_studies(path)]
        ['first']
    """
    store = SQLStore(place, readonly=True)
    try:
        return store.list()
    finally:
        store.close()


def _dump(value: Any) -> str:
    return json.dumps(value, allow_nan=False)
