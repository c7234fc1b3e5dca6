"""Processes for tests, forked from one that holds torch already: a Python that starts anew needs seconds for it.

`start` and `run` take what stands behind `python` on a command line and give what `subprocess` gives:

    run("-m", "archwright", "show", folder).stdout
    start("-c", "print('here', flush=True); input()").stdout.readline()

They are processes like any other: they have a number, locks and an environment of their own, and can be killed. Where
the question is what a fresh interpreter loads, use `subprocess`.
"""

from __future__ import annotations

import fcntl
import multiprocessing
import os
import runpy
import signal
import subprocess
import sys
import types
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from multiprocessing.connection import Connection
from pathlib import Path
from typing import IO

# What a search loads. The process that all are forked from must have one thread, or the forked ones hang.
FORKED = multiprocessing.get_context("forkserver")
FORKED.set_forkserver_preload(
    [
        "torch",
        "torch._dynamo",  # which an optimizer of torch loads
        "scipy.stats",
        "sklearn.datasets",
        "safetensors.torch",
        "sqlalchemy.dialects.sqlite",
        "typer",
        "archwright.study",
        "archwright.evaluate._training",
    ]
)
_ABOVE = 500  # descriptors that nobody wants


class Started:
    """A running process, with the methods of `subprocess.Popen` that tests use. Its streams hold text.

    Attributes:
        pid: The number of the process.
        stdin, stdout, stderr: Its streams.
        returncode: How it ended; minus the signal that ended it, None as long as that is not known.
    """

    def __init__(
        self, arguments: tuple[object, ...], env: Mapping[str, str], cwd: str | Path, files: Sequence[int]
    ) -> None:
        ends = [os.pipe(), os.pipe(), os.pipe()]
        theirs = [Connection(ends[0][0], writable=False), *(Connection(end[1], readable=False) for end in ends[1:])]
        theirs += [Connection(os.dup(file)) for file in files]
        self.args = list(map(str, arguments))
        ends_by_number = dict(zip((0, 1, 2, *files), theirs, strict=True))
        self._process = FORKED.Process(target=_main, args=(self.args, dict(env), str(cwd), ends_by_number))
        self._process.start()
        for end in theirs:
            end.close()
        assert self._process.pid is not None
        self.pid = self._process.pid
        self.stdin: IO[str] = os.fdopen(ends[0][1], "w")
        self.stdout: IO[str] = os.fdopen(ends[1][0])
        self.stderr: IO[str] = os.fdopen(ends[2][0])

    @property
    def returncode(self) -> int | None:
        return self._process.exitcode

    def send_signal(self, number: int) -> None:
        if self.returncode is None:
            os.kill(self.pid, number)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)

    def wait(self, timeout: float = 120) -> int:
        """Wait for the end and return the status; a process that does not end in time is killed and is an error."""
        self._process.join(timeout)
        status = self.returncode
        if status is None:
            self.kill()
            raise subprocess.TimeoutExpired(self.args, timeout)
        return status

    def communicate(self, timeout: float = 120) -> tuple[str, str]:
        """Close its input, and return what it prints until its end."""
        self.stdin.close()
        with ThreadPoolExecutor() as readers, self.stdout, self.stderr:
            read = [readers.submit(stream.read) for stream in (self.stdout, self.stderr)]
            self.wait(timeout)
            return read[0].result(), read[1].result()


def start(
    *arguments: object,
    env: Mapping[str, str] | None = None,
    cwd: str | Path | None = None,
    files: Sequence[int] = (),
) -> Started:
    """Start Python with these arguments: `-c CODE`, `-m MODULE` or a script, and what follows.

    Args:
        arguments: What stands behind `python`.
        env: What is added to the environment of this process.
        cwd: The folder it starts in.
        files: The descriptors it inherits.
    """
    return Started(arguments, {**os.environ, **(env or {})}, cwd or Path.cwd(), files)


def run(
    *arguments: object, env: Mapping[str, str] | None = None, cwd: str | Path | None = None, timeout: float = 120
) -> subprocess.CompletedProcess[str]:
    """Run Python with these arguments to its end, as `start` does."""
    process = start(*arguments, env=env, cwd=cwd)
    out, err = process.communicate(timeout)
    return subprocess.CompletedProcess(process.args, process.wait(), out, err)


ALONE = """
import pathlib, runpy, sys
absent = ("archwright", "matplotlib", "numpy", "safetensors", "scipy", "sklearn", "sqlalchemy", "rich", "typer")
sys.modules.update({name: None for name in (*absent, *sys.modules) if name.partition(".")[0] in absent})
"""
"""What makes a process one that has torch and Pillow alone: to import anything else is an error."""

SCRIPT = """
sys.argv = sys.argv[1:]
sys.path.insert(0, str(pathlib.Path(sys.argv[0]).parent))
runpy.run_path(sys.argv[0], run_name="__main__")
"""


def run_alone(program: str | Path, *arguments: object, cwd: str | Path = "/") -> subprocess.CompletedProcess[str]:
    """Run code, or a script if it is given as a path, where nothing but torch and Pillow is installed."""
    if isinstance(program, Path):
        return run("-c", ALONE + SCRIPT, program.resolve(), *arguments, cwd=cwd)
    return run("-c", ALONE + program, *arguments, cwd=cwd)


def _main(arguments: list[str], env: dict[str, str], cwd: str, files: dict[int, Connection]) -> None:
    """Be what `python ARGUMENTS` is, in a process that was forked for it."""
    moved = {number: fcntl.fcntl(file.fileno(), fcntl.F_DUPFD, _ABOVE) for number, file in files.items()}
    for file in files.values():
        file.close()
    for number, file in moved.items():
        os.dup2(file, number)
        os.close(file)
    sys.stdin = os.fdopen(0)
    os.environ.clear()
    os.environ.update(env)
    os.chdir(cwd)
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell lets what runs in the background ignore it
    first, *rest = arguments
    if first == "-c":
        code, *rest = rest
        sys.path.insert(0, "")
        sys.argv = ["-c", *rest]
        module = sys.modules["__main__"] = types.ModuleType("__main__")
        exec(compile(code, "<string>", "exec"), vars(module))
    elif first == "-m":
        name, *rest = rest
        sys.path.insert(0, "")
        sys.argv = [name, *rest]
        runpy.run_module(name, run_name="__main__", alter_sys=True)
    else:
        sys.path.insert(0, str(Path(first).resolve().parent))
        sys.argv = [first, *rest]
        runpy.run_path(first, run_name="__main__")
