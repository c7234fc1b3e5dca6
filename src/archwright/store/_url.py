"""Addresses of databases."""

from __future__ import annotations

import re
from pathlib import Path

import sqlalchemy as sql

from archwright.errors import StoreError

_ALLOWED = 'the path of an SQLite file, or a URL such as "sqlite:///studies.db" or "postgresql://user@host/database"'


def database_url(place: Path | str) -> sql.URL:
    """Return the URL of a database; that of an SQLite file has its absolute path.

    Raises:
        StoreError: It is no URL, or one of a database that is not supported.

    Example:
        >>> database_url("postgresql://me@host/studies").host
        'host'
    """
    if isinstance(place, str) and "://" in place:
        try:
            url = sql.make_url(place)
        except (sql.exc.ArgumentError, ValueError):
            raise StoreError(f"{_hidden(place)} is not the URL of a database: give {_ALLOWED}") from None
        if url.get_backend_name() in ("postgresql", "postgres"):
            return url.set(drivername="postgresql+psycopg")
        if url.get_backend_name() != "sqlite":
            raise StoreError(f"{url.get_backend_name()} is not a supported database: give {_ALLOWED}")
        if not url.database or url.query or ":memory:" in url.database:
            raise StoreError(f"{_hidden(place)} names no file: give {_ALLOWED}; without a store a study is in memory")
        place = url.database
    path = Path(place).absolute()
    if path.exists() and not path.is_file():  # SQLite would wait for a pipe for ever
        raise StoreError(f"{path} is not a file: give {_ALLOWED}")
    if not path.parent.is_dir():
        raise StoreError(f"there is no folder {path.parent} for the database {path.name}: make it first")
    return sql.URL.create("sqlite", database=str(path))


def address(place: Path | str) -> str:
    """Return where a database is, without a password.

    Raises:
        StoreError: It is no URL, or one of a database that is not supported.

    Example:
        >>> address("postgresql://me:secret@host/studies")
        'postgresql+psycopg://me@host/studies'
    """
    url = database_url(place)
    if url.drivername == "sqlite":
        return str(url.database)
    query = {name: value for name, value in url.query.items() if "password" not in name}
    return sql.URL.create(
        url.drivername, url.username, host=url.host, port=url.port, database=url.database, query=query
    ).render_as_string()


def _hidden(place: str) -> str:
    """Return text that may be an address without what may be a password."""
    return re.sub(r"(password=)[^&]*", r"\1***", re.sub(r"//[^/]*@", "//***@", place))
