"""A connection to a database: one transaction at a time, told failures, and patience with a server that restarts."""

from __future__ import annotations

import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, TypeVar

import sqlalchemy as sql
from sqlalchemy import event

from archwright.errors import StoreError, require
from archwright.store._sqlite import SQLiteFile
from archwright.store._url import address, database_url, secrets_of

T = TypeVar("T")

UNUSABLE = (sql.exc.SQLAlchemyError, sqlite3.Error, UnicodeError)  # the last where a damaged schema is no text
_PATIENCE = 120.0  # seconds in which a server that has gone away may come back
_PAUSES = (0.1, 5.0)  # seconds before the first attempt to connect again, and the most before a later one
_TURN = 60.0  # seconds that a thread waits for another one of this process
_IDLE = 30.0  # seconds after which a server ends the transaction of a process that was paused in it, with its locks
_SETTLE_SECONDS = 0.5  # after which the changes in SQLite's log are moved into the file itself
_NOW = {
    "sqlite": "((julianday('now') - 2440587.5) * 86400.0)",
    "postgresql": "extract(epoch from clock_timestamp())::double precision",
}
"""The time by the clock of the database, in seconds since 1970, for each kind of database."""

# A server that vanishes without a word is noticed within a minute, not after the hours of the system's defaults.
_NOTICE = {
    "connect_timeout": 10,
    "keepalives_idle": 20,
    "keepalives_interval": 10,
    "keepalives_count": 3,
    "tcp_user_timeout": 60_000,
}
_AWAY = {
    *("08000", "08001", "08003", "08004", "08006", "08007"),  # of the connection
    *("57P01", "57P02", "57P03", "57P05", "25P03", "53300"),  # the server stops, starts, or ends what is idle
    *("40001", "40P01"),  # two transactions were in each other's way
}
_FULL = ("SQLITE_FULL", "SQLITE_IOERR_WRITE", "SQLITE_IOERR_SHMSIZE", "SQLITE_IOERR_FSYNC", "SQLITE_IOERR_TRUNCATE")
_LOCKING = (
    "SQLITE_PROTOCOL",
    "SQLITE_IOERR_LOCK",
    "SQLITE_IOERR_RDLOCK",
    "SQLITE_IOERR_UNLOCK",
    "SQLITE_IOERR_SHMLOCK",
)


class Unreachable(StoreError):
    """A server is away, or has ended the connection; it may come back."""


