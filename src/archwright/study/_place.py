"""Where a study is stored."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from archwright.errors import StoreError, StudyError
from archwright.study import _folder

if TYPE_CHECKING:
    from archwright.store import SQLStore

_VARIABLE = "ARCHWRIGHT_STORE"
_SHOWN = 1000  # characters of what a run folder says, which may come from somebody else
_OWN = "study"  # the name of the study in a run folder's own database


@dataclass(frozen=True)
class Place:
    """Where a study is stored: in a run folder, in a database, in both, or in memory alone.

    The database holds the documents and the trials; the run folder holds networks, checkpoints and the log. A run
    folder has a database of its own, unless it belongs to a study in another one. It says so in a file, but that
    database is opened only where the user names it too: a run folder may come from somebody else.

    Args:
        folder: The run folder, or `None`.
        store: The path or URL of the database, or `None` for that of the run folder.
        name: The name of the study in the database.
    """

    folder: Path | None
    store: str | None = field(default=None, repr=False)  # there may be a password in it
    name: str = _OWN

    @classmethod
    def find(
        cls, path: str | os.PathLike[str] | None, store: str | os.PathLike[str] | None = None, name: str | None = None
    ) -> Place:
        """Return the place that a user's arguments mean.

        Args:
            path: The run folder.
            store: The path or URL of the database; by default the one that the environment variable ARCHWRIGHT_STORE
                names, where the run folder belongs to a study in it.
            name: The name of the study; by default that of the run folder.

        Raises:
            StoreError: The store is no database that is supported.
            StudyError: The run folder belongs to another study, or to one in a database that was not named.
        """
        folder = None if path is None else Path(path).absolute()  # wherever a candidate goes
        pointer = None if folder is None else _folder.read_pointer(folder)
        if store is None and pointer is None:
            if name is not None:
                raise StudyError(f"the study has a name, {name!r}, but no store: give store=, a path or a URL")
            return cls(folder)
        from archwright.store import address  # loads SQLAlchemy

        given = (os.environ.get(_VARIABLE) or None) if store is None else os.fspath(store)
        where = None if given is None else address(given)
        if pointer is not None:
            said, its_name = pointer
            if (where, name or its_name) != pointer:
                raise StudyError(
                    f"{folder} belongs to the study {its_name[:_SHOWN]!r} in the database {said[:_SHOWN]!r}: give that "
                    f"as store=, or in the environment variable {_VARIABLE}. If the database was moved, change its "
                    f"address in {_folder.POINTER}"
                )
            name = its_name
        elif folder is not None and (folder / _folder.DATABASE).exists():
            raise StudyError(f"{folder} holds a study of its own: leave store out, or choose another folder")
        name = name or (folder.name if folder else "")
        if not name:
            raise StudyError("a study in a store needs a name: give name=")
        if not _is_storable(name):
            raise StudyError(f"the name of a study is text without NUL or surrogates, not {name!r}: give another name=")
        assert given is not None
        assert where is not None
        if "://" not in where:
            given = where  # the absolute path
            if Path(where).name == _folder.DATABASE:
                raise StoreError(f"{where} is the database of a run folder: give the folder, as path=")
        return cls(folder, given, name)

    def open(self, *, readonly: bool = False, new: bool = False) -> SQLStore:
        """Open the database.

        Args:
            readonly: Whether only to read.
            new: Whether the run folder may not have one yet.

        Raises:
            StoreError: There is none, or it cannot be used.
        """
        from archwright.store import SQLStore

        if self.store is not None:
            return SQLStore(self.store, self.name, readonly=readonly)
        assert self.folder is not None
        database = self.folder / _folder.DATABASE if new else _folder.check_database(self.folder)
        return SQLStore(database, self.name, readonly=readonly, locked=True)

    def holds_study(self) -> bool:
        """Return whether a study was begun there.

        Raises:
            StoreError: The database is damaged, or holds something else.
        """
        if self.store is None:
            return self.folder is not None and _folder.holds_study(self.folder)
        store = self.open()
        try:
            return not store.is_empty()
        finally:
            store.close()

    def point(self) -> None:
        """Write down, in the run folder, which study it belongs to."""
        if self.store is not None and self.folder is not None:
            from archwright.store import address

            _folder.write_pointer(self.folder, address(self.store), self.name)

    def __str__(self) -> str:
        """Return the place for messages."""
        if self.store is None:
            return "memory" if self.folder is None else str(self.folder)
        from archwright.store import address

        return f"the study {self.name!r} in {address(self.store)}"


def _is_storable(name: object) -> bool:
    """Tell whether every database can store a name."""
    return isinstance(name, str) and "\0" not in name and name == name.encode(errors="ignore").decode()
