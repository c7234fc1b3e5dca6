"""Run folders: which folder a study may be kept in, and what of it is the study's."""

from __future__ import annotations

import json
import os
import warnings
from pathlib import Path

from archwright import _disk
from archwright._fields import fields, text
from archwright.errors import StoreError, StudyError
from archwright.study._stop import REQUEST

DATABASE = "study.db"
POINTER = "archwright-study.json"
"""Names the database that the study is in, where that is another one than the run folder's own."""
INSIDE = "archwright-run"
"""The folder that a search makes for itself inside a folder that holds something else."""

_BIRTH = (DATABASE, "study.db-journal", "study.db-shm", "study.db-wal", "study.lock", "study.lock.json")
"""What a process that is killed while it begins a study may leave."""

TRIAL_LOGS = "trials"
"""The folder with what each trial has printed."""

_LOGS = ("log.txt", "log.jsonl", TRIAL_LOGS)
_LATER = ("best", "checkpoints", "ensemble", "front", *_LOGS, POINTER, "pool", REQUEST, "supernet.pt", "top")


def check_links(folder: Path) -> None:
    """Refuse a run folder in which files or folders of a study are symbolic links, or the record's no files.

    Raises:
        StudyError: One of them is.
    """
    _check_files(folder, _BIRTH)
    _disk.refuse_links([folder / name for name in _LATER])


def check_database(folder: Path) -> Path:
    """Return the database of a run folder.

    Raises:
        StoreError: There is none.
        StudyError: It, or one of the files that SQLite keeps beside it, is a symbolic link or no file.
    """
    path = folder / DATABASE
    _check_files(folder, _BIRTH[:4])
    if not folder.is_dir():
        raise StoreError(f"there is no folder {folder}: give the run folder of a search")
    if not path.is_file():
        inside = folder / INSIDE
        hint = f"; there is one in {inside}" if (inside / DATABASE).is_file() else ""
        raise StoreError(f"{folder} holds no study: there is no {DATABASE} in it{hint}")
    return path


def read_pointer(folder: Path) -> tuple[str, str] | None:
    """Return the store and the name of the study that a run folder belongs to; `None` where it is in the folder.

    Raises:
        StudyError: The file that says so cannot be read.
    """
    path = folder / POINTER
    if not os.path.lexists(path):
        return None
    try:
        said = fields(_disk.parse_json(_disk.read(path), path), "it", "store", "name")
        return text(said["store"], "'store'"), text(said["name"], "'name'")
    except ValueError as error:
        raise StudyError(f"{path} cannot be read: {error}") from error


def write_pointer(folder: Path, store: str, name: str) -> None:
    """Write down which study a run folder belongs to."""
    _disk.write(folder / POINTER, json.dumps({"store": store, "name": name}, indent=1).encode() + b"\n")


def holds_study(folder: Path) -> bool:
    """Tell whether a study was begun in a folder, however little is on record.

    Raises:
        StoreError: There is a database which is damaged, or holds something else.
        StudyError: The database is a symbolic link.
    """
    if read_pointer(folder) is not None:
        return True
    if not (folder / DATABASE).exists():
        return False
    from archwright.store import SQLStore  # loads SQLAlchemy

    store = SQLStore(check_database(folder), readonly=True)
    try:
        return not store.is_empty()
    finally:
        store.close()


def check_run_folder(folder: Path) -> None:
    """Check that a folder can be used as a run folder: it does not exist, is empty, or holds a study.

    Raises:
        StudyError: The folder is not empty and holds no study, or parts of the study are symbolic links.
        StoreError: The path is a file, or the database is damaged or not one of archwright.

    Example:
        >>> from pathlib import Path
        >>> from archwright.study import check_run_folder
        >>> check_run_folder(Path("new-run")) is None
        True
    """
    if not os.path.lexists(folder):
        return
    try:
        strange = _strange(folder)
    except OSError as error:
        raise StoreError(f"{folder} cannot be made a run folder: {error}") from error
    check_links(folder)
    if strange and not holds_study(folder):
        raise StudyError(
            f"{folder} is not empty and is not a run folder (it holds {strange[0]!r}): choose a new folder, such as "
            f"{folder / 'run'}"
        )


def claim(folder: Path) -> None:
    """Make a run folder, or take one that is empty or holds a study.

    Raises:
        StudyError: It is not fit for one, see `check_run_folder`.
        StoreError: It cannot be made, or is not fit for one.
    """
    check_run_folder(folder)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StoreError(f"{folder} cannot be made a run folder: {error}") from error


def inside_of(folder: Path) -> Path:
    """Return the folder that a search is kept in that is given a folder: another one inside, if need be.

    A folder that is not empty and holds no study belongs to somebody: it is warned of, and left as it is.
    """
    if not folder.is_dir() or not _strange(folder) or holds_study(folder):
        return folder
    warnings.warn(
        f"{folder} is not empty and holds no study, so it is left as it is: the search is kept in {folder / INSIDE}",
        stacklevel=3,
    )
    return folder / INSIDE


def _check_files(folder: Path, names: tuple[str, ...]) -> None:
    """Refuse what is no file: SQLite would wait for a pipe for ever, and follow a link."""
    paths = [folder / name for name in names]
    _disk.refuse_links(paths)
    for path in paths:
        if path.exists() and not path.is_file():
            raise StudyError(f"{path} is not a file: move it away")


def _strange(folder: Path) -> list[str]:
    """Return the names in a folder that are not left by a study that has only just begun."""
    names = sorted(entry.name for entry in folder.iterdir())
    return [name for name in names if name not in _BIRTH and not name.startswith(_disk.RESERVED)]
