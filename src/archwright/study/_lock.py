"""The lock file of a run folder."""

from __future__ import annotations

import json
import os
import socket
from datetime import datetime
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from archwright import _disk
from archwright.errors import StoreError, StudyError, StudyLocked


class Lock:
    """The right to write to a run folder; the death of the process gives it back."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._lock = FileLock(folder / "study.lock")
        self._holder = folder / "study.lock.json"
        self.mine: dict[str, Any] | None = None  # what this process has written down about itself

    def acquire(self) -> None:
        """Take the lock and write down who holds it."""
        since = datetime.now().astimezone().isoformat(timespec="seconds")
        holder = {"pid": os.getpid(), "host": socket.gethostname(), "since": since}
        try:
            self._lock.acquire(blocking=False)
            _disk.write(self._holder, json.dumps(holder).encode() + b"\n")
            self.mine = holder
        except Timeout:
            raise StudyLocked(
                f"{self._folder} is being written to by {self._who()}. Wait until it ends, or stop it; "
                "`archwright show` and `archwright.load` can read it meanwhile."
            ) from None
        except OSError as error:
            self._lock.release()
            raise StoreError(f"{self._folder} cannot be written to: {error}") from error

    def release(self) -> None:
        """Give the lock back; nothing happens when it is not held."""
        if self._lock.is_locked:
            self._holder.unlink(missing_ok=True)
            self._lock.release()

    def holder(self) -> dict[str, Any] | None:
        """Return what the holder has written down about itself: "pid", "host" and "since"; `None` without one."""
        try:
            holder = json.loads(_disk.read(self._holder))
            return {name: holder[name] for name in ("pid", "host", "since")}
        except (OSError, ValueError, KeyError, TypeError, RecursionError, StudyError):
            return None

    def is_held(self) -> bool:
        """Return whether a process holds the lock: one of another machine does until it says otherwise."""
        try:
            holder = json.loads(_disk.read(self._holder))
            if holder["host"] == socket.gethostname():
                os.kill(int(holder["pid"]), 0)
        except (OSError, ValueError, KeyError, TypeError, RecursionError, StudyError) as error:
            return isinstance(error, PermissionError)  # somebody else's process
        return True

    def _who(self) -> str:
        holder = self.holder()
        if holder is None:
            return "another process"  # it has only just taken the lock
        return f"process {holder['pid']} on {holder['host']} (since {holder['since']})"
