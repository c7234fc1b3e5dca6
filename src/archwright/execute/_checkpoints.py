"""Checkpoints of trials."""

from __future__ import annotations

import hashlib
import io
import os
import shutil
import tempfile
import weakref
from collections.abc import Callable, Collection, Mapping
from contextlib import suppress
from operator import methodcaller
from pathlib import Path
from typing import Any, BinaryIO, Protocol

from archwright import _disk
from archwright._states import parse_state
from archwright.errors import ArchwrightError, StudyError, require


class Checkpoints:
    """Storage of the checkpoints of trials that may be continued.

    Each is written under a temporary name, and renamed. Its digest is to be put on record: what is read is compared
    with it.

    Args:
        place: The run folder; or the URL of a folder on storage of any kind that fsspec knows, such as
            "s3://bucket/run"; or `None` for the memory of this process.

    Raises:
        MissingExtra: The library for the URL is not installed.
        StudyError: The URL cannot be used.

    Example:
        >>> from archwright.execute import Checkpoints
        >>> checkpoints = Checkpoints(None)
        >>> digest = checkpoints.keep(3, {"epoch": 5, "model": {"weight": torch.ones(2)}})
        >>> checkpoints.load(3, digest)["epoch"]
        5
    """

    def __init__(self, place: Path | str | None) -> None:
        self._place = place
        self._files: _Files = _Memory()
        if isinstance(place, Path):
            self._files = _Folder(place / "checkpoints")
        elif place is not None:
            self._files = _Remote(place)

    def share(self) -> Path | str:
        """Return a place in which other processes find the checkpoints: a temporary folder for those in memory."""
        if self._place is None:
            assert isinstance(self._files, _Memory)
            root = Path(tempfile.mkdtemp(prefix="archwright-"))
            weakref.finalize(self, shutil.rmtree, root, ignore_errors=True)
            kept, self._files, self._place = self._files.kept, _Folder(root / "checkpoints"), root
            for name, content in kept.items():
                self._files.write(name, methodcaller("write", content))
        return self._place.absolute() if isinstance(self._place, Path) else self._place

    def is_taken(self, number: int) -> bool:
        """Tell whether a file with the name of a trial's checkpoint exists that is not in memory."""
        return self._place is not None and self.holds(number)

    def holds(self, number: int) -> bool:
        """Tell whether there is a checkpoint of a trial."""
        return self._files.exists(_name(number))

    def keep(self, number: int, state: Mapping[str, Any]) -> str:
        """Save a copy of a trial's state atomically, and return its digest."""
        import torch

        found = ""

        def save(file: BinaryIO) -> None:
            nonlocal found
            hashed = _Hashed(file)
            torch.save(dict(state), hashed)  # type: ignore[arg-type]  # which writes to it, and nothing else
            found = hashed.digest.hexdigest()

        self._files.write(_name(number), save)
        return found

    def load(self, number: int, digest: str | None = None) -> dict[str, Any]:
        """Return the state of a trial.

        Args:
            number: The number of the trial.
            digest: What `keep` returned; `None` where that is not on record.

        Raises:
            LookupError: The checkpoint is missing, damaged or another one; the message says which.
        """
        try:
            content = self._files.read(_name(number))
        except (FileNotFoundError, KeyError):
            raise LookupError("is gone") from None
        except (ArchwrightError, OSError) as error:
            raise LookupError(f"cannot be read ({error})") from error
        if digest is not None and hashlib.sha256(content).hexdigest() != digest:
            raise LookupError("cannot be read (its SHA-256 is not the one on record)")
        try:
            return parse_state(content)
        except ValueError as error:
            raise LookupError(str(error)) from error

    def drop(self, numbers: Collection[int]) -> None:
        """Remove the checkpoints of trials."""
        for number in numbers:
            self._files.remove(_name(number))


# ---------------------------------------------------------------------- where they are


class _Files(Protocol):
    """Files by name."""

    def exists(self, name: str, /) -> bool: ...

    def read(self, name: str, /) -> bytes: ...

    def write(self, name: str, write: Callable[[BinaryIO], object], /) -> None: ...

    def remove(self, name: str, /) -> None: ...


class _Memory:
    def __init__(self) -> None:
        self.kept: dict[str, bytes] = {}

    def exists(self, name: str) -> bool:
        return name in self.kept

    def read(self, name: str) -> bytes:
        return self.kept[name]

    def write(self, name: str, write: Callable[[BinaryIO], object]) -> None:
        buffer = io.BytesIO()
        write(buffer)
        self.kept[name] = buffer.getvalue()

    def remove(self, name: str) -> None:
        self.kept.pop(name, None)


class _Folder:
    def __init__(self, path: Path) -> None:
        self._path = path

    def exists(self, name: str) -> bool:
        return os.path.lexists(self._path / name)

    def read(self, name: str) -> bytes:
        _disk.refuse_links([self._path])
        return _disk.read(self._path / name)

    def write(self, name: str, write: Callable[[BinaryIO], object]) -> None:
        _disk.refuse_links([self._path])
        self._path.mkdir(exist_ok=True)
        _disk.write(self._path / name, write)

    def remove(self, name: str) -> None:
        if _disk.is_folder(self._path):
            _disk.remove(self._path / name)


class _Remote:
    """A folder of a file system of fsspec; what it raises is up to it."""

    def __init__(self, url: str) -> None:
        fsspec = require("fsspec", extra="remote", purpose="checkpoints at a URL")
        try:
            self._system, self._root = fsspec.core.url_to_fs(url)
            self._system.makedirs(self._root, exist_ok=True)
        except Exception as error:
            raise StudyError(f"checkpoints cannot be kept there: {type(error).__name__}: {error}") from error

    def exists(self, name: str) -> bool:
        try:
            return bool(self._system.exists(self._path(name)))
        except Exception as error:
            raise StudyError(f"the checkpoints cannot be reached: {type(error).__name__}: {error}") from error

    def read(self, name: str) -> bytes:
        try:
            content: bytes = self._system.cat_file(self._path(name))
        except FileNotFoundError:
            raise
        except Exception as error:
            raise StudyError(f"{type(error).__name__}: {error}") from error
        return content

    def write(self, name: str, write: Callable[[BinaryIO], object]) -> None:
        new = self._path(f"{_disk.RESERVED}{name}")
        with self._system.open(new, "wb") as file:
            write(file)
        self._system.mv(new, self._path(name))

    def remove(self, name: str) -> None:
        for each in (name, f"{_disk.RESERVED}{name}"):
            with suppress(Exception):  # it is gone, or out of reach, where it is in nobody's way
                self._system.rm_file(self._path(each))

    def _path(self, name: str) -> str:
        return f"{self._root}/{name}"


class _Hashed:
    """A file whose content is hashed as it is written."""

    def __init__(self, file: BinaryIO) -> None:
        self._file, self.digest = file, hashlib.sha256()

    def write(self, content: Any) -> int:
        self.digest.update(content)
        return self._file.write(content)

    def flush(self) -> None:
        self._file.flush()


def _name(number: int) -> str:
    return f"{number}.pt"
