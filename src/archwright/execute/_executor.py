"""Executors of jobs, and the loop that feeds them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable, Iterator

from archwright.evaluate import Candidate
from archwright.execute._job import Job, Report
from archwright.execute._worker import Listen, Worker


class Executor(ABC):
    """Base class of executors, which run jobs.

    Attributes:
        capacity: Number of jobs that run in parallel; it may change during `wait`.

    Example:
        >>> from archwright.execute import Executor, InProcess
        >>> issubclass(InProcess, Executor), InProcess.capacity
        (True, 1)
    """

    capacity: int = 1

    @abstractmethod
    def start(self, job: Job, listen: Listen) -> None:
        """Start a job.

        Args:
            job: The job.
            listen: Called with intermediate reports; if it returns a reason to stop, the job is stopped.
        """

    @abstractmethod
    def wait(self) -> tuple[Report, Candidate] | None:
        """Wait for the next running job to end; return its final report and its candidate.

        The listeners of all running jobs are called meanwhile. The candidate's network is available until the next job
        is started.

        Returns:
            The report and the candidate; `None` if no job has ended and more can be started, since there is more
            capacity.
        """

    def stop(self, trial: int, grace: float = 0.0) -> None:  # noqa: B027 - a job that runs inside `wait` cannot be
        """Stop a running job; `wait` returns its report.

        Args:
            trial: The number of its trial.
            grace: Seconds that it has to end by itself.
        """

    def close(self) -> None:  # noqa: B027 - most hold nothing
        """End the running jobs, without reports, and release what the executor holds."""


class InProcess(Executor):
    """Executor that runs one job at a time in this process.

    Args:
        worker: The worker.

    Example:
        >>> from archwright.evaluate import as_evaluator
        >>> from archwright.execute import InProcess, Job, Worker
        >>> space = aw.Space(x=aw.integer(0, 9))
        >>> executor = InProcess(Worker(space, as_evaluator(lambda candidate: candidate.settings["x"])))
        >>> executor.start(Job(0, space.fingerprint, aw.Architecture({"x": 4}), seed=0), lambda report: None)
        >>> executor.wait()[0].metrics
        {'value': 4.0}
    """

    def __init__(self, worker: Worker) -> None:
        self._worker = worker
        self._started: deque[tuple[Job, Listen]] = deque()

    def start(self, job: Job, listen: Listen) -> None:
        """Queue a job, which is run by `wait`."""
        self._started.append((job, listen))

    def wait(self) -> tuple[Report, Candidate]:
        """Run the first job of the queue."""
        return self._worker.run(*self._started.popleft())


def drive(
    executor: Executor,
    next_job: Callable[[], Job | None],
    listen: Listen = lambda report: None,
    meanwhile: Callable[[], None] = lambda: None,
) -> Iterator[tuple[Report, Candidate]]:
    """Run jobs until there are no more, and yield the final report and the candidate of each.

    This is the loop of all searches: of a study, a comparison on a simulated clock, and a nested search.

    Args:
        executor: The executor.
        next_job: Returns the next job, or `None` if there is none now; it is called again when a job has ended.
        listen: Called with intermediate reports.
        meanwhile: Called before each wait, while jobs run.

    Example:
        >>> from archwright.evaluate import as_evaluator
        >>> from archwright.execute import InProcess, Job, Worker, drive
        >>> space = aw.Space(x=aw.integer(0, 9))
        >>> worker = Worker(space, as_evaluator(lambda candidate: candidate.settings["x"]))
        >>> jobs = iter([Job(n, space.fingerprint, aw.Architecture({"x": n + 4}), seed=0) for n in range(2)])
        >>> [report.metrics["value"] for report, candidate in drive(InProcess(worker), lambda: next(jobs, None))]
        [4.0, 5.0]
    """
    running = 0
    while True:
        while running < executor.capacity and (job := next_job()) is not None:
            executor.start(job, listen)
            running += 1
        if not running:
            return
        meanwhile()
        ended = executor.wait()
        if ended is not None:
            running -= 1
            yield ended
