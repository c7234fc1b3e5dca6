"""How many trials run at one time, in which processes and on which machines, and within which limits."""

from __future__ import annotations

import math
import os
import platform
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from archwright._fields import fields, text
from archwright._scalars import is_number, is_whole, keep_scalars
from archwright._words import counted
from archwright.cost import costs_of
from archwright.errors import StudyError
from archwright.evaluate import Evaluator
from archwright.execute import Checkpoints, Executor, Worker
from archwright.space import Space
from archwright.study._budget import Budget
from archwright.study._guard import Guard
from archwright.trials import Constraint

if TYPE_CHECKING:
    from archwright.execute import Cluster

AUTO, PROCESSES = "auto", "processes"
_NUMBERS = ("workers", "trial_seconds", "trial_memory", "retries")
DEATHS = 5
"""How often the process of a trial may die before the trial is at fault, also where it is that of the search."""

_MOST = 1024  # workers of a machine
_QUICK = 30.0  # seconds of a time budget, up to which it takes too long to start processes
_GIGABYTES = 1.0  # of memory that the training of a network takes, if it is not known
_MEMORY_SHARE = 0.8  # of the machine's memory, that all workers together may take
_LATE, _LATE_SHARE = 5.0, 0.1  # seconds that a trial may take longer than its time, and that share of a time budget
_THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")


