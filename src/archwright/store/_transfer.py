"""Studies on their way: exports as JSON lines, imports, backups, and checks."""

from __future__ import annotations

import json
import os
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from archwright import _disk
from archwright._fields import fields, text, whole
from archwright._words import counted
from archwright.errors import StoreError
from archwright.store._salvage import salvage_studies
from archwright.store._sql import SQLStore, add_studies, list_studies
from archwright.store._store import DOCUMENTS, Record, Snapshot
from archwright.store._tables import Damaged, checked, load
from archwright.store._url import RUN, address, database_url, file_of

_FORMAT = 1  # of exports
_SHOWN = 100  # characters of a name that a file holds


@dataclass(frozen=True)
class Checked:
    """What a check of a study has found.

    Args:
        name: The name of the study.
        trials: How many trials it has.
        problem: What is wrong with it, or `None`.

    Example:
        >>> Checked("first", 12, None).problem is None
        True
    """

    name: str
    trials: int
    problem: str | None


def export_studies(place: Path | str, names: Sequence[str] = (), *, salvage: bool = False) -> Iterator[str]:
    """Yield the lines of an export: a JSON object for each study, followed by one for each of its trials.

    Args:
        place: The path of an SQLite file or of a run folder, or a URL.
        names: The names of the studies; by default all.
        salvage: Whether to export what can be read of a damaged SQLite file. Of each study those trials are kept that
            come before the first one that is lost; a warning says what is missing.

    Raises:
        StoreError: It cannot be opened, is damaged, or lacks one of the studies.

    Example:
        >>> import tempfile
        >>> from archwright.store import SQLStore, DOCUMENTS
        >>> path = f"{tempfile.mkdtemp()}/studies.db"
        >>> SQLStore(path, "first").create(dict.fromkeys(DOCUMENTS))
        >>> [json.loads(line)["name"] for line in export_studies(path)]
        ['first']
    """
    found = salvage_studies(place) if salvage else _read_all(place)
    folder = Path(place) if _is_folder(place) else None
    there = []
    for name, snapshot in found:
        there.append(name)
        if names and name not in names:
            continue
        shown = name if folder is None else folder.resolve().name  # in a run folder all have one name
        header = {"archwright": "study", "format": _FORMAT, "name": shown, "trials": len(snapshot.records)}
        yield json.dumps(header | {"document": snapshot.document}, allow_nan=False)
        for record in snapshot.records:
            yield json.dumps(_line(record), allow_nan=False)
    for name in names:
        if name not in there:
            raise StoreError(f"there is no study {name!r}; the studies: {', '.join(map(repr, there)) or 'none'}")


def import_studies(lines: Iterable[str], place: Path | str, *, name: str | None = None) -> list[str]:
    """Add the studies of an export to a database, and return their names.

    Nothing is added where the export is incomplete or damaged, or the database has a study of one of the names.

    Args:
        lines: The lines that `export_studies` yields.
        place: The path of an SQLite file, which is created if it does not exist, or a URL.
        name: The name that the study gets; by default that in the export.

    Raises:
        StoreError: The export cannot be read, or the database cannot be used.

    Example:
        >>> import tempfile
        >>> from archwright.store import SQLStore, DOCUMENTS
        >>> old, new = (f"{tempfile.mkdtemp()}/studies.db" for _ in range(2))
        >>> SQLStore(old, "first").create(dict.fromkeys(DOCUMENTS))
        >>> import_studies(export_studies(old), new, name="second")
        ['second']
    """
    url = database_url(place)
    if url.drivername == "sqlite" and Path(str(url.database)).name == RUN:
        raise StoreError(f"{url.database} has the name of the database of a run folder: choose another name")
    found = list(_parse(lines))
    if name is not None:
        if len(found) != 1:
            raise StoreError(f"a name is for one study, and the export has {len(found)}")
        found = [(name, found[0][1])]
    if not found:
        raise StoreError("the export is empty")
    for each, _ in found:
        if not each or "\0" in each or each != each.encode(errors="ignore").decode():
            raise StoreError(f"the name of a study is text without NUL or surrogates, not {each[:_SHOWN]!r}")
    if len({each for each, _ in found}) < len(found):
        raise StoreError("the export has two studies of one name")
    add_studies(place, found)
    return [each for each, _ in found]


def back_up(place: Path | str, target: Path) -> list[str]:
    """Copy the studies of a database into a new SQLite file, and return their names.

    Each study is copied as it is at one moment, also while a search writes to it.

    Args:
        place: The path of an SQLite file or of a run folder, or a URL.
        target: The new file.

    Raises:
        StoreError: The file exists, or a database cannot be used.

    Example:
        >>> import tempfile
        >>> from archwright.store import SQLStore, DOCUMENTS
        >>> folder = Path(tempfile.mkdtemp())
        >>> SQLStore(folder / "studies.db", "first").create(dict.fromkeys(DOCUMENTS))
        >>> back_up(folder / "studies.db", folder / "copy.db")
        ['first']
    """
    with new_file(target) as new:
        found = list(_read_all(place))
        if not found:
            raise StoreError(f"{place if _is_folder(place) else address(place)} holds no studies")
        add_studies(new, found)
        with closing(_connect(new, "mode=rw")) as file:
            file.execute("PRAGMA journal_mode = DELETE")  # one file, without others beside it
    return [name for name, _ in found]


