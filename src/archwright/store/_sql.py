"""Studies in a database."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import sqlalchemy as sql

from archwright._fields import whole
from archwright.errors import StoreError, StudyLocked
from archwright.store import _tables as tables
from archwright.store._database import Database
from archwright.store._lease import Lease
from archwright.store._store import DOCUMENTS, Record, Snapshot, Store
from archwright.store._url import file_of

_CREATION = 1635022707  # the key of PostgreSQL's lock under which tables are created
_ROWS = 10_000  # of trials that are read at a time


class SQLStore(Store):
    """Storage of a study in an SQLite file or a PostgreSQL database, which may hold many studies.

    One connection is kept open, and each call is one short transaction. One process at a time may write: it holds a
    lease of 60 seconds, by the clock of the database, which a thread renews. When the process dies, another one can
    take over after that time; a process that was only paused cannot write any more then, since each write names the
    epoch of its lease. A server that restarts is waited for. Threads take turns. Values are JSON text.

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
        self._database = Database(place, readonly=readonly)
        self._place = self._database.place
        self._name = name
        self._locked = locked
        self._id: int | None = None
        self._lease = Lease(self._database, f"the study {name!r} in {self._place}")
        self._lacks_column = False

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
        with self._database.transaction() as connection:
            self._insert(connection, self._name, document)
        self.acquire()
        self._database.settle()

    def acquire(self) -> None:
        """Acquire the right to write.

        A lease that has ended is watched for 20 seconds before it is taken over.

        Raises:
            StudyLocked: Another process holds it.
            StoreError: There is no study.
        """
        study = self._required()
        if self._locked:
            self._lease.seize(study)
        else:
            self._lease.acquire(study)
        if self._lacks_column:
            self._database.run(lambda connection, is_again: self._add_column(connection))

    def read(self) -> Snapshot:
        """Return the content.

        Raises:
            StoreError: The database is damaged, or holds no study that this version can read.
        """
        return self._read(None)

    def changes(self, ended: int) -> Snapshot:
        """Return the documents, and of the trials those that run, or have ended after so many had.

        Args:
            ended: How many trials had ended.

        Raises:
            StoreError: The database is damaged, or holds no study that this version can read.
        """
        return self._read(ended)

    def update(self, **documents: Any) -> None:
        """Replace documents, by the names in `DOCUMENTS`."""
        study = self._required()
        rows = [{"key": name, "value": _dump(value), **self._lease.row(study)} for name, value in documents.items()]

        def write(connection: sql.Connection, is_again: bool) -> None:
            for row in rows:
                if not connection.execute(tables.WRITE_DOCUMENT, row).rowcount:
                    added = {"study": study, "name": row["key"], "value": row["value"], **self._lease.row(study)}
                    self._execute(connection, tables.ADD_DOCUMENT, added)

        self._database.run(write)

    def add(self, record: Record) -> None:
        """Store a new trial."""
        study = self._required()
        row = tables.row_of(record, study) | self._lease.row(study)

        def write(connection: sql.Connection, is_again: bool) -> None:
            again = {name: row[name] for name in tables.CHANGES} | self._lease.row(study) | {"key": row["number"]}
            if not (is_again and connection.execute(tables.WRITE_TRIAL, again).rowcount):
                self._execute(connection, tables.ADD_TRIAL, row)

        self._database.run(write)

    def write(self, record: Record) -> None:
        """Replace a stored trial."""
        study = self._required()
        row = tables.row_of(record, study)
        row = {name: row[name] for name in tables.CHANGES} | self._lease.row(study) | {"key": record.trial.number}
        self._database.run(lambda connection, is_again: self._execute(connection, tables.WRITE_TRIAL, row))

    def close(self) -> None:
        """Give up the right to write, and close the connection."""
        self._database.hang_up()  # first: a transaction that is half made would keep out what follows
        try:
            self._lease.give_up()
        finally:
            self._database.close()

    def is_held(self) -> bool:
        """Return whether a process holds the right to write, by the clock of the database."""
        wanted = sql.select(self._lease.held).where(tables.studies.c.id == self._required())
        return bool(self._database.run(lambda connection, is_again: connection.execute(wanted).scalar()))

    def list(self) -> list[Listed]:
        """Return the studies of the database, by name; the one of this store is one of them."""

        def read(connection: sql.Connection, is_again: bool) -> list[Any]:
            if not sql.inspect(connection).has_table("studies"):
                return []
            of = tables.studies.c
            holder = sql.case((self._lease.held, of.holder))
            created = sql.select(tables.documents.c.value).where(
                tables.documents.c.study == of.id, tables.documents.c.name == "created"
            )
            count = sql.select(sql.func.count()).where(tables.trials.c.study == of.id)
            unfinished = count.where(tables.trials.c.ended.is_(None))
            parts = [each.scalar_subquery() for each in (created, count, unfinished)]
            wanted = sql.select(of.name, *parts, holder)
            return list(connection.execute(wanted.order_by(of.name)).all())

        rows = self._database.run(read)
        return [Listed(name, tables.load(at, "created") or "", *rest) for name, at, *rest in rows]

    def add_studies(self, studies: Sequence[tuple[str, Snapshot]]) -> None:
        """Add studies that are complete, by name, in one transaction.

        Raises:
            StoreError: The database has one of the names already.
            StudyLocked: Another process creates one at the same time.
        """
        self._find()  # refuses tables that this version cannot write
        there = {study.name for study in self.list()}
        for name, _ in studies:
            if name in there:
                raise StoreError(f"{self._place} has a study {name!r} already: give the new one another name")
        with self._database.transaction() as connection:
            for name, snapshot in studies:
                self._insert(connection, name, snapshot.document, snapshot.records)

    # ------------------------------------------------------------------ inside

    def _read(self, ended: int | None) -> Snapshot:
        study = self._required()
        lacking = {"saw"} if self._lacks_column else set()
        columns: list[Any] = [sql.null() if column.name in lacking else column for column in tables.COLUMNS]
        documents = sql.select(tables.documents.c.name, tables.documents.c.value)
        trials = sql.select(*columns).where(tables.trials.c.study == study).order_by(tables.trials.c.number)
        if ended is not None:
            order = tables.trials.c.ended
            trials = trials.where(order.is_(None) | (order >= ended))

        def read(connection: sql.Connection, is_again: bool) -> Snapshot:
            if self._database.is_server:  # both are read as they are at one moment
                connection.exec_driver_sql("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
            stored = connection.execute(documents.where(tables.documents.c.study == study)).all()
            document = dict.fromkeys(DOCUMENTS) | {name: tables.load(value, name) for name, value in stored}
            rows = connection.execute(trials)
            if ended is not None:
                return Snapshot(document, [record for row in rows for record in tables.records_of([row], row.number)])
            found: list[Record] = []
            for some in rows.partitions(_ROWS):
                found += tables.records_of(some, len(found))
            return Snapshot(document, found)

        try:
            return self._database.run(read)
        except tables.Damaged as error:
            raise StoreError(f"{self._place} is damaged: {error}") from error

    def _insert(
        self, connection: sql.Connection, name: str, document: Mapping[str, Any], records: Sequence[Record] = ()
    ) -> None:
        """Insert a study, and the tables where there are none.

        Raises:
            StudyLocked: Another process has just created it.
        """
        if self._database.is_server:  # two transactions cannot create the same table: the second waits for the first
            connection.execute(sql.select(sql.func.pg_advisory_xact_lock(_CREATION)))
        tables.SCHEMA.create_all(connection)
        row = {"name": name, "format": tables.FORMAT, "epoch": 0}
        try:
            key = connection.execute(sql.insert(tables.studies).values(row)).inserted_primary_key
        except sql.exc.IntegrityError as error:
            raise StudyLocked(
                f"the study {name!r} in {self._place} has just been created by another process"
            ) from error
        assert key is not None
        rows = [{"study": key[0], "name": each, "value": _dump(document.get(each))} for each in DOCUMENTS]
        connection.execute(sql.insert(tables.documents), rows)
        if records:
            self._add_column(connection)
            connection.execute(sql.insert(tables.trials), [tables.row_of(record, key[0]) for record in records])

    def _execute(self, connection: sql.Connection, statement: Any, row: Mapping[str, Any]) -> None:
        """Write a row.

        Raises:
            StudyLocked: This process has not acquired the right to write, or has lost it.
        """
        if not connection.execute(statement, row).rowcount:
            raise self._lease.lost()

    def _add_column(self, connection: sql.Connection) -> None:
        """Add the column that the first tables of format 2 lacked, on a server: a file has it since it was opened."""
        if self._database.is_server:
            connection.exec_driver_sql("ALTER TABLE trials ADD COLUMN IF NOT EXISTS saw TEXT")
        self._lacks_column = False

    def _find(self) -> int | None:
        """Return the id of the study, or `None` while there is none.

        Raises:
            StoreError: It was written by a later version, or the tables are of another program.
        """
        if self._id is not None:
            return self._id

        def find(connection: sql.Connection, is_again: bool) -> tuple[int | None, list[Any], bool]:
            check = sql.inspect(connection)
            if not check.has_table("studies"):
                return None, [], False
            strange = {column.name for column in tables.studies.columns} - {
                column["name"] for column in check.get_columns("studies")
            }
            if strange:
                raise StoreError(
                    f"{self._place} holds a table 'studies' of another program: it lacks {', '.join(sorted(strange))}. "
                    "Use another database, or another schema of it"
                )
            formats = connection.execute(sql.select(tables.studies.c.format).distinct()).scalars().all()
            wanted = sql.select(tables.studies.c.id).where(tables.studies.c.name == self._name)
            lacks = "saw" not in {column["name"] for column in check.get_columns("trials")}
            return connection.execute(wanted).scalar(), list(formats), lacks

        found, formats, self._lacks_column = self._database.run(find)
        try:
            latest = max((whole(each, "format") for each in formats), default=0)
        except ValueError as error:
            raise StoreError(f"{self._place} is damaged: {error}") from error
        if latest > tables.FORMAT:
            raise StoreError(
                f"{self._place} was written by a later version of archwright (format {latest}, this version reads up "
                f"to {tables.FORMAT})"
            )
        self._id = found
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


@dataclass(frozen=True)
class Listed:
    """A study of a database.

    Args:
        name: Its name.
        created: When it was created.
        trials: How many trials it has.
        unfinished: How many of them have not ended: they run, or were interrupted where there is no writer.
        writer: The process that holds the lease, or `None`.

    Example:
        >>> Listed("first", "2026-11-30T10:00:00+00:00", 12, 0, None).trials
        12
    """

    name: str
    created: str
    trials: int
    unfinished: int
    writer: str | None


def list_studies(place: Path | str) -> list[Listed]:
    """Return the studies of a database, by name.

    Args:
        place: The path of an SQLite file or of a run folder, or a URL.

    Raises:
        StoreError: It cannot be opened, is damaged, or holds something else.

    Example:
        >>> import tempfile
        >>> path = f"{tempfile.mkdtemp()}/studies.db"
        >>> SQLStore(path, "first").create(dict.fromkeys(DOCUMENTS))
        >>> [study.name for study in list_studies(path)]
        ['first']
    """
    store = SQLStore(file_of(place), readonly=True)
    try:
        return store.list()
    finally:
        store.close()


def add_studies(place: Path | str, studies: Sequence[tuple[str, Snapshot]]) -> None:
    """Add studies that are complete to a database, all of them or none.

    Raises:
        StoreError: The database cannot be used, or has one of the names already.
    """
    store = SQLStore(place)
    try:
        store.add_studies(studies)
    finally:
        store.close()


def _dump(value: Any) -> str:
    return json.dumps(value, allow_nan=False)
