"""What the processes of trials print: a file for each trial, of a bounded size.

A thread of this process reads it, and not one of the worker's: code in C that prints while it holds the interpreter's
lock would wait there for ever. On another machine the agent reads it, and sends as much of it as a file holds.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from multiprocessing import connection
from pathlib import Path
from typing import BinaryIO

from archwright._disk import refuse_links, regular
from archwright.errors import StudyError

PART = 100_000  # bytes of the beginning of what a trial prints that are kept, and as many of the end
_CHUNK = 65_536
_CHUNKS = 16  # that are read at once; a pipe holds fewer
_EVERY = 10.0  # seconds between two times that an agent sends the last part


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

    def write(self, content: bytes, left_out: int = 0) -> None:
        """Add what was printed.

        Args:
            content: What was printed.
            left_out: How many bytes before it are missing, after the first part.

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
            if left_out:
                self._left_out += len(self._last) + left_out
                self._last.clear()
            self._last += rest
            if not left_out and len(self._last) <= 2 * PART:
                file.write(rest)
            else:
                self._left_out += max(0, len(self._last) - PART)
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
        file = open(regular(str(self._path), os.O_RDWR | os.O_CREAT), "r+b")  # noqa: SIM115 - `close` closes it
        if file.seek(0, os.SEEK_END):
            file.write(f"\n{self._heading}\n".encode())
        return file


class Output:
    """What a process prints, in the files of the trials that it runs.

    Args:
        folder: The folder of the files, NUMBER.log.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._turn = threading.Lock()
        self._log: TrialLog | None = None
        self._problem = ""

    def begin(self, trial: int, attempt: int) -> None:
        """Put what is printed from now on into the file of a trial."""
        with self._turn:
            self._read()
            self._put_away()
            self._log = TrialLog(self._folder / f"{trial}.log", f"--- attempt {attempt}")

    def add(self, content: bytes, left_out: int = 0) -> None:
        """Put what was printed into the file, after bytes that were left out."""
        with self._turn:
            self._add(content, left_out)

    def settle(self) -> str:
        """Put what was printed so far into the file; return why something is missing there, once, or an empty text."""
        with self._turn:
            self._read()
            problem, self._problem = self._problem, ""
            return problem

    def close(self) -> None:
        """Put what was printed so far into the file, and nothing more."""
        with self._turn:
            self._read()
            self._put_away()

    # ------------------------------------------------------------------ inside

    def _read(self) -> bool:
        """Take in what is on its way; tell whether there may be more."""
        return False

    def _add(self, content: bytes, left_out: int = 0) -> None:
        if self._log is not None:
            try:
                self._log.write(content, left_out)
            except (OSError, StudyError) as error:  # a full disk, say, is no reason to lose a trial
                self._problem = str(error)
                self._put_away()

    def _put_away(self) -> None:
        log, self._log = self._log, None
        if log is not None:
            with suppress(OSError):  # what could not be written before cannot be written now
                log.close()


class PipedOutput(Output):
    """The standard output and error of a process of this machine, in the files of the trials that it runs.

    Args:
        folder: The folder of the files, NUMBER.log.

    Attributes:
        end: The descriptor for the process, which is closed here when the process has it.
    """

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self._ours, self.end = _pipe()
        self._is_over = False
        threading.Thread(target=self._follow, name="output", daemon=True).start()

    def close(self) -> None:
        """Put what was printed so far into the file, and nothing more."""
        super().close()
        self._is_over = True

    def _follow(self) -> None:
        while connection.wait([self._ours]):
            with self._turn:
                if not self._read() or self._is_over:
                    os.close(self._ours)
                    self._ours = -1
                    return

    def _read(self) -> bool:
        if self._ours < 0:
            return False
        content, is_open = _arrived(self._ours)
        if content:
            self._add(content)
        return is_open


class Relay:
    """The standard output and error of a process, on their way to another machine.

    Of what a job prints the first part is passed on at once, and of the rest the last part: from time to time, and at
    its end. What is printed before the first job goes to the standard error of this process.

    Args:
        send: Is given how many bytes were left out, and what was printed after them.

    Attributes:
        handles: What becomes ready when something was printed.
        end: The descriptor for the process, which is closed here when the process has it.
    """

    def __init__(self, send: Callable[[int, bytes], object]) -> None:
        self._send = send
        self._ours, self.end = _pipe()
        self.handles = [self._ours]
        self._first, self._last, self._left_out = PART, bytearray(), 0
        self._has_begun = False
        self._sent = 0.0

    def read(self) -> None:
        """Take in what was printed."""
        content, is_open = _arrived(self._ours)
        if not is_open:
            self.handles = []
        if not self._has_begun:
            with suppress(OSError):
                os.write(2, content)
            return
        first, rest = content[: self._first], content[self._first :]
        if first:
            self._first -= len(first)
            self._send(0, first)
        self._last += rest
        self._left_out += max(0, len(self._last) - PART)
        del self._last[:-PART]
        if time.monotonic() >= self._sent + _EVERY:
            self._send_last()

    def finish(self) -> None:
        """Pass on what was printed so far; what follows is printed by another job."""
        self.read()
        self._send_last()
        self._first, self._has_begun = PART, True

    def close(self) -> None:
        """Read no more."""
        os.close(self._ours)

    def _send_last(self) -> None:
        self._sent = time.monotonic()
        if self._last:
            self._send(self._left_out, bytes(self._last))
            self._last, self._left_out = bytearray(), 0


def _pipe() -> tuple[int, int]:
    """Return a pipe that is read without waiting."""
    ours, theirs = os.pipe()
    os.set_blocking(ours, False)
    return ours, theirs


def _arrived(pipe: int) -> tuple[bytes, bool]:
    """Return what can be read from a pipe, and whether there may be more."""
    content = bytearray()
    for _ in range(_CHUNKS):  # and no more: something may print faster than it is read
        try:
            chunk = os.read(pipe, _CHUNK)
        except BlockingIOError:
            break
        if not chunk:
            return bytes(content), False
        content += chunk
    return bytes(content), True
