"""SQLite files: opened with care, and brought to the present format."""

from __future__ import annotations

import os
import shutil
import sqlite3
from contextlib import closing, suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from urllib.parse import quote

from sqlalchemy.dialects import sqlite
from sqlalchemy.schema import CreateTable

from archwright.errors import StoreError
from archwright.store._store import DOCUMENTS
from archwright.store._tables import FORMAT, SCHEMA, trials

_PATIENCE = 30.0  # seconds to wait for another process's transaction
_LOG_PAGES = 16  # of changes, after which they are moved into the file itself
_TABLES = set(SCHEMA.tables)


class _Connection(sqlite3.Connection):
    """A connection that is really closed when it is closed.

    An interrupt can leave a transaction behind that the engine does not know of. As long as a cursor of it is in some
    traceback, it would outlive the closing, and keep every other writer out.
    """

    def close(self) -> None:
        """Roll back what is open, and close the file."""
        with suppress(sqlite3.ProgrammingError):  # it is closed already
            self.rollback()
        super().close()


class SQLiteFile:
    """An SQLite file of studies.

    A file in write-ahead mode is one where readers and the writer do not wait for each other; a committed transaction
    survives the death of the process, and a power cut may cost the last few, but never the file. A file of format 1,
    which held one study, is migrated when it is opened for writing; a reader migrates a copy in memory. A file in a
    folder without write permission can be read.

    Args:
        path: The file.
        readonly: Whether to open an existing file for reading only.
    """

    def __init__(self, path: Path, *, readonly: bool) -> None:
        self._path = path
        self._readonly = readonly
        self._copy: TemporaryDirectory[str] | None = None
        self._checked = False

    def connect(self) -> sqlite3.Connection:
        """Return a new connection.

        Raises:
            StoreError: The file is damaged, or holds something else.
            sqlite3.Error: It cannot be opened.
        """
        file = self._open_to_read() if self._readonly else self._open("mode=rw" if self._checked else "mode=rwc")
        try:
            return self._prepare(file)
        except BaseException:
            file.close()
            raise

    def close(self) -> None:
        """Remove the temporary copy, if there is one."""
        if self._copy is not None:
            self._copy.cleanup()

    def _prepare(self, file: sqlite3.Connection) -> sqlite3.Connection:
        if not self._checked:
            self._check(file)
        tables = _tables(file)
        if _is_format_1(tables):
            if self._readonly:
                with closing(file):
                    copy = sqlite3.connect(":memory:", factory=_Connection, check_same_thread=False)
                    file.backup(copy)
                copy.isolation_level, file = None, copy
            _migrate(file, self._path)
        elif tables and not tables >= _TABLES:  # it is somebody else's, and stays as it is
            raise StoreError(f"{self._path} holds no study: its tables are {', '.join(sorted(tables))}")
        if not self._readonly:
            file.execute("PRAGMA synchronous = NORMAL")
            file.execute("PRAGMA journal_mode = WAL")
            file.execute(f"PRAGMA wal_autocheckpoint = {_LOG_PAGES}")
        self._checked = True
        return file

    def _check(self, file: sqlite3.Connection) -> None:
        found = file.execute("PRAGMA quick_check(1)").fetchone()
        if found != ("ok",):
            raise StoreError(f"{self._path} is damaged: {found[0]}")
        kinds = dict(file.execute("SELECT name, type FROM sqlite_master"))
        odd = [name for name, kind in kinds.items() if kind not in ("table", "index")]
        if odd:  # what runs by itself when a table is read or written
            raise StoreError(f"{self._path} holds no study: besides tables there is the {kinds[odd[0]]} {odd[0]!r}")

    def _open_to_read(self) -> sqlite3.Connection:
        """Open a file to read it, also where SQLite cannot make the files that it needs beside it."""
        if not self._path.exists():
            raise StoreError(f"there is no database {self._path}")
        file = None
        try:
            file = self._open("mode=ro")
            file.execute("SELECT 1 FROM sqlite_master").fetchone()
        except sqlite3.OperationalError:
            if file is not None:
                file.close()
            if os.access(self._path.parent, os.W_OK):
                raise
        else:
            return file
        log = self._path.with_name(f"{self._path.name}-wal")
        if not log.exists() or not log.stat().st_size:
            return self._open("immutable=1")
        # A process was killed before its changes were in the file: they are put there in a copy.
        self._copy = TemporaryDirectory()
        for each in (self._path, log):
            shutil.copyfile(each, Path(self._copy.name) / each.name)
        return self._open("mode=rw", Path(self._copy.name) / self._path.name)

    def _open(self, how: str, path: Path | None = None) -> sqlite3.Connection:
        file = sqlite3.connect(
            f"file:{quote(os.fsencode((path or self._path).absolute()))}?{how}",
            uri=True,
            timeout=_PATIENCE,
            isolation_level=None,
            check_same_thread=False,
            factory=_Connection,
        )
        file.execute("PRAGMA trusted_schema = OFF")
        return file


def _tables(file: sqlite3.Connection) -> set[str]:
    names = {name for (name,) in file.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
    return {name for name in names if not name.startswith("sqlite_")}


def _is_format_1(tables: set[str]) -> bool:
    return {"study", "trials"} <= tables and "studies" not in tables


def _migrate(file: sqlite3.Connection, path: Path) -> None:
    """Bring a file of format 1, which held one study in the tables `study` and `trials`, to the present format.

    Columns that the first versions of format 1 did not have are filled with what was the case then: every trial was a
    full evaluation from scratch.

    Raises:
        StoreError: It is of a later format, or damaged.
    """
    file.execute("BEGIN IMMEDIATE")
    if not _is_format_1(_tables(file)):  # another process was quicker
        file.execute("ROLLBACK")
        return
    try:
        cursor = file.execute("SELECT * FROM study")
        names = [column[0] for column in cursor.description]
        study = cursor.fetchone()
        if study is None:
            raise StoreError(f"{path} holds no study: its table 'study' is empty")
        stored = dict(zip(names, study, strict=True))
        if stored.get("format") != 1:
            raise StoreError(
                f"{path} is damaged or was written by a later version of archwright: its format is "
                f"{stored.get('format')!r}, this version reads up to {FORMAT}"
            )
        old = {row[1] for row in file.execute("PRAGMA table_info(trials)")}
        file.execute("ALTER TABLE trials RENAME TO trials_of_format_1")
        for table in SCHEMA.sorted_tables:
            file.execute(str(CreateTable(table).compile(dialect=sqlite.dialect())))
        file.execute("INSERT INTO studies (id, name, format, epoch) VALUES (1, 'study', ?, 0)", (FORMAT,))
        values = [(name, stored.get(name)) for name in DOCUMENTS]
        file.executemany("INSERT INTO documents VALUES (1, ?, coalesce(?, 'null'))", values)
        filled = {"study": "1", "seen": "NULL", "share": "1.0", "origin": "NULL"}
        columns = [column.name for column in trials.columns]
        source = ", ".join(name if name in old or name not in filled else filled[name] for name in columns)
        file.execute(f"INSERT INTO trials ({', '.join(columns)}) SELECT {source} FROM trials_of_format_1")
        file.execute("DROP TABLE trials_of_format_1")
        file.execute("DROP TABLE study")
        file.execute("COMMIT")
    except BaseException:
        with suppress(sqlite3.Error):
            file.execute("ROLLBACK")
        raise
