"""A worker process, as the process of the search sees it: what it runs, and one of this machine."""

from __future__ import annotations

import math
import os
import signal
import subprocess
import time
from abc import ABC, abstractmethod
from collections.abc import Mapping
from contextlib import suppress
from multiprocessing import Pipe, connection
from pathlib import Path
from typing import Any

from archwright._payload import Payload
from archwright._python import how_it_ended, start
from archwright.execute._job import Curve, Job, Kind, Report
from archwright.execute._output import Output, PipedOutput, Relay
from archwright.execute._worker import Listen

_LOOK = 0.2  # seconds between two looks at its life, where the system does not tell of its death


class WorkerProcess(ABC):
    """A process that runs one job after the other.

    Args:
        place: Its place in the pool.
        connection: What it is told by, and tells by.

    Attributes:
        handles: What becomes ready when it has something to say, and what when it has died.
        output: The files of what it prints; `None` if that is not for this process to know.
        job: The job that it runs or ran last.
        listen: Called with the reports of the job.
        until: When the time of the job is over, in seconds of `time.monotonic()`; `None` for no limit.
        end: When it is killed if it still runs the job.
        curve: What the job has reported.
        failure: What the listener has raised.
        is_ready: Whether it has made its worker.
        is_trained: Whether it has a network of the job.
        is_full: Whether it is not to be used again, because of what jobs have left behind.
        is_killed: Whether it was killed, or found dead.
        peak: The most memory of the job so far, in bytes, as far as it was looked at.
        looked: When it was looked at last.
        has_same_clock: Whether its `time.monotonic()` is that of this process.
        tells_of_death: Whether one of `handles` becomes ready when it dies, whatever it has forked.
    """

    job: Job
    listen: Listen
    until: float | None
    has_same_clock: bool = True
    tells_of_death: bool = True

    def __init__(self, place: int, connection: Any) -> None:
        self.place, self.connection = place, connection
        self.handles: list[Any] = [connection]
        self.is_ready = self.is_trained = self.is_full = self.is_killed = False
        self.end, self.peak, self.looked, self._began = math.inf, 0, 0.0, 0.0
        self.curve: Curve = ()
        self.failure: Exception | None = None
        self.output: Output | None = None

    # ------------------------------------------------------------------ its job

    def begin(self, job: Job, listen: Listen, until: float | None, late: float) -> None:
        """Give it a job, and so many seconds more than the job's time until it is killed."""
        self.job, self.listen, self.until = job, listen, until
        self.end = math.inf if until is None else until + late
        self.curve, self.failure, self.peak, self.is_trained = (), None, 0, False
        self._began = time.monotonic()
        if self.output is not None:
            self.output.begin(job.trial, job.attempt)
        self.send("job", job.to_json(), until if self.has_same_clock else None)

    def report(self, kind: Kind, error: str) -> Report:
        """Return a report that ends its job without its doing."""
        seconds = time.monotonic() - self._began
        cause = "" if kind == "stopped" else error
        return Report(self.job.trial, kind, curve=self.curve, seconds=seconds, error=error, cause=cause)

    def send(self, *message: Any) -> None:
        """Send it a message; that it is dead is noticed elsewhere."""
        with suppress(OSError):
            self.connection.send(message)

    def receive(self) -> Any:
        """Return the next message.

        Raises:
            EOFError: It cannot send any more; or an OSError.
        """
        return self.connection.recv()

    @property
    def has_message(self) -> bool:
        """Whether it has sent something, or cannot send any more."""
        try:
            return bool(self.connection.poll(0))
        except OSError:
            return True

    def network(self, job: Job) -> tuple[bytes | None, str]:
        """Return the stored network of a job, with its preprocessing; or `None`, and the reason."""
        if self.is_killed or job is not self.job:
            return None, "the process has another trial by now"
        self.send("network")
        with suppress(EOFError, OSError):
            while self.has_message or self.is_alive:
                if self.has_message:
                    kind, *content = self.receive()
                    if kind == "network":  # and not a late report of a thread that the job has left
                        return content[0], content[1]
                connection.wait(self.handles, _LOOK)
        return None, "the process has died"

    # ------------------------------------------------------------------ its life

    @property
    @abstractmethod
    def is_alive(self) -> bool:
        """Whether it has not ended."""

    @abstractmethod
    def memory(self) -> int:
        """Return the bytes that it uses with all that it has forked, without what it shares with the search."""

    @abstractmethod
    def interrupt(self) -> None:
        """Do to it what Ctrl-C does."""

    @abstractmethod
    def wait(self, seconds: float) -> None:
        """Wait for its end, but no longer than some seconds."""

    @abstractmethod
    def kill(self) -> str:
        """End it with all that it has forked; return how it has ended, to follow its name."""


