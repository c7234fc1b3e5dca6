"""An executor with processes of its own.

Notable: a process that dies costs its own trial one attempt, and the others go on; it is killed with all that it has
forked; and all of them end with the process of the search, however that ends.
"""

from __future__ import annotations

import math
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from multiprocessing import connection
from pathlib import Path
from typing import Any

from archwright._payload import Payload, load
from archwright.errors import EvaluationError, StudyError
from archwright.evaluate import Candidate, Stopped
from archwright.execute._executor import Executor
from archwright.execute._job import Job, Report
from archwright.execute._outcome import report_of
from archwright.execute._output import PipedOutput
from archwright.execute._process import LocalProcess, WorkerProcess
from archwright.execute._worker import Listen, Worker

_LOOK = 0.2  # seconds between two looks at the memory of a process
_STILLBORN = 3  # processes in a row that die before they can run a job, until no other is started
_GIGABYTE = 1e9
_LATE = "it did not return when the time was over, and was ended"


class Processes(Executor):
    """Executor that runs jobs in parallel, each in a process, which is used for one job after the other.

    A process is a new Python interpreter that does not import the main program, so the program needs no guard. It
    receives `make` once; tensors and arrays are in memory that all processes share. Jobs and reports are sent as JSON.
    A progress report waits at most 50 milliseconds for its answer; a later one counts at the next report.

    A job whose process dies ends with a report of the kind "died". One that uses too much memory fails, and one that
    does not return in time is stopped; their processes are killed.

    Args:
        make: Returns the worker; called in each process.
        worker: A worker in this process, for the candidates.
        capacity: The number of processes.
        environment: Returns further environment variables of a process, given its place, from 0 to `capacity` - 1.
        memory: The memory in gigabytes that a process may use, with what it has forked, without what it shares with
            this process; `None` for no limit. Linux only.
        late: Seconds that a job may take longer than its time.
        grace: Seconds that processes have to end when they are interrupted.
        logs: The folder of the files NUMBER.log, for what each trial prints to standard output and error: the first and
            the last 100 kB. `None` to leave it where this process prints to.

    Raises:
        EvaluationError: `make` cannot be sent to another process.
        StudyError: The operating system does not support it.

    Example:
        >>> from functools import partial
        >>> from archwright.evaluate import as_evaluator
        >>> from archwright.execute import Job, Processes, Worker, drive
        >>> space = aw.Space(x=aw.integer(0, 9))
        >>> make = partial(Worker, space, as_evaluator(lambda candidate: candidate.settings["x"]))
        >>> jobs = iter([Job(n, space.fingerprint, aw.Architecture({"x": n + 4}), seed=0) for n in range(3)])
        >>> executor = Processes(make, make(), capacity=2)
        >>> sorted(report.metrics["value"] for report, candidate in drive(executor, lambda: next(jobs, None)))
        [4.0, 5.0, 6.0]
        >>> executor.close()
    """

    def __init__(
        self,
        make: Callable[[], Worker],
        worker: Worker,
        *,
        capacity: int,
        environment: Callable[[int], Mapping[str, str]] = lambda place: {},
        memory: float | None = None,
        late: float = 5.0,
        grace: float = 3.0,
        logs: Path | None = None,
    ) -> None:
        if sys.platform == "win32":
            raise StudyError("trials run in processes of their own on Linux and macOS: take workers=1")
        if memory is not None and not Path("/proc/self/smaps_rollup").exists():
            raise StudyError("the memory of a trial is limited on Linux only: leave trial_memory out")
        self.capacity = capacity
        self._worker, self._environment = worker, environment
        self._memory = math.inf if memory is None else memory * _GIGABYTE
        self._late, self._grace, self._logs = late, grace, logs
        self._idle: list[WorkerProcess] = []
        self._busy: dict[int, WorkerProcess] = {}  # by trial
        self._stillborn, self._patience = 0, _STILLBORN
        self._is_told = False  # that something printed is missing in its file
        try:
            self._payload = Payload(make)
        except Exception as error:  # an object of the user's may raise anything when it is copied
            raise EvaluationError(
                f"workers={capacity}: the evaluator or the space cannot be sent to another process: "
                f"{type(error).__name__}: {error}. Take workers=1 on this machine, or leave out what cannot be "
                "copied, such as a lock or an open file"
            ) from error

    def start(self, job: Job, listen: Listen) -> None:
        """Start a job in a process that has none."""
        self._give(job, listen, None if job.seconds is None else time.monotonic() + job.seconds)

    def wait(self) -> tuple[Report, Candidate] | None:
        """Wait for a job to end; call the listeners of the jobs meanwhile."""
        while True:
            processes = list(self._busy.values())
            timeout = min(process.end for process in processes) - time.monotonic()
            if self._memory < math.inf or not all(process.tells_of_death for process in processes):
                timeout = min(timeout, _LOOK)
            handles = [handle for process in processes for handle in process.handles]
            ready = connection.wait(handles, None if timeout == math.inf else max(0.0, timeout))
            for process in processes:
                report = self._hear(process) if process.connection in ready else None
                if report is None and not process.is_killed:
                    report = self._look(process)
                if report is not None:
                    return report, self._candidate(process, report)

    def stop(self, trial: int, grace: float = 0.0) -> None:
        """Stop a job at its next report, or kill its process after the grace, in seconds."""
        process = self._busy[trial]
        process.end = min(process.end, time.monotonic() + grace)
        process.send("stop", ("stopped", False))

    def close(self) -> None:
        """End all processes; those that run a job are interrupted, and have the grace to clean up."""
        processes = [*self._idle, *self._busy.values()]
        for process in processes:
            process.interrupt()
        end = time.monotonic() + self._grace
        for process in processes:
            process.wait(max(0.0, end - time.monotonic()))
            process.kill()
        self._idle, self._busy = [], {}
        self._payload.close()

    # ------------------------------------------------------------------ inside

    def _give(self, job: Job, listen: Listen, until: float | None) -> None:
        """Give a job to a process that has none, or to a new one."""
        while self._idle and (self._idle[-1].is_full or not self._idle[-1].is_alive):
            self._idle.pop().kill()
        if self._idle:
            process = self._idle.pop()
        else:
            places = {process.place for process in self._busy.values()}
            place = next(place for place in range(self.capacity) if place not in places)
            output = None if self._logs is None else PipedOutput(self._logs)
            process = LocalProcess(place, self._payload, self._environment(place), output)
        self._busy[job.trial] = process
        process.begin(job, listen, until, self._late)

    def _hear(self, process: WorkerProcess) -> Report | None:
        """Take in a message of a process; return the report that ends its job, if it has ended."""
        try:
            kind, *content = process.receive()
        except (EOFError, OSError):
            return self._bury(process)
        if kind == "ready":
            process.is_ready, self._stillborn = True, 0
        elif kind == "broken":
            raise EvaluationError(f"a worker process cannot run this search:\n{content[0]}")
        elif kind == "report":
            report = Report.from_json(content[0])
            if report.trial != process.job.trial:  # a thread that a job has left reports on
                return None
            known, process.is_trained, process.is_full = content[1:]
            if report.kind == "progress":  # it tells what is new
                report = replace(report, curve=(*process.curve[:known], *report.curve))
            process.curve = report.curve or process.curve
            if report.ended:
                return self._end(process, report)
            self._answer(process, report)
        return None

    def _answer(self, process: WorkerProcess, report: Report) -> None:
        stopped: Stopped | None
        try:
            stopped = process.listen(report)
        except Stopped as error:
            stopped = error
        except Exception as error:  # of a callback: it ends the trial, as it does in this process
            process.failure, stopped = error, Stopped()
        if report.kind == "progress":
            process.send("answer", None if stopped is None else (str(stopped), stopped.complete))

    def _look(self, process: WorkerProcess) -> Report | None:
        """See whether a process lives and keeps to its limits; return the report that ends its job, if it has ended."""
        now = time.monotonic()
        if not process.is_alive:  # what it had to say comes first
            return self._hear(process) if process.has_message else self._bury(process)
        if now >= process.end:
            process.kill()
            return self._end(process, process.report("stopped", _LATE))
        if self._memory < math.inf and now >= process.looked + _LOOK and process.memory() > self._memory:
            process.kill()
            used, limit = process.peak / _GIGABYTE, self._memory / _GIGABYTE
            told = f"the trial used {used:.3g} GB of memory, and its limit is {limit:g} GB: it was ended"
            return self._end(process, process.report("failed", told))
        return None

    def _bury(self, process: WorkerProcess) -> Report | None:
        """Return the report of a job whose process has died; give one that has not begun to another process."""
        how = process.kill()
        if process.is_ready:
            used = f"; it had {process.peak / _GIGABYTE:.3g} GB of memory" if process.peak else ""
            return self._end(process, process.report("died", f"the process of the trial {how}{used}"))
        self._count_stillborn(how)
        del self._busy[process.job.trial]
        self._give(process.job, process.listen, process.until)
        return None

    def _count_stillborn(self, how: str) -> None:
        """Count a process that has died before it could run a job; give up where no other has started since."""
        self._stillborn += 1
        if self._stillborn >= self._patience:
            raise StudyError(f"worker processes do not start: {self._stillborn} died in a row; the last one {how}")

    def _end(self, process: WorkerProcess, report: Report) -> Report:
        del self._busy[report.trial]
        missing = "" if process.output is None else process.output.settle()
        if missing and not self._is_told:
            self._is_told = True
            told = f"what trial {report.trial} printed is not complete in its file: {missing}"
            process.listen(Report(report.trial, "problem", error=told))
        if not process.is_killed:
            # What trials have left behind is not to be counted against the next one.
            process.is_full |= self._memory < math.inf and process.memory() > self._memory / 2
            self._idle.append(process)
        if process.failure is not None:
            return report_of(report.trial, process.failure, curve=report.curve, seconds=report.seconds)
        return report

    def _candidate(self, process: WorkerProcess, report: Report) -> Candidate:
        """Return the candidate of a job, whose network stays in its process until it is asked for."""
        job, listen = process.job, process.listen
        candidate = self._worker.candidate(job)
        candidate.curve = [dict(row) for row in report.curve]

        def network() -> Any:
            content, reason = process.network(job)
            if content is None:
                told = f"the network of trial {job.trial} could not be taken over from its process: {reason}"
                listen(Report(job.trial, "problem", error=told))
                return None
            model, candidate.preprocess = load(content)
            return model

        if process.is_trained:
            candidate.defer(network)
        return candidate
