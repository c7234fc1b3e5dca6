"""Files of a run folder: written atomically, read as regular files, never through symbolic links."""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO

from archwright.errors import StudyError

__all__ = [
    "RESERVED",
    "is_folder",
    "no_follow",
    "parse_json",
    "read",
    "refuse_links",
    "regular",
    "remove",
    "set_aside",
    "write",
    "write_own",
]

RESERVED = ".archwright-"
"""What the names of archwright's temporary files and folders begin with; nothing else in a folder has such a name."""


def no_follow(path: str, flags: int) -> int:
    """Open a file for `open(opener=...)`, without following a symbolic link and without waiting for a pipe."""
    return os.open(path, flags | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0), 0o666)


def regular(path: str, flags: int) -> int:
    """Open a regular file for `open(opener=...)`; a symbolic link, a pipe or a device is an OSError."""
    descriptor = no_follow(path, flags)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise OSError(f"{path} is not a file")
    return descriptor


def is_folder(path: Path) -> bool:
    """Tell whether there is a folder; a symbolic link to one is none."""
    return path.is_dir() and not path.is_symlink()


def refuse_links(paths: list[Path]) -> None:
    """Refuse symbolic links, which would lead what is read, written or removed out of a run folder.

    Raises:
        StudyError: One of the paths is a symbolic link.
    """
    for path in paths:
        if path.is_symlink():
            raise StudyError(
                f"{path} is a symbolic link, and links in a run folder are not followed: put the file or folder itself "
                "there, or remove the link"
            )


def read(path: Path, *, last: int | None = None) -> bytes:
    """Return the content of a regular file.

    Args:
        path: The file.
        last: How many bytes of its end to return; `None` for all.

    Raises:
        FileNotFoundError: There is none.
        StudyError: It is a symbolic link, or no file, or cannot be read.
    """
    refuse_links([path])
    try:
        if not stat.S_ISREG(path.lstat().st_mode):
            raise StudyError(f"{path} is not a file")
        with open(path, "rb", opener=no_follow) as file:
            if last is not None:
                file.seek(max(0, file.seek(0, os.SEEK_END) - last))
            return file.read(last)
    except FileNotFoundError:
        raise
    except OSError as error:
        raise StudyError(f"{path} cannot be read: {error}") from error


def write(path: Path, content: bytes | Callable[[BinaryIO], object]) -> None:
    """Put a file in place of the one before, at once and as a whole.

    Args:
        path: The file.
        content: What it is to hold, or a function that writes this into an open file.
    """
    new = path.with_name(f"{RESERVED}{path.name}")
    new.unlink(missing_ok=True)  # a killed process left it
    try:
        with new.open("xb") as file:
            if callable(content):
                content(file)
            else:
                file.write(content)
        os.replace(new, path)
    except BaseException:
        new.unlink(missing_ok=True)
        raise


def write_own(path: Path, content: str, mark: str) -> None:
    """Write a text into a new file, or over an earlier one that begins with the same mark.

    Args:
        path: The file.
        content: The text.
        mark: What stands within the first 200 characters of each such text, and of no other file.

    Raises:
        StudyError: There is another file, a folder or a link in its place; or no folder to write into.
    """
    if os.path.lexists(path):
        is_own = False
        if path.is_file() and not path.is_symlink():
            with path.open("rb") as file:
                is_own = mark.encode() in file.read(200)
        if not is_own:
            raise StudyError(f"{path} is there already, and archwright did not write it: give another file, or move it")
    try:
        write(path, content.encode())
    except (FileNotFoundError, NotADirectoryError) as error:
        raise StudyError(f"there is no folder {path.parent}: make it first, or give another file") from error


def remove(path: Path) -> None:
    """Remove a file that `write` has written, and what it left where its process was killed."""
    for each in (path, path.with_name(f"{RESERVED}{path.name}")):
        each.unlink(missing_ok=True)


def set_aside(path: Path, to: Path | None = None) -> Path:
    """Give a file or folder a name that is free: its own, with ".old" behind it where that is taken.

    Args:
        path: The file or folder; a symbolic link is renamed itself.
        to: The folder to move it into; its own when not given.

    Returns:
        Its new place.
    """
    base = path if to is None else to / path.name
    free, number = base, 0
    while os.path.lexists(free):
        number += 1
        free = base.with_name(f"{base.name}.old{number if number > 1 else ''}")
    os.rename(path, free)
    return free


def parse_json(content: bytes | str, what: object) -> Any:
    """Return the value of a JSON text.

    Raises:
        StudyError: It is no JSON, or nested too deeply.
    """
    try:
        return json.loads(content)
    except RecursionError:
        raise StudyError(f"{what} is damaged: its JSON is nested too deeply") from None
    except ValueError as error:
        raise StudyError(f"{what} is damaged: it is not JSON ({error})") from error
