"""Requests of other processes to end a search: a file in the run folder."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from archwright import _disk
from archwright.errors import StudyError

if TYPE_CHECKING:
    from typing import Self

REQUEST = "study.stop.json"
_MARK = '"request": "stop"'
_EVERY = 1.0  # seconds between looks


def request_stop(folder: Path, holder: Mapping[str, Any]) -> None:
    """Ask the process that holds the lock of a run folder to end its search.

    Args:
        folder: The run folder.
        holder: What the process has written down about itself; another one takes no notice of the request.

    Raises:
        StudyError: There is another file in the place of the request.
    """
    _disk.write_own(folder / REQUEST, f"{{{_MARK}, {json.dumps({'holder': dict(holder)})[1:]}\n", _MARK)


class StopRequests:
    """Looks for a request while a search runs. A file reaches a process wherever and however it was started.

    A signal would not: the number of a process that has died may be another's by now, and a shell lets what runs in the
    background ignore Ctrl-C.

    Args:
        folder: The run folder; `None` for none, where nobody can ask.
        holder: What this process has written down about itself in the lock of the folder.
        end: Is called in another thread, with the event that says that the search is over; tells whether the search
            ends. If not, it is called again.
    """

    def __init__(
        self, folder: Path | None, holder: Mapping[str, Any] | None, end: Callable[[threading.Event], bool]
    ) -> None:
        self._file = None if folder is None else folder / REQUEST
        self._holder = holder
        self._end = end
        self._is_over = threading.Event()
        self._thread = threading.Thread(target=self._look, name="archwright-stop", daemon=True)

    def __enter__(self) -> Self:
        """Begin to look."""
        if self._file is not None:
            self._thread.start()
        return self

    def __exit__(self, *exception: object) -> None:
        """Look no more."""
        self._is_over.set()
        if self._thread.ident is not None:
            self._thread.join()

    def _look(self) -> None:
        while not self._is_over.wait(_EVERY):
            if self._is_asked() and self._end(self._is_over):
                assert self._file is not None
                self._file.unlink(missing_ok=True)
                return

    def _is_asked(self) -> bool:
        assert self._file is not None
        try:
            said = json.loads(_disk.read(self._file))
            return bool(said["request"] == "stop" and said["holder"] == self._holder)
        except (OSError, ValueError, KeyError, TypeError, RecursionError, StudyError):  # none, or none of ours
            return False