class Database:
    """A connection to an SQLite file or a PostgreSQL server.

    Threads take turns. A transaction that fails because the server went away is tried again until two minutes are over.

    Args:
        place: The path of an SQLite file, or a URL.
        readonly: Whether to open an existing file for reading only.

    Attributes:
        place: Where it is, without user and password.
        file: The SQLite file; `None` for a server.
        engine: Makes further connections.
        now: The time by its own clock, in seconds since 1970.

    Raises:
        StoreError: The database cannot be opened, or is damaged.
        MissingExtra: The driver of the database is not installed.
    """

    def __init__(self, place: Path | str, *, readonly: bool = False) -> None:
        url = database_url(place)
        self.place = address(place)
        self.file: SQLiteFile | None = None
        self._readonly = readonly
        self._secrets = secrets_of(url)
        self._turn = threading.RLock()
        self._settled = time.monotonic()
        if url.drivername == "sqlite":
            self.file = SQLiteFile(Path(self.place), readonly=readonly)
            self.engine = sql.create_engine("sqlite://", poolclass=sql.pool.NullPool, creator=self.file.connect)
            # Python's driver would begin a writing transaction only at its first change, when another writer may have
            # come between: taking the write lock at once makes each transaction wait its turn instead.
            begin = "BEGIN" if readonly else "BEGIN IMMEDIATE"
            event.listen(self.engine, "begin", lambda connection: connection.exec_driver_sql(begin))
        else:
            require("psycopg", extra="postgresql", purpose="a PostgreSQL database")
            options = {name: value for name, value in _NOTICE.items() if name not in url.query}
            self.engine = sql.create_engine(url, pool_pre_ping=True, connect_args=options)
            event.listen(self.engine, "connect", _limit_idleness)
        self.now = sql.literal_column(_NOW[self.engine.dialect.name], sql.Double)
        try:
            with self.told():
                self.connection = self.engine.connect()
        except BaseException:
            self._dispose()
            raise

    @property
    def is_server(self) -> bool:
        """Whether it is a server, which may go away and come back."""
        return self.file is None

    def run(self, work: Callable[[sql.Connection, bool], T]) -> T:
        """Return what is done in a transaction, which is done again where the server went away in it.

        Args:
            work: Does it; the second argument tells that it may have been done before, and not been heard of.

        Raises:
            StoreError: It failed, or the server did not come back in time.
        """
        end, pause, is_again = time.monotonic() + _PATIENCE, _PAUSES[0], False
        while True:
            try:
                if is_again or (self.is_server and self.connection.closed):
                    self._reconnect()
                with self.transaction() as connection:
                    return work(connection, is_again)
            except Unreachable as error:
                if time.monotonic() + pause > end:
                    raise StoreError(
                        f"{error}. It did not come back within {_PATIENCE:.0f} seconds. What was recorded before is "
                        "kept: go on (`resume`) when it is there"
                    ) from error
            time.sleep(pause)
            pause, is_again = min(2 * pause, _PAUSES[1]), True

    @contextmanager
    def transaction(self) -> Iterator[sql.Connection]:
        """Begin a transaction, and commit it at the end of the block.

        Raises:
            Unreachable: The server is away.
            StoreError: It failed.
        """
        if not self._turn.acquire(timeout=_TURN):
            raise StoreError(f"{self.place} is in use by another thread of this process for {_TURN:.0f} seconds")
        try:
            if self.file is not None:
                self.file.check_place()
            with self.told(), self.connection.begin():
                yield self.connection
            if not self._readonly and time.monotonic() - self._settled > _SETTLE_SECONDS:
                self.settle()
        finally:
            self._turn.release()

    def settle(self) -> None:
        """Move the changes from SQLite's log into the file; they are on record either way."""
        if self.file is not None:
            file = self.connection.connection.driver_connection
            assert file is not None
            with suppress(sqlite3.OperationalError):  # the disk is full, or a reader is in the way: later, then
                file.execute("PRAGMA wal_checkpoint(PASSIVE)")
        self._settled = time.monotonic()

    @contextmanager
    def told(self) -> Iterator[None]:
        """Raise what a driver raises as a `StoreError` that says what to do."""
        try:
            yield
        except UNUSABLE as error:
            has_secret = any(secret in str(error) for secret in self._secrets)
            raise self._error(error) from None if has_secret else error

    def hang_up(self) -> None:
        """Close the connection; a transaction that an interrupt has left half made is rolled back with it."""
        with suppress(
            AttributeError, *UNUSABLE
        ):  # SQLAlchemy cannot close such a one, nor that to a server that is away
            self.connection.close()

    def close(self) -> None:
        """Close all connections."""
        try:
            self.hang_up()
        finally:
            self._dispose()

    def _error(self, error: Exception) -> StoreError:
        cause: Any = getattr(error, "orig", None) or error
        reason = str(cause).strip()
        for secret in self._secrets:
            reason = reason.replace(secret, "***")
        if self.is_server and _is_away(error):
            return Unreachable(f"{self.place} cannot be reached: {reason}")
        name = getattr(cause, "sqlite_errorname", None) or ""
        if name in _FULL:
            return StoreError(
                f"{self.place} cannot be written to: {reason}. The disk is full, or a limit on the size of files is "
                "reached. What was recorded before is kept: make room, then go on (`resume`)"
            )
        if name in _LOCKING:
            return StoreError(
                f"{self.place} cannot be locked: {reason}. Its file system does not keep two writers apart: use a "
                "local disk, or PostgreSQL"
            )
        if name.startswith("SQLITE_CORRUPT"):
            reason += (
                ". It is damaged: take a backup, if there is one; `archwright store export --salvage` writes what "
            )
            reason += "can still be read"
        if name.startswith(("SQLITE_BUSY", "SQLITE_LOCKED")):
            return StoreError(f"{self.place} is in use: {reason}. Another process is writing to it for long; try again")
        return StoreError(f"{self.place} cannot be used: {reason}")

    def _reconnect(self) -> None:
        """Make another connection to a server.

        Raises:
            Unreachable: It is still away.
        """
        with self._turn:
            self.hang_up()
            with self.told():
                self.connection = self.engine.connect()

    def _dispose(self) -> None:
        self.engine.dispose()
        if self.file is not None:
            self.file.close()


def _limit_idleness(connection: Any, record: object) -> None:
    """Let a server end transactions in which nothing happens."""
    was, connection.autocommit = connection.autocommit, True
    connection.execute(f"SET idle_in_transaction_session_timeout = {round(1000 * _IDLE)}")
    connection.autocommit = was


def _is_away(error: Exception) -> bool:
    """Tell whether a server is away: it has ended the connection, or does not take one."""
    if not isinstance(error, sql.exc.DBAPIError):
        return False
    code = getattr(error.orig, "sqlstate", None)
    return (
        error.connection_invalidated or code in _AWAY or (code is None and isinstance(error, sql.exc.OperationalError))
    )
