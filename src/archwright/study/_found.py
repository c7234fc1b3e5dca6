"""The studies of a folder or of a database."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from archwright.errors import StudyError
from archwright.study._folder import DATABASE, POINTER

if TYPE_CHECKING:
    from archwright.study._study import Study

_DEPTH = 3  # folders below the one that is looked through


@dataclass(frozen=True)
class Found:
    """A study in a folder or a database.

    Args:
        name: The path of its run folder relative to the folder that was looked through, or its name in the database.
        path: The run folder; `None` in a database.
        store: The path or URL of the database; `None` for a run folder.

    Example:
        >>> from pathlib import Path
        >>> from archwright.study import Found
        >>> Found("first", path=Path("runs/first")).path.name
        'first'
    """

    name: str
    path: Path | None = None
    store: str | None = field(default=None, repr=False)  # there may be a password in it

    def open(self) -> Study:
        """Return the study.

        Raises:
            StoreError: There is none any more, or it is damaged.
            StudyError: It is in a database that was not named.
        """
        from archwright.study._study import Study

        return Study.open(self.path, store=self.store, name=None if self.store is None else self.name)


def find_studies(place: str | os.PathLike[str]) -> list[Found]:
    """Return the studies of a folder or a database, by name.

    Args:
        place: A run folder, a folder with run folders up to three levels below it, the path of an SQLite file, or the
            URL of a database. Symbolic links are not followed.

    Raises:
        StudyError: There is no such folder or file.
        StoreError: The database cannot be opened, or is damaged.

    Example:
        >>> from archwright.study import find_studies
        >>> study = aw.Study(aw.Space(x=aw.integer(0, 9)), strategy="grid", path="runs/first")
        >>> study.close()
        >>> [found.name for found in find_studies("runs")]
        ['first']
    """
    given = os.fspath(place)
    path = Path(given)
    if "://" not in given and path.name == DATABASE:
        path = path.parent
    if "://" in given or path.is_file():
        from archwright.store import list_studies  # loads SQLAlchemy

        return [Found(study.name, store=given) for study in list_studies(given)]
    if not path.is_dir():
        raise StudyError(f"there is no folder {given}: give a folder with runs, or an SQLite file or URL")
    folder = path.absolute()
    names = {each: str(each.relative_to(folder)) if each != folder else folder.name for each in _runs(folder, _DEPTH)}
    return sorted((Found(name, path=each) for each, name in names.items()), key=lambda found: found.name)


def _runs(folder: Path, depth: int) -> Iterator[Path]:
    """Yield the run folders in a folder; there are none inside of another one."""
    if any(os.path.lexists(folder / name) for name in (DATABASE, POINTER)):
        yield folder
    elif depth >= 0:
        try:
            inside = [entry.path for entry in os.scandir(folder) if entry.is_dir(follow_symlinks=False)]
        except PermissionError:  # somebody else's
            return
        for each in inside:
            yield from _runs(Path(each), depth - 1)
