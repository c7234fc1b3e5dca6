"""Clusters, on whose machines trials run."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import ClassVar

from archwright._registry import Classes
from archwright.errors import StudyError
from archwright.execute._agent import Setting, Ticket
from archwright.execute._executor import Executor
from archwright.execute._remote import Agent
from archwright.execute._worker import Worker


class Launcher(ABC):
    """Starts agents on the machines of a cluster.

    Attributes:
        host: The name or address by which these machines reach this one.
        anywhere: Whether to listen at all addresses of this machine, instead of this one alone.
        look: Seconds between two looks at agents that have not called yet; infinite if it rings when one has ended.
    """

    host: str
    anywhere: bool = False
    look: float = math.inf

    @abstractmethod
    def launch(self, tickets: Sequence[Ticket], ring: Callable[[], None]) -> list[Agent]:
        """Start an agent for each ticket, as soon as the cluster has room for it.

        Args:
            tickets: The tickets.
            ring: To be called when an agent has ended.
        """

    @abstractmethod
    def close(self) -> None:
        """Release what it holds; the agents have ended."""


class Cluster(ABC):
    """Base class of clusters: the settings with which trials run there. They are frozen dataclasses.

    Attributes:
        checkpoints: Where trials leave checkpoints for others: the URL of a folder, of any kind that fsspec knows;
            `None` for the run folder, which is then on storage that all machines share.

    Example:
        >>> from archwright.execute import Cluster, Ray, cluster_of
        >>> issubclass(Ray, Cluster), cluster_of("ray", cpus=2).threads
        (True, 2)
    """

    checkpoints: str | None = None
    registered_as: ClassVar[str]
    settings_error: ClassVar[type[StudyError]] = StudyError

    @abstractmethod
    def launcher(self, content: bytes, setting: Setting) -> Launcher:
        """Return what starts agents.

        Args:
            content: The content of the payload.
            setting: What their processes have in common.

        Raises:
            MissingExtra: The library of the cluster is not installed.
            StudyError: The cluster cannot be used.
        """

    @abstractmethod
    def room(self) -> int:
        """Return for how many trials at a time the cluster has room.

        Raises:
            MissingExtra: The library of the cluster is not installed.
            StudyError: The cluster cannot be used, or does not say.
        """

    @property
    @abstractmethod
    def threads(self) -> int:
        """The number of threads of a trial."""

    def executor(
        self,
        make: Callable[[], Worker],
        worker: Worker,
        *,
        size: int,
        environment: Mapping[str, str],
        memory: float | None = None,
        late: float = 5.0,
        logs: Path | None = None,
        until: Callable[[], float] = lambda: math.inf,
    ) -> Executor:
        """Return an executor with processes on the machines of the cluster.

        Args:
            make: Returns the worker; called in each process.
            worker: A worker in this process.
            size: The number of processes.
            environment: Environment variables of the processes.
            memory: The memory in gigabytes that a process may use; `None` for no limit.
            late: Seconds that a job may take longer than its time.
            logs: The folder of this machine for what each trial prints, NUMBER.log; `None` to leave it where the
                cluster puts it.
            until: Returns when a job stops waiting for a process, in seconds of `time.monotonic()`.

        Raises:
            EvaluationError: `make` cannot be sent to another process.
            MissingExtra: The library of the cluster is not installed.
            StudyError: The cluster cannot be used.
        """
        from archwright.execute._remote_processes import RemoteProcesses

        return RemoteProcesses(
            make, worker, self, size=size, environment=environment, memory=memory, late=late, logs=logs, until=until
        )


def check_text(settings: Cluster, name: str, example: str) -> None:
    """Refuse a setting that is neither text nor `None`."""
    given: object = getattr(settings, name)
    if given is not None and not isinstance(given, str):
        raise StudyError(f"{settings.registered_as}: {name} must be text, such as {example!r}, not {given!r}")


CLUSTERS: Classes[Cluster] = Classes("executor", StudyError)
"""The classes of clusters, by name."""