def check_studies(place: Path | str) -> list[Checked]:
    """Read all of a database, and return what was found of each study.

    Args:
        place: The path of an SQLite file or of a run folder, or a URL.

    Raises:
        StoreError: It cannot be opened, or the file is damaged.

    Example:
        >>> import tempfile
        >>> from archwright.store import SQLStore, DOCUMENTS
        >>> path = f"{tempfile.mkdtemp()}/studies.db"
        >>> SQLStore(path, "first").create(dict.fromkeys(DOCUMENTS))
        >>> check_studies(path)
        [Checked(name='first', trials=0, problem=None)]
    """
    place = file_of(place)
    url, found = database_url(place), []
    studies = list_studies(place)
    if url.drivername == "sqlite":
        with closing(_connect(Path(str(url.database)), "mode=ro")) as file:
            try:
                told = [row[0] for row in file.execute("PRAGMA integrity_check(3)")]
            except sqlite3.Error as error:
                raise StoreError(f"{address(place)} cannot be checked: {error}") from error
        if told != ["ok"]:
            raise StoreError(f"{address(place)} is damaged: {'; '.join(told)}")
    for study in studies:
        store, problem = SQLStore(place, study.name, readonly=True), None
        try:
            _check_order(store.read().records)
        except StoreError as error:
            problem = str(error)
        finally:
            store.close()
        found.append(Checked(study.name, study.trials, problem))
    return found


@contextmanager
def new_file(target: Path) -> Iterator[Path]:
    """Context manager that gives the path of a file to write; it gets its name at the end, and an error leaves nothing.

    Args:
        target: The name of the file.

    Raises:
        StoreError: There is a file of that name.

    Example:
        >>> import tempfile
        >>> target = Path(tempfile.mkdtemp()) / "export.jsonl"
        >>> with new_file(target) as new:
        ...     size = new.write_text("{}")
        >>> target.read_text()
        '{}'
    """
    if os.path.lexists(target):
        raise StoreError(f"{target} exists already: choose another file")
    if not target.absolute().parent.is_dir():
        raise StoreError(f"there is no folder {target.absolute().parent} for {target.name}: make it first")
    new = target.with_name(f"{_disk.RESERVED}{target.name}")
    _disk.remove(new)
    try:
        yield new
        if os.path.lexists(target):
            raise StoreError(f"{target} exists already: choose another file")
        os.rename(new, target)
    finally:
        for end in ("", "-journal", "-shm", "-wal"):
            new.with_name(f"{new.name}{end}").unlink(missing_ok=True)


def _read_all(place: Path | str) -> Iterator[tuple[str, Snapshot]]:
    place = file_of(place)
    for study in list_studies(place):
        store = SQLStore(place, study.name, readonly=True)
        try:
            yield study.name, store.read()
        finally:
            store.close()


def _line(record: Record) -> dict[str, Any]:
    rest = {"elapsed": record.elapsed, "ended": record.ended, "seen": record.seen, "saw": record.saw}
    return record.trial.to_json() | rest


def _parse(lines: Iterable[str]) -> Iterator[tuple[str, Snapshot]]:
    """Yield the studies of an export.

    Raises:
        StoreError: A line cannot be read, or lines are missing.
    """
    number, rest = 0, iter(lines)
    for line in rest:
        number += 1
        if not line.strip():
            continue
        try:
            header = fields(load(line, "the line"), "the line", "archwright", "format", "name", "trials", "document")
            if header["archwright"] != "study" or whole(header["format"], "format", least=1) > _FORMAT:
                raise ValueError("it is not that of a study, or was written by a later version of archwright")
            name, trials = text(header["name"], "name"), whole(header["trials"], "trials")
            document = dict.fromkeys(DOCUMENTS) | fields(header["document"], "document")
            unknown = sorted(document.keys() - set(DOCUMENTS))
            if unknown:
                raise ValueError(f"document has the unknown field {unknown[0][:_SHOWN]!r}")
            records: list[Record] = []
            for position in range(trials):
                line = next(rest, "")
                number += 1
                if not line.strip():
                    raise ValueError(f"the export ends after {position} of {counted(trials, 'trial')}: it is cut off")
                needed = ("number", "elapsed", "ended", "seen", "saw")
                row = fields(load(line, "the line"), "the line", *needed)
                if row["number"] != position:
                    raise ValueError(f"trial {position} is missing")
                records.append(checked(row, position))
            _check_order(records)
        except (ValueError, Damaged) as error:
            raise StoreError(f"line {number} of the export cannot be read: {error}") from error
        yield name, Snapshot(document, records)


def _check_order(records: Iterable[Record]) -> None:
    """Refuse trials of which two have ended at once.

    Raises:
        Damaged: There are such.
    """
    order = sorted(record.ended for record in records if record.ended is not None)
    if order != list(range(len(order))):
        raise Damaged("the order in which trials ended has gaps, or two in one place")


def _connect(path: Path, how: str) -> sqlite3.Connection:
    file = sqlite3.connect(f"{path.absolute().as_uri()}?{how}", uri=True, isolation_level=None)
    with suppress(sqlite3.Error):
        file.execute("PRAGMA trusted_schema = OFF")
    return file


def _is_folder(place: Path | str) -> bool:
    return not (isinstance(place, str) and "://" in place) and Path(place).is_dir()
