"""What the tests of worker processes share; it loads neither torch nor pytest, since the workers import it."""

from __future__ import annotations

import os
import time
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import archwright as aw
from archwright.evaluate import as_evaluator
from archwright.execute import Job, Processes, Worker, drive

SPACE = aw.Space(x=aw.integer(0, 99))


def job(number, x=None, **options):
    return Job(number, SPACE.fingerprint, aw.Architecture({"x": number if x is None else x}), number, **options)


@contextmanager
def executor(evaluate, *, cluster=None, capacity=2, **options):
    """An executor on this machine, or on a cluster."""
    make = partial(Worker, SPACE, as_evaluator(evaluate))
    if cluster is None:
        made = Processes(make, make(), capacity=capacity, **options)
    else:
        made = cluster.executor(make, make(), size=capacity, **{"environment": {}, **options})
    try:
        yield made
    finally:
        made.close()


def run(evaluate, jobs, listen=lambda report: None, **options):
    """The reports of jobs, by trial."""
    waiting = list(jobs)
    with executor(evaluate, **options) as made:
        return {report.trial: report for report, _ in drive(made, lambda: waiting.pop(0) if waiting else None, listen)}


def wait_for(path, seconds=60.0):
    """Wait for a file with content, and return it."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if Path(path).exists() and (content := Path(path).read_text()):
            return content
        time.sleep(0.01)
    raise TimeoutError(str(path))


def write(path, content="here"):
    """Put a file there as a whole."""
    new = Path(f"{path}.{os.getpid()}")
    new.write_text(str(content))
    new.replace(path)


def has_ended(pid):
    """Whether a process is gone, or waits for its parent to look."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] in "ZX"
    except OSError:
        return True


def wait_for_the_end(pid, seconds=30.0):
    end = time.monotonic() + seconds
    while not has_ended(pid):
        if time.monotonic() > end:
            raise TimeoutError(f"process {pid} runs on")
        time.sleep(0.01)
