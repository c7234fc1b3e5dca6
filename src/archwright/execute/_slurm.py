"""Trials in jobs of Slurm."""

from __future__ import annotations

import os
import socket
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from archwright._checks import check_counts
from archwright.errors import StudyError, require
from archwright.execute._agent import Setting, Ticket, serve
from archwright.execute._cluster import CLUSTERS, Cluster, Launcher, check_text
from archwright.execute._remote import Agent
from archwright.trials import last_line

_LOOK = 10.0  # seconds between two looks at a job


@CLUSTERS.register("slurm")
@dataclass(frozen=True)
class Slurm(Cluster):
    """Settings of trials in jobs of Slurm, which submitit submits as one array: a worker is a job.

    A job that ends, also because its time is over, is replaced by another. All machines need archwright with the same
    versions as this one, and reach this one by TCP.

    Args:
        folder: The folder for scripts and logs of the jobs, in a folder of its own for each search; on storage that
            all machines share.
        cpus: The CPUs of a trial; it uses as many threads.
        gpus: The GPUs of a trial.
        minutes: The time limit of a job.
        options: Further parameters of submitit, such as `{"slurm_partition": "gpu", "mem_gb": 16}`.
        host: The name or address by which the machines reach this one; by default its name.
        cluster: The executor of submitit, "slurm"; or "local" for processes of this machine, to try it out.
        checkpoints: The URL of a folder for the checkpoints that trials leave for others, such as "s3://bucket/run";
            `None` for the run folder, which is then on storage that all machines share.

    Example:
        >>> from archwright.execute import Slurm
        >>> Slurm(cpus=4, gpus=1, options={"slurm_partition": "gpu"}).threads
        4
    """

    folder: str = "slurm"
    cpus: int = 1
    gpus: int = 0
    minutes: int = 60
    options: Mapping[str, Any] = field(default_factory=dict)
    host: str | None = None
    cluster: str = "slurm"
    checkpoints: str | None = None

    def __post_init__(self) -> None:
        check_counts(self, "cpus", "minutes")
        check_counts(self, "gpus", least=0)
        check_text(self, "checkpoints", "s3://bucket/run")
        object.__setattr__(self, "folder", os.fspath(self.folder))

    def launcher(self, content: bytes, setting: Setting) -> Launcher:
        """Return what submits jobs."""
        return _Launcher(self, content, setting)

    def room(self) -> int:
        """Refuse to count: a queue takes any number."""
        raise StudyError('with the executor "slurm", workers is the number of jobs, not "auto"')

    @property
    def threads(self) -> int:
        """The number of threads of a trial."""
        return self.cpus


def _run(ticket: Ticket, content: str, setting: Setting) -> None:
    """Be the program of a job."""
    serve(ticket, Path(content).read_bytes, setting)


class _Launcher(Launcher):
    look = _LOOK

    def __init__(self, settings: Slurm, content: bytes, setting: Setting) -> None:
        submitit = require("submitit", extra="slurm", purpose="the executor 'slurm'")
        self._setting = setting
        self.host, self.anywhere = settings.host or socket.gethostname(), settings.host is None
        folder = Path(settings.folder).absolute()
        folder.mkdir(parents=True, exist_ok=True)
        # Nobody else can read it: it holds the key, and code that the jobs run.
        own = Path(tempfile.mkdtemp(prefix=time.strftime("%Y%m%d-%H%M%S-"), dir=folder))
        self._content = own / "content"
        self._content.write_bytes(content)
        try:
            self._executor = submitit.AutoExecutor(own, cluster=settings.cluster)
            self._executor.update_parameters(
                name="archwright",
                timeout_min=settings.minutes,
                cpus_per_task=settings.cpus,
                gpus_per_node=settings.gpus or None,
                **settings.options,
            )
        except Exception as error:  # submitit raises what it likes for what it does not know
            raise StudyError(f"slurm: submitit does not take these settings: {error}") from error

    def launch(self, tickets: Sequence[Ticket], ring: Callable[[], None]) -> list[Agent]:
        """Submit an array of jobs, one for each ticket."""
        try:
            jobs = self._executor.map_array(
                _run, tickets, [str(self._content)] * len(tickets), [self._setting] * len(tickets)
            )
        except (OSError, RuntimeError) as error:
            raise StudyError(f"slurm: the jobs cannot be submitted: {error}") from error
        return [_Job(job) for job in jobs]

    def close(self) -> None:
        """Remove what the jobs have read."""
        self._content.unlink(missing_ok=True)


class _Job:
    """A job that runs an agent."""

    def __init__(self, job: Any) -> None:
        self._job = job
        self._looked = time.monotonic()
        self._over: str | None = None

    def over(self) -> str | None:
        """Return how it has ended, as far as it was looked at."""
        if self._over is None and time.monotonic() >= self._looked + _LOOK:
            self._looked = time.monotonic()
            if self._job.done():
                said = last_line(self._job.stderr() or "")
                self._over = f"has ended as a job with the state {self._job.state}" + (f": {said}" if said else "")
        return self._over

    def cancel(self) -> None:
        """Cancel it."""
        self._job.cancel(check=False)
