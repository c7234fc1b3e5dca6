"""Checkpoints of trials."""

from __future__ import annotations

import io
import os
import shutil
import tempfile
import weakref
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from archwright import _disk
from archwright._states import parse_state
from archwright.errors import ArchwrightError


class Checkpoints:
    """Storage of the checkpoints of trials that may be continued: in the run folder, or in memory without one.

    Args:
        folder: The run folder, or `None`.

    Example:
        >>> from archwright.execute import Checkpoints
        >>> checkpoints = Checkpoints(None)
        >>> checkpoints.keep(3, {"epoch": 5, "model": {"weight": torch.ones(2)}})
        >>> checkpoints.load(3)["epoch"]
        5
    """

    def __init__(self, folder: Path | None) -> None:
        self._folder = None if folder is None else folder / "checkpoints"
        self._kept: dict[int, bytes] = {}

    def share(self) -> Path:
        """Return a folder in which other processes find the checkpoints: a temporary one, if there is no run folder."""
        if self._folder is None:
            root = Path(tempfile.mkdtemp(prefix="archwright-"))
            weakref.finalize(self, shutil.rmtree, root, ignore_errors=True)
            self._folder = root / "checkpoints"
            self._folder.mkdir()
            for number, content in self._kept.items():
                _disk.write(self._file(number), content)
            self._kept = {}
        return self._folder.parent

    def is_taken(self, number: int) -> bool:
        """Tell whether a file with the name of a trial's checkpoint exists."""
        return self._folder is not None and os.path.lexists(self._file(number))

    def holds(self, number: int) -> bool:
        """Tell whether there is a checkpoint of a trial."""
        return number in self._kept or self.is_taken(number)

    def keep(self, number: int, state: Mapping[str, Any]) -> None:
        """Save a copy of a trial's state atomically."""
        import torch

        if self._folder is None:
            buffer = io.BytesIO()
            torch.save(dict(state), buffer)
            self._kept[number] = buffer.getvalue()
            return
        _disk.refuse_links([self._folder])
        self._folder.mkdir(exist_ok=True)
        _disk.write(self._file(number), lambda file: torch.save(dict(state), file))

    def load(self, number: int) -> dict[str, Any]:
        """Return the state of a trial.

        Raises:
            LookupError: The checkpoint is missing or damaged; the message says which.
        """
        try:
            return parse_state(self._kept[number] if self._folder is None else self._read(self._folder, number))
        except (FileNotFoundError, KeyError):
            raise LookupError("is gone") from None
        except ArchwrightError as error:
            raise LookupError(f"cannot be read ({error})") from error
        except ValueError as error:
            raise LookupError(str(error)) from error

    def drop(self, numbers: Collection[int]) -> None:
        """Remove the checkpoints of trials."""
        for number in numbers:
            self._kept.pop(number, None)
            if self._folder is not None and _disk.is_folder(self._folder):
                _disk.remove(self._file(number))

    def _read(self, folder: Path, number: int) -> bytes:
        _disk.refuse_links([folder])
        return _disk.read(self._file(number))

    def _file(self, number: int) -> Path:
        assert self._folder is not None
        return self._folder / f"{number}.pt"
