"""What the tests of worker processes share; it loads neither torch nor pytest, since the workers import it."""

from __future__ import annotations

import os
import time
from functools import partial
from pathlib import Path

import archwright as aw
from archwright.evaluate import as_evaluator
from archwright.execute import Job, Processes, Worker, drive

SPACE = aw.Space(x=aw.integer(0, 99))


def job(number, x=None, **options):
    return Job(number, SPACE.fingerprint, aw.Architecture({"x": number if x is None else x}), number, **options)


def executor(evaluate, *, capacity=2, **options):
    make = partial(Worker, SPACE, as_evaluator(evaluate))
    return Processes(make, make(), capacity=capacity, **options)


def run(evaluate, jobs, listen=lambda report: None, **options):
    """The reports and candidates of jobs, by trial."""
    processes, waiting = executor(evaluate, **options), list(jobs)
    try:
        ended = drive(processes, lambda: waiting.pop(0) if waiting else None, listen)
        return {report.trial: (report, candidate) for report, candidate in ended}
    finally:
        processes.close()


def reports(*args, **options):
    return {trial: report for trial, (report, _) in run(*args, **options).items()}


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