@dataclass(frozen=True)
class Workers:
    """The settings of the workers of a search.

    Args:
        workers: How many trials run at one time, or "auto".
        trial_seconds: The time of a trial.
        trial_memory: The memory of a trial in gigabytes.
        retries: How often a trial whose process died is started again.
        executor: Where trials run: "processes" of this machine, or a cluster or its name.
    """

    workers: int | str = 1
    trial_seconds: float | None = None
    trial_memory: float | None = None
    retries: int = 2
    executor: str | Cluster = PROCESSES

    def __post_init__(self) -> None:
        keep_scalars(self, "workers", "trial_seconds", "trial_memory", "retries")
        if self.workers != AUTO and not (is_whole(self.workers) and 1 <= self.workers <= _MOST):
            raise StudyError(
                f'workers is the number of trials at a time, 1 to {_MOST}, or "auto", not {self.workers!r}'
            )
        for name, unit in (("trial_seconds", "seconds"), ("trial_memory", "gigabytes")):
            value: object = getattr(self, name)
            if value is not None and not (is_number(value) and 0 < value < math.inf):
                raise StudyError(f"{name} is a number of {unit} above 0, or None for no limit, not {value!r}")
        if not (is_whole(self.retries) and 0 <= self.retries < DEATHS):
            raise StudyError(f"retries is a number from 0 to {DEATHS - 1}, not {self.retries!r}")
        if self.executor != PROCESSES:
            from archwright.execute import cluster_of

            object.__setattr__(self, "executor", cluster_of(self.executor))

    @property
    def cluster(self) -> Cluster | None:
        """The cluster; `None` for this machine."""
        return None if isinstance(self.executor, str) else self.executor

    @property
    def are_processes(self) -> bool:
        """Whether trials run in processes of their own; memory can be limited in these alone."""
        return self.workers != 1 or self.trial_memory is not None or self.cluster is not None

    def decided(self, evaluator: Evaluator, budget: Budget) -> tuple[Workers, tuple[str, ...]]:
        """Return the settings with a number in place of "auto", and lines about the choice."""
        measured = measured_metrics(evaluator)
        if self.cluster is not None:
            return self._decided_on(self.cluster, measured)
        if self.workers == AUTO:
            count, reason = _as_many_as_pay(evaluator, budget, measured, self.trial_memory)
            return replace(self, workers=count), (f"workers {count}: {reason}",)
        if self.workers == 1:
            return self, ()
        told = f"{measured[0]} is less exact, as other trials run while it is measured" if measured else "as given"
        return self, (f"workers {self.workers}: {told}",)

    def _decided_on(self, cluster: Cluster, measured: Sequence[str]) -> tuple[Workers, tuple[str, ...]]:
        """Return the settings with a number in place of "auto", and lines about the choice, for a cluster."""
        decided, lines = self, []
        if self.workers == AUTO:
            decided = replace(self, workers=min(cluster.room(), _MOST))
            lines.append(f"workers {decided.workers}: as many as the cluster has room for")
        if measured:
            lines.append(f"workers {decided.workers}: {measured[0]} is measured on whatever machine a trial runs")
        return decided, tuple(lines)

    def start(
        self,
        worker: Worker,
        constraints: Sequence[Constraint],
        place: Path | str | None,
        budget: Budget,
        *,
        logs: Path | None = None,
        until: Callable[[], float] = lambda: math.inf,
    ) -> Executor:
        """Start the executor with processes of their own.

        Args:
            worker: The worker of this process.
            constraints: The constraints of the search.
            place: The run folder or the URL with the checkpoints; `None` if there are none.
            budget: The budget.
            logs: The folder for what trials print; `None` to leave it where this process, or the cluster, prints to.
            until: Returns when the search ends, in seconds of `time.monotonic()`.
        """
        from archwright.execute import Processes

        assert isinstance(self.workers, int)
        make = partial(_worker, worker.space, worker.evaluator, constraints, place)
        late = _LATE + (_LATE_SHARE * budget.time if math.isfinite(budget.time) else 0.0)
        if self.cluster is not None:
            return self.cluster.executor(
                make,
                worker,
                size=self.workers,
                environment=dict.fromkeys(_THREADS, str(self.cluster.threads)),
                memory=self.trial_memory,
                late=late,
                logs=logs,
                until=until,
            )
        threads, devices = max(1, min(_threads(), _cores() // self.workers)), _devices(worker.evaluator)
        return Processes(
            make,
            worker,
            capacity=self.workers,
            environment=lambda place: dict.fromkeys(_THREADS, str(threads)) | _visible(devices, place),
            memory=self.trial_memory,
            late=late,
            logs=logs,
        )

    def to_json(self) -> dict[str, Any]:
        """Return the settings as a JSON object, with the name of the executor alone.

        A record does not say which cluster is joined, and what is submitted there: it may be somebody else's.
        """
        executor = PROCESSES if self.cluster is None else self.cluster.registered_as
        return {**{name: getattr(self, name) for name in _NUMBERS}, "executor": executor}

    @classmethod
    def from_json(cls, written: Mapping[str, Any]) -> Workers:
        """Return the settings written by `to_json` for this machine: in place of a cluster, as many workers as pay."""
        found = cls(**{name: written[name] for name in _NUMBERS if name in written})
        return found if written.get("executor", PROCESSES) == PROCESSES else replace(found, workers=AUTO)

    @classmethod
    def resumed(
        cls, written: Mapping[str, Any] | None, workers: int | str | None, executor: str | Cluster | None
    ) -> dict[str, Any]:
        """Return the settings with which a search goes on, by name.

        Args:
            written: The settings written by `to_json`.
            workers: The number of workers; `None` for that on record.
            executor: The executor; `None` for that on record.

        Raises:
            StudyError: That on record is a cluster.
        """
        written = {**cls().to_json(), **(written or {})}
        if executor is None and written["executor"] != PROCESSES:
            raise StudyError(
                f"the search ran on {written['executor']!r}, whose settings are not on record: give executor= "
                f"(--executor {written['executor']}) again, or executor='processes' for this machine"
            )
        found = {**written, "executor": executor or PROCESSES}
        return found if workers is None else {**found, "workers": workers}


def check_written(value: Any, what: str) -> None:
    """Refuse a record of settings with a field that is unknown or holds what does not belong there."""
    known = Workers().to_json()
    unknown = fields(value, what, *_NUMBERS).keys() - known
    if unknown:
        raise ValueError(f"{what} holds {', '.join(sorted(unknown))}, besides {', '.join(known)}")
    text(value.get("executor", PROCESSES), f"the executor of {what}")
    Workers.from_json(value)


def _worker(space: Space, evaluator: Evaluator, constraints: Sequence[Constraint], place: Path | str | None) -> Worker:
    """Return the worker of a process of its own, in which code of others runs as in the process of the search."""
    if isinstance(place, Path) and not place.is_dir():
        raise StudyError(
            f"{platform.node()} has no folder {place}, where trials leave checkpoints: on several machines the run "
            "folder (path=, --out) has to be on storage that all of them share, or the executor to have checkpoints=URL"
        )
    guard = Guard(math.inf, lambda message: True)
    guard.__enter__()  # for as long as the process lives
    states = None if place is None else Checkpoints(place)
    return Worker(space, evaluator, constraints=constraints, states=states, attempt=guard.attempt)


def measured_metrics(evaluator: Evaluator) -> list[str]:
    """Return the metrics that are measured on this machine before or after a training."""
    return [name for cost in costs_of(evaluator) if not cost.is_counted for name in cost.metrics]


def _as_many_as_pay(
    evaluator: Evaluator, budget: Budget, measured: Sequence[str], gigabytes: float | None
) -> tuple[int, str]:
    """Return the number of workers and the reason: one for each core or GPU, unless something speaks against it."""
    if sys.platform == "win32":
        return 1, "this operating system has no workers"
    if budget.time <= _QUICK:
        return 1, f"starting others takes too much of {counted(budget.time, 'second')}"
    if evaluator.prepares:
        return 1, "networks are evaluated with weights that are trained before the first trial"
    if measured:
        return 1, f"{measured[0]} is measured, which other trials would disturb"
    if evaluator.device != "cpu":
        devices, each = _devices(evaluator), evaluator.processes
        if len(devices) < 2:
            return 1, f"all trials use {evaluator.device if each == 1 else f'the same {each} GPUs'}"
        return len(devices), "one for each GPU" if each == 1 else f"one for each {each} GPUs"
    cores = _cores()
    memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") * _MEMORY_SHARE
    fitting = max(1, int(memory / (1e9 * (gigabytes or _GIGABYTES))))
    if fitting < cores:
        return fitting, f"there is memory for {counted(fitting, 'trial')}, and there are {counted(cores, 'core')}"
    return cores, f"one for each of {counted(cores, 'core')}"


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _threads() -> int:
    """Return how many threads a training in this process uses."""
    torch = sys.modules.get("torch")
    if torch is not None:
        return int(torch.get_num_threads())
    given = os.environ.get("OMP_NUM_THREADS", "")
    return int(given) if given.isdecimal() and int(given) else _cores()


def _devices(evaluator: Evaluator) -> list[str]:
    """Return the GPUs of each worker, by their names for CUDA; none if there is no choice."""
    torch = sys.modules.get("torch")
    if torch is None or evaluator.device != "cuda:0":
        return []
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    names = [str(index) for index in range(torch.cuda.device_count())] if visible is None else visible.split(",")
    count = evaluator.processes
    return [",".join(names[first : first + count]) for first in range(0, torch.cuda.device_count() - count + 1, count)]


def _visible(devices: Sequence[str], place: int) -> dict[str, str]:
    """Return the environment variable by which the worker at a place sees its GPUs alone; workers may share them."""
    return {"CUDA_VISIBLE_DEVICES": devices[place % len(devices)]} if len(devices) > 1 else {}
