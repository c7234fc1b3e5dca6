"""An executor with worker processes on other machines.

Notable: a process runs beside an agent, which a cluster has started and which calls the search by TCP. So a job takes
the way of the jobs of this machine, and the cluster (Ray, Slurm) says only where a process runs, and for how long.
"""

from __future__ import annotations

import itertools
import math
import sys
import time
import warnings
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from multiprocessing import connection
from pathlib import Path
from typing import Any

from archwright._words import counted
from archwright.evaluate import Candidate
from archwright.execute._agent import Setting
from archwright.execute._cluster import Cluster
from archwright.execute._job import Job, Report
from archwright.execute._process import WorkerProcess
from archwright.execute._processes import _LOOK, Processes
from archwright.execute._remote import Agent, Gateway, RemoteProcess
from archwright.execute._worker import Listen, Worker

_NOTICE = 30.0  # seconds without any worker, after which that is told


@dataclass(frozen=True)
class _Waiting:
    """A job that waits for a worker."""

    job: Job
    listen: Listen
    until: float


class RemoteProcesses(Processes):
    """Executor that runs jobs in worker processes on the machines of a cluster.

    `capacity` is the number of processes that are ready. If there are none, one job may be started, which waits for the
    first. A process that dies, or is lost with its machine, is replaced, and its job ends with a report of the kind
    "died".

    Args:
        make: Returns the worker; called in each process.
        worker: A worker in this process, for the candidates.
        cluster: The cluster.
        size: The number of processes.
        environment: Environment variables of the processes.
        memory: The memory in gigabytes that a process may use; `None` for no limit.
        late: Seconds that a job may take longer than its time.
        grace: Seconds that processes have to end when they are interrupted.
        logs: The folder of the files NUMBER.log, as of `Processes`; `None` to leave it where the cluster puts it.
        until: Returns when a job stops waiting for a worker, in seconds of `time.monotonic()`.

    Raises:
        EvaluationError: `make` cannot be sent to another process.
        MissingExtra: The library of the cluster is not installed.
        StudyError: The cluster is not there.
    """

    def __init__(
        self,
        make: Callable[[], Worker],
        worker: Worker,
        cluster: Cluster,
        *,
        size: int,
        environment: Mapping[str, str],
        memory: float | None = None,
        late: float = 5.0,
        grace: float = 3.0,
        logs: Path | None = None,
        until: Callable[[], float] = lambda: math.inf,
    ) -> None:
        super().__init__(make, worker, capacity=size, memory=memory, late=late, grace=grace, logs=logs)
        self.capacity = 1
        self._patience = max(self._patience, size)
        self._size, self._until = size, until
        self._coming: dict[int, Agent] = {}  # that have not called yet
        self._starting: list[WorkerProcess] = []  # that are not ready yet
        self._waiting: deque[_Waiting] = deque()
        self._numbers = itertools.count()
        self._notice = time.monotonic() + _NOTICE
        paths = tuple(str(Path(path).absolute()) for path in sys.path)
        setting = Setting(environment, paths, is_limited=memory is not None, is_logged=logs is not None)
        self._launcher = cluster.launcher(self._payload.content(), setting)
        self._gateway = Gateway(self._launcher.host, anywhere=self._launcher.anywhere)
        try:
            self._replace()
        except BaseException:
            self.close()
            raise

    def start(self, job: Job, listen: Listen) -> None:
        """Start a job in a process that has none, or as soon as there is one."""
        while self._idle and (self._idle[-1].is_full or not self._listens(self._idle[-1])):
            self._idle.pop().kill()
        if self._idle:
            self._begin(self._idle.pop(), job, listen)
        else:
            self._waiting.append(_Waiting(job, listen, self._until()))

    def wait(self) -> tuple[Report, Candidate] | None:
        """Wait for a job to end, or for a process to be ready; call the listeners of the jobs meanwhile."""
        capacity = self.capacity
        while True:
            self._begin_waiting()
            self._replace()
            if self.capacity > capacity:
                return None
            for waiting in self._waiting:
                if time.monotonic() >= waiting.until:
                    self._waiting.remove(waiting)
                    told = Report(waiting.job.trial, "stopped", error="no worker was free before the time was over")
                    return told, self._worker.candidate(waiting.job)
            processes = [*self._busy.values()]
            handles = [self._gateway.handle, *(each.connection for each in (*processes, *self._idle, *self._starting))]
            timeout = self._timeout()
            ready = connection.wait(handles, None if timeout == math.inf else max(0.0, timeout))
            self._meet(ready)
            for process in processes:
                report = self._hear(process) if process.connection in ready else None
                if report is None and not process.is_killed:
                    report = self._look(process)
                if report is not None:
                    self._replace()
                    return report, self._candidate(process, report)

    def stop(self, trial: int, grace: float = 0.0) -> None:
        """Stop a job at its next report, or kill its process after the grace, in seconds."""
        if trial in self._busy:
            super().stop(trial, grace)
        for place, waiting in enumerate(self._waiting):
            if waiting.job.trial == trial:
                self._waiting[place] = replace(waiting, until=time.monotonic() + grace)

    def close(self) -> None:
        """End all processes; those that run a job are interrupted, and have the grace to clean up."""
        self._gateway.close()
        for agent in self._coming.values():
            agent.cancel()
        self._idle += self._starting
        self._coming, self._starting = {}, []
        super().close()
        self._launcher.close()

    # ------------------------------------------------------------------ inside

    def _begin(self, process: WorkerProcess, job: Job, listen: Listen) -> None:
        self._busy[job.trial] = process
        until = None if job.seconds is None else time.monotonic() + job.seconds
        process.begin(job, listen, until, self._late)

    def _timeout(self) -> float:
        """Return how long nothing has to be looked at."""
        now = time.monotonic()
        ends = [*(process.end for process in self._busy.values()), *(waiting.until for waiting in self._waiting)]
        if not (self._busy or self._idle):
            ends.append(self._notice)
        timeout = min(ends, default=math.inf) - now
        if self._memory < math.inf:
            timeout = min(timeout, _LOOK)
        return min(timeout, self._launcher.look) if self._coming else timeout

    def _meet(self, ready: Sequence[Any]) -> None:
        """Take in what comes from agents and processes that run no job."""
        for number, caller in self._gateway.calls():
            agent = self._coming.pop(number, None)
            if agent is None:
                caller.close()
            else:
                self._starting.append(RemoteProcess(number, caller, agent, self._logs))
        for number, agent in list(self._coming.items()):
            how = agent.over()
            if how is not None:
                del self._coming[number]
                self._count_stillborn(how)
        for process in list(self._starting):
            if process.connection in ready:
                self._hear(process)
            if process.is_ready:
                self._starting.remove(process)
                self._idle.append(process)
        for process in list(self._idle):
            if process.connection in ready and not self._listens(process):
                self._idle.remove(process)

    def _listens(self, process: WorkerProcess) -> bool:
        """Take in what a process without a job says, such as a thread that a job has left; tell whether it lives."""
        try:
            while process.has_message:
                process.receive()
        except (EOFError, OSError):
            process.kill()
        return not process.is_killed

    def _bury(self, process: WorkerProcess) -> Report | None:
        """Return the report of a job whose process has died; count one that has not become ready."""
        if process.is_ready:
            return super()._bury(process)
        self._starting.remove(process)
        self._count_stillborn(process.kill())
        return None

    def _begin_waiting(self) -> None:
        """Give jobs that wait to processes that are ready."""
        while self._waiting and self._idle:
            waiting = self._waiting.popleft()
            job = waiting.job
            if job.seconds is not None:
                job = replace(job, seconds=max(0.0, min(job.seconds, self._until() - time.monotonic())))
            self._begin(self._idle.pop(), job, waiting.listen)

    def _replace(self) -> None:
        """Replace processes that have died, and count those that are ready."""
        missing = self._size - sum(map(len, (self._coming, self._starting, self._idle, self._busy)))
        if missing > 0:
            numbers = list(itertools.islice(self._numbers, missing))
            tickets = list(map(self._gateway.ticket, numbers))
            self._coming.update(zip(numbers, self._launcher.launch(tickets, self._gateway.ring), strict=True))
        up = len(self._idle) + len(self._busy)
        self.capacity = max(1, up)
        if up:
            self._notice = time.monotonic() + _NOTICE
        elif time.monotonic() >= self._notice:
            self._notice = math.inf
            told = f"the cluster has none of {counted(self._size, 'worker')} ready yet; the search waits for the first"
            warnings.warn(told, stacklevel=2)
