"""What trials leave for those that go on from them."""

from __future__ import annotations

import os
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

__all__ = ["Checkpoints"]


class Checkpoints:
    """Keeps the states of trials that may go on: in files of the run folder, or in memory where there is none.

    Args:
        folder: The run folder.
    """

    def __init__(self, folder: Path | None) -> None:
        self._folder = None if folder is None else folder / "checkpoints"
        self._kept: dict[int, bytes] = {}

    def keep(self, number: int, state: Mapping[str, Any]) -> None:
        """Keep a copy of a trial's state, at once and as a whole."""
        import io

        import torch

        if self._folder is None:
            buffer = io.BytesIO()
            torch.save(dict(state), buffer)
            self._kept[number] = buffer.getvalue()
            return
        self._folder.mkdir(exist_ok=True)
        new = self._file(number).with_suffix(".new")
        torch.save(dict(state), new)
        os.replace(new, self._file(number))

    def load(self, number: int) -> dict[str, Any]:
        """Return a trial's state.

        Raises:
            LookupError: It is not there, or it is damaged; the message says which.
        """
        import io

        import torch

        try:
            source = io.BytesIO(self._kept[number]) if self._folder is None else self._file(number)
            state: dict[str, Any] = torch.load(source, weights_only=True, map_location="cpu")
        except (FileNotFoundError, KeyError):
            raise LookupError("is gone") from None
        except Exception as error:  # whatever a damaged file makes torch raise
            raise LookupError(f"cannot be read ({type(error).__name__})") from error
        if not isinstance(state, dict):
            raise LookupError(f"cannot be read (it is a {type(state).__name__})")
        return state

    def numbers(self) -> list[int]:
        """Return the trials whose state is kept."""
        if self._folder is None:
            return sorted(self._kept)
        return sorted(int(file.stem) for file in self._folder.glob("*.pt") if file.stem.isdecimal())

    def drop_all_but(self, wanted: Collection[int]) -> None:
        """Remove the states of all other trials."""
        for number in self.numbers():
            if number not in wanted:
                self._kept.pop(number, None)
                if self._folder is not None:
                    self._file(number).unlink(missing_ok=True)

    def _file(self, number: int) -> Path:
        assert self._folder is not None
        return self._folder / f"{number}.pt"
