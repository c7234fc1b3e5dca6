"""SQLite files: opened with care, and brought to the present format."""

from __future__ import annotations

import os
import shutil
import sqlite3
import warnings
from contextlib import closing, suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from urllib.parse import quote

from sqlalchemy.dialects import sqlite
from sqlalchemy.schema import CreateTable

from archwright.errors import StoreError
from archwright.store._mounts import check_locks, network_mount
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
    survives the death of the process, and a power cut may cost the last few, but never the file. That mode needs memory
    that processes share, which a network file system does not have: a file there has a rollback journal instead. A file
    of format 1, which held one study, is migrated when it is opened for writing; a reader migrates a copy in memory. A
    file in a folder without write permission can be read.

    Args:
        path: The file.
        readonly: Whether to open an existing file for reading only.
    """

    def __init__(self, path: Path, *, readonly: bool) -> None:
        self._path = path
        self._readonly = readonly
        self._copy: TemporaryDirectory[str] | None = None
        self._checked = False
        self._place: tuple[int, int] | None = None  # the device and number of the file that was opened

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

    def check_place(self) -> None:
        """Refuse to write to a file that is no longer where it was opened: nobody would find what is written.

        Raises:
            StoreError: It was moved, removed or replaced.
        """
        if self._place is not None and _identity(self._path) != self._place:
            raise StoreError(
                f"{self._path} was moved, removed or replaced while it was in use. What was recorded before is in the "
                "file that was there, and in the files beside it whose names begin with its name: put them back, then "
                "go on (`resume`)"
            )

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
            self.check_place()
            self._set_journal(file)
            self._place = _identity(self._path)  # after the first writing, for which some file systems make a copy
            _add_column(file)
        self._checked = True
        return file

    def _set_journal(self, file: sqlite3.Connection) -> None:
        """Set how transactions are kept: with a log beside the file, or with a journal where that cannot be.

        Raises:
            StoreError: It is on a network file system that does not lock files.
        """
        mount = network_mount(self._path)
        if mount is not None and not self._checked:
            check_locks(self._path, mount)
            warnings.warn(
                f"{self._path} is on a network file system ({mount.kind} at {mount.folder}): it is written to with a "
                "rollback journal, which is slower. It is as safe as the locks of that file system are; for several "
                "machines take PostgreSQL",
                stacklevel=2,
            )
        if mount is None:
            file.execute("PRAGMA synchronous = NORMAL")
            if file.execute("PRAGMA journal_mode = WAL").fetchone() == ("wal",):
                file.execute(f"PRAGMA wal_autocheckpoint = {_LOG_PAGES}")
                return
        mode = file.execute("PRAGMA journal_mode = TRUNCATE").fetchone()[0]
        if mode != "truncate":
            raise StoreError(f"{self._path} cannot be written to: its journal mode is {mode}, and cannot be changed")
        file.execute("PRAGMA synchronous = FULL")

    def _check(self, file: sqlite3.Connection) -> None:
        """Refuse a file that is torn, one for writing also where it is damaged otherwise: what is read shows that."""
        file.execute("BEGIN")  # no other process changes its length meanwhile
        kinds = dict(file.execute("SELECT name, type FROM sqlite_master"))
        missing = self._missing(file)
        file.execute("COMMIT")
        found = f"its last {missing} bytes are missing" if missing else "ok"
        if found == "ok" and not self._readonly:
            found = file.execute("PRAGMA quick_check(1)").fetchone()[0]
        if found != "ok":
            raise StoreError(
                f"{self._path} is damaged: {found}. Take a backup, if there is one; `archwright store export --salvage`"
                " writes what can still be read"
            )
        odd = [name for name, kind in kinds.items() if kind not in ("table", "index")]
        if odd:  # what runs by itself when a table is read or written
            raise StoreError(f"{self._path} holds no study: besides tables there is the {kinds[odd[0]]} {odd[0]!r}")

    def _missing(self, file: sqlite3.Connection) -> int:
        """Return how many bytes are missing at the end; 0 where they may be in the log beside the file.

        The file is not opened for it: where a process closes a file, all its locks of it are gone, SQLite's too.
        """
        log = self._path.with_name(f"{self._path.name}-wal")
        if log.exists() and log.stat().st_size:
            return 0
        pages, length = (file.execute(f"PRAGMA {each}").fetchone()[0] for each in ("page_count", "page_size"))
        return max(0, int(pages * length) - self._path.stat().st_size)

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


def _identity(path: Path) -> tuple[int, int] | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino


def _add_column(file: sqlite3.Connection) -> None:
    """Add the column that the first tables of format 2 lacked."""

    def is_there() -> bool:
        names = {row[1] for row in file.execute("PRAGMA table_info(trials)")}
        return not names or "saw" in names

    if not is_there():
        file.execute("BEGIN IMMEDIATE")
        if not is_there():  # no other process was quicker
            file.execute("ALTER TABLE trials ADD COLUMN saw TEXT")
        file.execute("COMMIT")


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
        filled = {"study": "1", "seen": "NULL", "saw": "NULL", "share": "1.0", "origin": "NULL"}
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
