"""The folder of one network in a run folder."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from archwright import _disk
from archwright._fields import fields, text
from archwright.errors import StudyError

INDEX = "architecture.json"
"""The file that says which files belong to the network, each with its checksum."""

_EARLIER = ("architecture.json", "metrics.json", "model.py", "model.onnx", "weights.safetensors")
"""What an earlier version wrote without naming it in the index."""

_NAME = re.compile(r"\w[\w.-]*", re.ASCII)
_TRIES = 100  # readings of a folder that is replaced meanwhile


class Folder:
    """The files of one network, which are replaced together: a reader gets those of one network, or of the other.

    Files that a user has put there, and files of the network that a user has changed, are never removed: they stay
    in the folder, under another name where their own is taken.
    """

    def __init__(self, run: str | Path, name: str) -> None:
        self._run = Path(run)
        self.path = self._run / name
        self._new = self.path.with_name(f"{_disk.RESERVED}new-{self.path.name}")
        self._old = self.path.with_name(f"{_disk.RESERVED}old-{self.path.name}")

    def read(self) -> dict[str, bytes] | None:
        """Return the content of the network's files, by name; `None` where there is no network.

        Raises:
            StudyError: The folder is damaged, or holds symbolic links under names of the network's files.
        """
        for _ in range(_TRIES):
            at_first = self._identity(self.path)
            try:
                # A process that was killed between the two renames left the network under its old name.
                found = self._files(self.path) or self._files(self._old)
            except (FileNotFoundError, StudyError) as error:
                if self._identity(self.path) == at_first:
                    raise StudyError(f"{self.path} is damaged: {error}") from error
            else:
                if self._identity(self.path) == at_first:
                    return found
        raise StudyError(f"{self.path} is replaced again and again; try it once more when the search has ended")

    def write(self, index: Mapping[str, Any], files: Mapping[str, bytes]) -> None:
        """Put a network in place of the one before.

        Raises:
            StudyError: The folder, or the one that it is in, is a symbolic link or a file.
            OSError: The files cannot be written; the network before is left as it is.
        """
        self._check()
        self._settle()
        listed = {name: hashlib.sha256(content).hexdigest() for name, content in files.items()}
        try:
            self._new.mkdir(parents=True)
            for name, content in files.items():
                (self._new / name).write_bytes(content)
            (self._new / INDEX).write_bytes(as_json({**index, "files": listed}))
            if self.path.exists():
                os.rename(self.path, self._old)
            os.rename(self._new, self.path)
        except BaseException:
            shutil.rmtree(self._new, ignore_errors=True)
            raise
        self._settle()

    def clear(self) -> None:
        """Remove the network, and the folder where nothing else is in it."""
        self._check()
        self._settle()
        if self.path.exists():
            self._remove_files(self.path)
            if not any(self.path.iterdir()):
                self.path.rmdir()

    def _check(self) -> None:
        _disk.refuse_links([*self._inside(self.path), self._new, self._old])
        if os.path.lexists(self.path) and not self.path.is_dir():
            raise StudyError(f"{self.path} is a file, where the folder of a network belongs: move it away")

    def _inside(self, place: Path) -> list[Path]:
        """Return a folder of the run and those that it is in, up to the run folder."""
        return [place, *list(place.parents)[: len(place.relative_to(self._run).parts) - 1]]

    def _settle(self) -> None:
        """Tidy up what replacing a network leaves, now or in a process that was killed."""
        if os.path.lexists(self._new):
            shutil.rmtree(self._new)
        if not os.path.lexists(self._old):
            return
        if not self.path.exists():
            os.rename(self._old, self.path)
            return
        self._remove_files(self._old, rest_to=self.path)
        self._old.rmdir()

    def _remove_files(self, place: Path, rest_to: Path | None = None) -> None:
        """Remove the network's files, the index last, and move what is left to another folder."""
        listed = self._listed(place)
        for name in sorted(listed, key=lambda name: name == INDEX):
            file = place / name
            if file.is_file() and not file.is_symlink() and listed[name] in (None, _checksum(file)):
                file.unlink()
        if rest_to is not None:
            for entry in list(place.iterdir()):
                _disk.set_aside(entry, to=rest_to)

    def _listed(self, place: Path) -> dict[str, str | None]:
        """Return the names of the files that were written into a folder, with their checksums where these are known."""
        try:
            listed = _index(_disk.read(place / INDEX))
        except (FileNotFoundError, StudyError, ValueError):
            return {}  # it is not ours
        return {INDEX: None, **(dict.fromkeys(_EARLIER) if listed is None else listed)}

    def _files(self, place: Path) -> dict[str, bytes] | None:
        """Return the content of the network's files in a folder; `None` where it has no index."""
        _disk.refuse_links(self._inside(place))
        if not os.path.lexists(place / INDEX):
            return None
        content = _disk.read(place / INDEX)
        try:
            listed = _index(content)
        except ValueError as error:
            raise StudyError(f"{INDEX}: {error}") from error
        names = listed or [name for name in _EARLIER if name != INDEX and os.path.lexists(place / name)]
        return {INDEX: content, **{name: _disk.read(place / name) for name in names}}

    @staticmethod
    def _identity(place: Path) -> tuple[int, ...] | None:
        """Return what tells a folder from the one that takes its place; `None` where there is none."""
        try:
            found = place.lstat()
        except FileNotFoundError:
            return None
        return found.st_dev, found.st_ino, found.st_mtime_ns


def _index(content: bytes) -> dict[str, str] | None:
    """Return the names and the checksums of a network's files; `None` from an earlier version, which wrote none.

    Raises:
        StudyError: The content is not JSON.
        ValueError: It is no index.
    """
    index = fields(_disk.parse_json(content, INDEX), "the index", "decisions", "fingerprint")
    if "files" not in index:
        return None
    listed = fields(index["files"], "'files'")
    for name, checksum in listed.items():
        text(checksum, f"the checksum of {name!r}")
        if not _NAME.fullmatch(name):
            raise ValueError(f"'files' holds {name!r}, which is not the name of a file")
    return listed


def as_json(data: Any) -> bytes:
    """Return a JSON text for people and programs; what UTF-8 has no form for is escaped."""
    return (json.dumps(data, indent=2, ensure_ascii=False) + "\n").encode(errors="backslashreplace")


def _checksum(file: Path) -> str:
    with file.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()
