"""An executor on a simulated clock."""

from __future__ import annotations

import heapq
from collections.abc import Callable

from archwright.evaluate import Candidate
from archwright.execute import Executor, Job, Listen, Report, Worker


class Simulated(Executor):
    """Evaluates a job at once, and ends it when the clock has come to its time: several run side by side.

    Args:
        worker: What evaluates.
        capacity: How many run at one time.
        seconds: Returns how long a job takes on the clock, given its report.

    Attributes:
        now: The time on the clock, in seconds from the start.
    """

    def __init__(self, worker: Worker, capacity: int, seconds: Callable[[Job, Report], float]) -> None:
        self.capacity = capacity
        self.now = 0.0
        self._worker, self._seconds = worker, seconds
        self._running: list[tuple[float, int, Report, Candidate]] = []

    def start(self, job: Job, listen: Listen) -> None:
        """Evaluate a job now; what it reports is told now, too."""
        report, candidate = self._worker.run(job, listen)
        heapq.heappush(self._running, (self.now + self._seconds(job, report), job.trial, report, candidate))

    def wait(self) -> tuple[Report, Candidate]:
        """Move the clock to the end of the job that ends first."""
        self.now, _, report, candidate = heapq.heappop(self._running)
        return report, candidate