class LocalProcess(WorkerProcess):
    """A worker process of this machine. It leads a group: what it forks is killed with it.

    Args:
        place: Its place in the pool.
        payload: The function that makes its worker.
        environment: Environment variables that it has besides those of this process.
        output: What it prints to; `None` for the standard output and error of this process.
    """

    def __init__(
        self,
        place: int,
        payload: Payload,
        environment: Mapping[str, str],
        output: PipedOutput | Relay | None = None,
    ) -> None:
        ours, theirs = Pipe()
        super().__init__(place, ours)
        self.output = output if isinstance(output, Output) else None
        printed = None if output is None else output.end
        try:
            self._process = start(
                "archwright.execute._child",
                theirs.fileno(),
                payload.path,
                files=(theirs.fileno(), *payload.descriptors),
                output=printed,
                environment=environment,
                leads=True,
            )
        finally:
            theirs.close()
            if printed is not None:
                os.close(printed)
        self._death = os.pidfd_open(self._process.pid) if hasattr(os, "pidfd_open") else None
        if self._death is not None:
            self.handles.append(self._death)
        self.tells_of_death = self._death is not None

    @property
    def is_alive(self) -> bool:
        """Whether it has not ended."""
        if self.is_killed:
            return False
        if self._death is not None:
            return not connection.wait([self._death], 0)
        return self._process.poll() is None

    def memory(self) -> int:
        """Return the bytes that it uses with all that it has forked, without what it shares with the search."""
        used = _memory(self._process.pid)
        self.peak, self.looked = max(self.peak, used), time.monotonic()
        return used

    def interrupt(self) -> None:
        """Do to it what Ctrl-C does."""
        if not self.is_killed:
            with suppress(ProcessLookupError):
                os.kill(self._process.pid, signal.SIGINT)

    def wait(self, seconds: float) -> None:
        """Wait for its end, but no longer than some seconds."""
        if not self.is_killed and self._death is not None:
            connection.wait([self._death], seconds)
        elif not self.is_killed:
            with suppress(subprocess.TimeoutExpired):
                self._process.wait(seconds)

    def kill(self) -> str:
        """End it with all that it has forked; return how it has ended, to follow its name."""
        if not self.is_killed:
            self.is_killed = True
            # Before it is waited for: until then no other process can have its number.
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
            self.connection.close()
            assert self._process.stdin is not None
            self._process.stdin.close()
            if self._death is not None:
                os.close(self._death)
            if self.output is not None:
                self.output.close()
        return how_it_ended(self._process.returncode)


def _memory(process: int) -> int:
    """Return the bytes that a process and its children have for themselves; of what several share, each has a part."""
    used = 0
    with suppress(OSError):  # it has ended
        for line in Path(f"/proc/{process}/smaps_rollup").read_text().splitlines():
            if line.startswith(("Pss_Anon:", "Pss_Shmem:", "SwapPss:")):
                used += 1024 * int(line.split()[1])
        for thread in os.listdir(f"/proc/{process}/task"):
            children = Path(f"/proc/{process}/task/{thread}/children").read_text().split()
            used += sum(map(_memory, map(int, children)))
    return used
