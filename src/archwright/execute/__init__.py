"""Evaluations as data: jobs, reports, and executors."""

from __future__ import annotations

from typing import TYPE_CHECKING

from archwright._lazy import lazy
from archwright.execute._checkpoints import Checkpoints
from archwright.execute._executor import Executor, InProcess, drive
from archwright.execute._job import Job, Origin, Report
from archwright.execute._outcome import Outcome, broken_by, conclude, report_of
from archwright.execute._worker import Listen, Worker

if TYPE_CHECKING:
    from archwright.execute._processes import Processes

__all__ = [
    "Checkpoints",
    "Executor",
    "InProcess",
    "Job",
    "Listen",
    "Origin",
    "Outcome",
    "Processes",
    "Report",
    "Worker",
    "broken_by",
    "conclude",
    "drive",
    "report_of",
]

__getattr__ = lazy(__name__, {"_processes": ["Processes"]})


def __dir__() -> list[str]:
    """List the public names."""
    return __all__
