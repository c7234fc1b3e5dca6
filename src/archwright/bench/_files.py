"""Where tables lie, and whether they are whole."""

from __future__ import annotations

import gzip
import hashlib
import io
import os
import zlib
from collections.abc import Iterable
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

from archwright.errors import TableError

__all__ = ["Source", "read_text"]


@dataclass(frozen=True)
class Source:
    """A table's file.

    Args:
        file: Its name.
        sha256: Its checksum.
        origin: Where the original is published.
        shipped: Whether it comes with the package.
    """

    file: str
    sha256: str
    origin: str
    shipped: bool = False


def read_text(source: Source, path: str | Path | None, *, verify: bool) -> io.StringIO:
    """Return the text of a table's file.

    Args:
        source: Which file.
        path: The file, or the folder it is in; `None` for the package, `$ARCHWRIGHT_DATA`, and the user's data folder.
        verify: Whether to refuse a file that is not the known one.

    Raises:
        TableError: There is no such file; or it is damaged, cut off, or not the known one.
    """
    if path is None and source.shipped:
        data = resources.files("archwright.bench").joinpath(source.file).read_bytes()
        where = source.file
    else:
        found = _find(source, path)
        data, where = found.read_bytes(), str(found)
    digest = hashlib.sha256(data).hexdigest()
    if verify and digest != source.sha256:
        raise TableError(
            f"{where} is not the table that is known: its SHA256 is {digest}, not {source.sha256}. "
            f"Fetch it again ({source.origin}); verify=False takes a table that you made yourself."
        )
    try:
        return io.StringIO(gzip.decompress(data).decode())
    except (OSError, EOFError, zlib.error, UnicodeDecodeError) as error:
        raise TableError(f"{where} is damaged or cut off: {error}. Fetch it again ({source.origin}).") from error


def _find(source: Source, path: str | Path | None) -> Path:
    places = list(_places(path))
    for place in places:
        for candidate in (place, place / source.file, place / "benchmarks" / source.file):
            if candidate.is_file():
                return candidate
    looked = ", ".join(map(str, places))
    raise TableError(
        f"the table {source.file} was not found in {looked}. Its original is published at {source.origin}; "
        f"docs/tables.md says what the file holds. Name it with --data PATH (path=), or set ARCHWRIGHT_DATA."
    )


def _places(path: str | Path | None) -> Iterable[Path]:
    if path is not None:
        yield Path(path)
        return
    if named := os.environ.get("ARCHWRIGHT_DATA"):
        yield Path(named)
    yield Path(os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share") / "archwright"
