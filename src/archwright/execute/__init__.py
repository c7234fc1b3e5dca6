"""Evaluations as data: jobs, reports, and executors."""

from archwright.execute._checkpoints import Checkpoints
from archwright.execute._executor import Executor, InProcess, drive
from archwright.execute._job import Job, Origin, Report
from archwright.execute._outcome import Outcome, broken_by, conclude, report_of
from archwright.execute._worker import Listen, Worker

__all__ = [
    "Checkpoints",
    "Executor",
    "InProcess",
    "Job",
    "Listen",
    "Origin",
    "Outcome",
    "Report",
    "Worker",
    "broken_by",
    "conclude",
    "drive",
    "report_of",
]
