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
    from archwright.execute._cluster import Cluster
    from archwright.execute._clusters import cluster_of
    from archwright.execute._processes import Processes
    from archwright.execute._ray import Ray
    from archwright.execute._slurm import Slurm

__all__ = [
    "Checkpoints",
    "Cluster",
    "Executor",
    "InProcess",
    "Job",
    "Listen",
    "Origin",
    "Outcome",
    "Processes",
    "Ray",
    "Report",
    "Slurm",
    "Worker",
    "broken_by",
    "cluster_of",
    "conclude",
    "drive",
    "report_of",
]

__getattr__ = lazy(
    __name__,
    {
        "_cluster": ["Cluster"],
        "_clusters": ["cluster_of"],
        "_processes": ["Processes"],
        "_ray": ["Ray"],
        "_slurm": ["Slurm"],
    },
)


def __dir__() -> list[str]:
    """List the public names."""
    return __all__
