"""Addresses of databases."""

from __future__ import annotations

import re
import stat
from pathlib import Path
from urllib.parse import quote, quote_plus

import sqlalchemy as sql

from archwright import _disk
from archwright.errors import StoreError

_ALLOWED = 'the path of an SQLite file, or a URL such as "sqlite:///studies.db" or "postgresql://user@host/database"'

_PORT = 5432  # of PostgreSQL
RUN = "study.db"
"""The name of the database in a run folder."""


def database_url(place: Path | str) -> sql.URL:
    """Return the URL of a database; that of an SQLite file has its absolute path.

    Raises:
        StoreError: It is no URL, or one of a database that is not supported.

    Example:
        >>> database_url("postgresql://me@host/studies").host
        'host'
    """
    if isinstance(place, str) and ("://" in place or re.match("(postgres(ql)?|sqlite)[+:]", place)):
        try:
            url = sql.make_url(place)
        except (sql.exc.ArgumentError, ValueError):
            raise StoreError(f"{_hidden(place)} is not the URL of a database: give {_ALLOWED}") from None
        if url.get_backend_name() in ("postgresql", "postgres"):
            return url.set(drivername="postgresql+psycopg")
        if url.get_backend_name() != "sqlite":
            raise StoreError(f"{url.get_backend_name()} is not a supported database: give {_ALLOWED}")
        if url.host:
            raise StoreError(
                f"{_hidden(place)} names a host: the path of a file follows three slashes. Give {_ALLOWED}"
            )
        if not url.database or url.query or ":memory:" in url.database:
            raise StoreError(f"{_hidden(place)} names no file: give {_ALLOWED}; without a store a study is in memory")
        place = url.database
    path = Path(place).absolute()
    for each in (path, *(path.with_name(f"{path.name}-{end}") for end in ("journal", "shm", "wal"))):
        try:
            is_odd = not stat.S_ISREG(each.stat().st_mode)
        except FileNotFoundError:
            continue
        except (OSError, ValueError) as error:
            raise StoreError(f"{str(each)!r} cannot be used: {error}") from error
        if is_odd:  # SQLite would wait for a pipe for ever
            raise StoreError(f"{each} is not a file: give {_ALLOWED}")
    if not path.parent.is_dir():
        raise StoreError(f"there is no folder {path.parent} for the database {path.name}: make it first")
    return sql.URL.create("sqlite", database=str(path))


def address(place: Path | str) -> str:
    """Return where a database is, without user and password.

    Raises:
        StoreError: It is no URL, or one of a database that is not supported.

    Example:
        >>> address("postgresql://me:secret@host/studies")
        'postgresql://host/studies'
    """
    url = database_url(place)
    if url.drivername == "sqlite":
        return str(url.database)
    query = {name: value for name, value in url.query.items() if "password" not in name.lower()}
    port = None if url.port == _PORT else url.port
    return sql.URL.create("postgresql", host=url.host, port=port, database=url.database, query=query).render_as_string()


def file_of(place: Path | str) -> Path | str:
    """Return the database of a run folder; a path that is none, and a URL, as they are.

    Raises:
        StoreError: The folder has no database.
        StudyError: It is a symbolic link.
    """
    if (isinstance(place, str) and "://" in place) or not Path(place).is_dir():
        return place
    file = Path(place) / RUN
    _disk.refuse_links([file])
    if not file.is_file():
        raise StoreError(f"{place} holds no study: there is no {RUN} in it")
    return file


def secrets_of(url: sql.URL) -> tuple[str, ...]:
    """Return what may not be told of a URL: its passwords, as they are and as they stand in it."""
    said: list[str] = [] if url.password is None else [str(url.password)]
    for name, value in url.query.items():
        if "password" in name.lower():
            said += [value] if isinstance(value, str) else value
    return tuple({form: None for each in said for form in (each, quote(each, safe=""), quote_plus(each)) if form})


def _hidden(place: str) -> str:
    """Return text that may be an address without what may be a password."""
    scheme, colon, rest = place.partition(":")
    if "@" in rest:
        rest = "//***@" + rest.rpartition("@")[2]
    elif rest.startswith("//") and ":" in rest:  # what follows is a port, or a password without a host
        rest = rest.partition(":")[0] + ":***"
    rest, mark, query = rest.partition("?")
    return scheme + colon + rest + mark + re.sub(r"=[^&]*", "=***", query)
