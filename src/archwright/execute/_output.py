"""What the processes of trials print: a file for each trial, of a bounded size.

A thread of this process reads it, and not one of the worker's: code in C that prints while it holds the interpreter's
lock would wait there for ever.
"""

from __future__ import annotations

import os
import stat
import threading
from contextlib import suppress
from multiprocessing import connection
from pathlib import Path
from typing import BinaryIO

from archwright._disk import no_follow, refuse_links
from archwright.errors import StudyError

PART = 100_000  # bytes of the beginning of what a trial prints that are kept, and as many of the end
_CHUNK = 65_536
_CHUNKS = 16  # that are read at once; a pipe holds fewer


class TrialLog:
    """A file with the first and the last part of what was written, and between them how much was left out.

    It is added to what the file holds already, is complete after each `write`, and takes no more than three parts and a
    line. It is made by the first `write`.

    Args:
        path: The file.
        heading: A line that separates it from what the file holds already.
    """

    def __init__(self, path: Path, heading: str) -> None:
        self._path, self._heading = path, heading
        self._file: BinaryIO | None = None
        self._first = PART  # bytes of the first part that are still to come
        self._last, self._left_out = bytearray(), 0

    def write(self, content: bytes) -> None:
        """Add what was printed.

        Raises:
            OSError: The file cannot be written to.
            StudyError: The file or its folder is a symbolic link.
        """
        file = self._file = self._file or self._opened()
        first, rest = content[: self._first], content[self._first :]
        file.write(first)
        self._first -= len(first)
        if rest:
            begin = file.tell() - len(self._last) - len(self._gap)
            self._last += rest
            if len(self._last) <= 2 * PART:
                file.write(rest)
            else:
                self._left_out += len(self._last) - PART
                del self._last[:-PART]
                file.seek(begin)
                file.truncate()
                file.write(self._gap + self._last)
        file.flush()

    def close(self) -> None:
        """Close the file."""
        if self._file is not None:
            self._file.close()

    @property
    def _gap(self) -> bytes:
        return f"\n... {self._left_out:,} bytes were left out ...\n".encode() if self._left_out else b""

    def _opened(self) -> BinaryIO:
        folder = self._path.parent
        refuse_links([folder, self._path])
        folder.mkdir(exist_ok=True)
        file = open(no_follow(str(self._path), os.O_RDWR | os.O_CREAT), "r+b")  # noqa: SIM115 - `close` closes it
        if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
            file.close()
            raise OSError(f"{self._path} is not a file")
        if file.seek(0, os.SEEK_END):
            file.write(f"\n{self._heading}\n".encode())
        return file


class Output:
    """The standard output and error of a process, which go to the files of the trials that it runs.

    Args:
        folder: The folder of the files, NUMBER.log.

    Attributes:
        end: The descriptor for the process, which is closed here when the process has it.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._ours, self.end = os.pipe()
        os.set_blocking(self._ours, False)
        self._turn = threading.Lock()
        self._log: TrialLog | None = None
        self._problem = ""
        self._is_over = False
        threading.Thread(target=self._follow, name="output", daemon=True).start()

    def begin(self, trial: int, attempt: int) -> None:
        """Put what is printed from now on into the file of a trial."""
        self.settle()
        with self._turn:
            self._put_away()
            self._log = TrialLog(self._folder / f"{trial}.log", f"--- attempt {attempt}")

    def settle(self) -> str:
        """Put what was printed so far into the file; return why something is missing there, once, or an empty text."""
        with self._turn:
            self._read()
            problem, self._problem = self._problem, ""
            return problem

    def close(self) -> None:
        """Put what was printed so far into the file, and nothing more."""
        self.settle()
        with self._turn:
            self._is_over = True
            self._put_away()

    # ------------------------------------------------------------------ inside

    def _follow(self) -> None:
        while connection.wait([self._ours]):
            with self._turn:
                if not self._read() or self._is_over:
                    os.close(self._ours)
                    self._ours = -1
                    return

    def _read(self) -> bool:
        """Read what there is; tell whether there may be more."""
        for _ in range(_CHUNKS):  # and no more: something may print faster than it is read
            if self._ours < 0:
                return False
            try:
                content = os.read(self._ours, _CHUNK)
            except BlockingIOError:
                return True
            if not content:
                return False
            if self._log is not None:
                try:
                    self._log.write(content)
                except (OSError, StudyError) as error:  # a full disk, say, is no reason to lose a trial
                    self._problem = str(error)
                    self._put_away()
        return True

    def _put_away(self) -> None:
        log, self._log = self._log, None
        if log is not None:
            with suppress(OSError):  # what could not be written before cannot be written now
                log.close()
