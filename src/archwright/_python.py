"""Python interpreters of this machine that run a function, and end with the process that has started them."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from typing import Any


def start(
    module: str,
    *arguments: Any,
    files: Sequence[int] = (),
    output: int | None = None,
    environment: Mapping[str, str],
    leads: bool = False,
) -> subprocess.Popen[bytes]:
    """Start an interpreter that calls `main` of a module, which begins with `end_with_parent`.

    Args:
        module: The name of the module.
        *arguments: The arguments of `main`: numbers and texts.
        files: The descriptors that it inherits.
        output: The descriptor for what it prints; `None` for the standard output and error of this process.
        environment: Environment variables that it has besides those of this process.
        leads: Whether it leads a group of its own, out of reach of the terminal's Ctrl-C.
    """
    code = (
        "import signal, sys; signal.signal(signal.SIGINT, signal.SIG_DFL); "
        f"sys.path[:] = {sys.path!r}; from {module} import main; main(*{arguments!r})"
    )
    return subprocess.Popen(
        [sys.executable, "-c", code],
        stdin=subprocess.PIPE,  # which nothing is written to: it closes with this process
        stdout=output,
        stderr=output,
        env={**os.environ, **environment},
        pass_fds=files,
        start_new_session=leads,
    )


def end_with_parent(end: Callable[[], None]) -> None:
    """Call a function in a thread when the process that has started this one has ended; leave no standard input."""
    lifeline = os.dup(0)  # of which that process holds the other end
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)

    def wait() -> None:
        while os.read(lifeline, 1):
            pass
        end()

    threading.Thread(target=wait, daemon=True).start()


def how_it_ended(status: int) -> str:
    """Return how a process has ended, to follow its name, from its return code."""
    return f"was ended by {signal.Signals(-status).name}" if status < 0 else f"ended with status {status}"
