"""Where jobs run, and the loop that keeps them running."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable, Iterator

from archwright.evaluate import Candidate
from archwright.execute._job import Job, Report
from archwright.execute._worker import Listen, Worker

__all__ = ["Executor", "InProcess", "drive"]


class Executor(ABC):
    """Runs jobs.

    Attributes:
        capacity: How many run at one time.
    """

    capacity: int = 1

    @abstractmethod
    def start(self, job: Job, listen: Listen) -> None:
        """Begin a job.

        Args:
            job: The job.
            listen: Is told what it reports on the way; where it says why the job is to end, the job is stopped.
        """

    @abstractmethod
    def wait(self) -> tuple[Report, Candidate]:
        """Return how the next job has ended, and its candidate; there is one that runs."""


class InProcess(Executor):
    """Runs one job at a time in this process.

    Args:
        worker: What evaluates.
    """

    def __init__(self, worker: Worker) -> None:
        self._worker = worker
        self._started: deque[tuple[Job, Listen]] = deque()

    def start(self, job: Job, listen: Listen) -> None:
        """Take a job; it is run when it is waited for."""
        self._started.append((job, listen))

    def wait(self) -> tuple[Report, Candidate]:
        """Run the job that was started first."""
        return self._worker.run(*self._started.popleft())


def drive(
    executor: Executor, next_job: Callable[[], Job | None], listen: Listen = lambda report: None
) -> Iterator[tuple[Report, Candidate]]:
    """Keep an executor busy, and yield how each job has ended, with its candidate.

    It is the one loop of a search: a study's, that of a comparison on a simulated clock, and a nested one.

    Args:
        executor: Where jobs run.
        next_job: Returns the next job; `None` where there is none now. It is asked again when a job has ended.
        listen: Is told what jobs report on the way.
    """
    running = 0
    while True:
        while running < executor.capacity and (job := next_job()) is not None:
            executor.start(job, listen)
            running += 1
        if not running:
            return
        ended = executor.wait()
        running -= 1
        yield ended
