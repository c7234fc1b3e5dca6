"""Mutual exclusion of processes that measure on one machine."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from archwright.errors import CostError

_LONGEST = 600.0  # seconds to wait: a measurement takes a few


@contextmanager
def turn() -> Iterator[None]:
    """Wait until no other process of the same user measures on this machine, and have the others wait meanwhile."""
    from filelock import FileLock, Timeout  # needed only where something is measured

    user = os.getuid() if hasattr(os, "getuid") else ""
    folder = Path(tempfile.gettempdir()) / f"archwright-{user}"
    lock = FileLock(folder / "measuring.lock", timeout=_LONGEST)
    try:
        folder.mkdir(mode=0o700, exist_ok=True)
        if user != "" and (folder.is_symlink() or folder.stat().st_uid != user):
            raise CostError(f"{folder} belongs to somebody else: remove it, or set TMPDIR to a folder of your own")
        lock.acquire()
    except Timeout:
        raise CostError(
            f"another process has been measuring for {_LONGEST:.0f} seconds: end it, or measure when it is done"
        ) from None
    except OSError as error:
        raise CostError(f"{folder}, where processes that measure take turns, cannot be used: {error}") from error
    try:
        yield
    finally:
        lock.release()
