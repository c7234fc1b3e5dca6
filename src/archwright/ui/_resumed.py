"""Searches that the dashboard continues, each in a process of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from archwright import _disk
from archwright._words import last_lines, plain
from archwright.errors import StudyError

LOG = "resume.log"
_LINES, _BYTES = 5, 16_384


class Resumed:
    """A process that runs `archwright resume`. It goes on when the dashboard ends.

    Args:
        folder: The run folder.
        trials: The new budget in full evaluations; `None` for that on record.
        code: Files with the classes and functions of the space.
        store: The database of the study, if it is another one than that of the run folder.

    Raises:
        StudyError: It cannot be started, or its log is no file.
    """

    def __init__(self, folder: Path, *, trials: int | None, code: Sequence[Path], store: str | None) -> None:
        arguments = [sys.executable, "-m", "archwright", "resume", str(folder)]
        arguments += [] if trials is None else ["--trials", str(trials)]
        arguments += [part for file in code for part in ("--code", str(file))]
        env = {**os.environ, **({} if store is None else {"ARCHWRIGHT_STORE": store})}
        self._log = folder / LOG
        try:
            with open(self._log, "ab", opener=_disk.regular) as log:
                self._process = subprocess.Popen(
                    arguments, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=env, start_new_session=True
                )
        except OSError as error:
            raise StudyError(f"the search cannot be continued: {error}") from error

    @property
    def is_running(self) -> bool:
        """Whether the process runs."""
        return self._process.poll() is None

    @property
    def problem(self) -> str:
        """The end of what it printed, if it failed."""
        if self._process.poll() in (None, 0):
            return ""
        try:
            lines = last_lines(_disk.read(self._log, last=_BYTES), _LINES)
        except (OSError, StudyError):
            lines = []
        return plain(" ".join(lines)) or f"the process ended with status {self._process.returncode}"
