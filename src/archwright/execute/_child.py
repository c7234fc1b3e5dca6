"""The program of a worker process."""

from __future__ import annotations

import faulthandler
import io
import logging
import os
import signal
import sys
import threading
import time
import traceback
from contextlib import suppress
from dataclasses import replace
from multiprocessing.connection import Connection
from typing import Any

if sys.platform != "win32":
    import resource

from archwright._payload import dumps, load
from archwright._python import end_with_parent
from archwright.evaluate import Candidate, Stopped
from archwright.execute._job import PRINTED, Curve, Job, Report
from archwright.execute._worker import Worker

_ANSWER = 0.05  # seconds that a report waits to be answered; a later answer counts at the next report


def main(channel: int, payload: str) -> None:
    """Make the worker and run the jobs that come, until none can come any more; never return.

    Args:
        channel: The descriptor of the connection to the process of the search.
        payload: The path of the stored function that makes the worker.
    """
    end_with_parent(lambda: os.killpg(os.getpgrp(), signal.SIGKILL))  # with all that it has forked
    connection: Any = Connection(channel)
    status = 0
    logging.getLogger("archwright").setLevel(logging.WARNING)  # a search in a trial shows no progress
    faulthandler.enable(2)  # where it was, if code in C ends it
    if isinstance(sys.stdout, io.TextIOWrapper):  # what was printed is not lost with a process that is killed
        sys.stdout.reconfigure(line_buffering=True)
    try:
        make = load(payload)
        signal.signal(signal.SIGINT, signal.default_int_handler)
        worker = make()
        _flush(connection)
        connection.send(("ready",))
        with suppress(EOFError, BrokenPipeError, ConnectionResetError):
            _serve(connection, worker)
    except KeyboardInterrupt:  # the search has ended
        pass
    except BaseException:
        status = 1
        with suppress(OSError):
            connection.send(("broken", traceback.format_exc()))
    finally:
        _flush(connection)
        os._exit(status)  # whatever a trial has left running


def _serve(connection: Any, worker: Worker) -> None:
    candidate: Candidate | None = None
    was = _state()
    while True:
        kind, *content = connection.recv()
        if kind == "network":
            connection.send(("network", *_packed(candidate)))
        elif kind == "job":
            candidate = None  # its memory is for the next one
            job, until = Job.from_json(content[0]), content[1]
            if until is not None:
                job = replace(job, seconds=max(0.0, until - time.monotonic()))
            listener = _Listener(connection)
            report, candidate = worker.run(job, listener)
            listener.close()
            _flush(connection)  # first, so that it is in the file of this trial
            is_spent = _state() != was or _leaks()
            connection.send(("report", report.to_json(), 0, candidate.built is not None, is_spent))
        # All else was for a trial that has ended.


def _state() -> list[Any]:
    """Return what is as before after each trial, or cannot be put back: no other trial is to begin with it.

    These are the standard streams' files, the working directory and the limits of the system.
    """
    limits = sorted(value for name, value in vars(resource).items() if name.startswith("RLIMIT_"))
    found: list[Any] = [resource.getrlimit(kind) for kind in limits]
    for number in range(3):
        try:
            found.append((os.fstat(number).st_dev, os.fstat(number).st_ino))
        except OSError:  # closed
            found.append(None)
    try:
        found.append(os.getcwd())
    except OSError:  # removed
        found.append(None)
    return found


def _leaks() -> bool:
    """Tell whether more than half of the descriptors that a process may have are in use."""
    most, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    try:
        return most != resource.RLIM_INFINITY and len(os.listdir("/dev/fd")) > most / 2
    except OSError:  # there is none left for this
        return True


def _flush(connection: Any) -> None:
    """Write what was printed, and tell that this is done."""
    with suppress(Exception):  # of streams that a trial has put in their place
        sys.stdout.flush()
        sys.stderr.flush()
    with suppress(OSError):  # the search has ended
        connection.send_bytes(PRINTED)


class _Listener:
    """Tells the reports of a job to the search, and what it answers, without a trial waiting for a busy search.

    Threads take turns. One that the job has left is stopped at its next report: it would take what is for the next job.
    """

    def __init__(self, connection: Any) -> None:
        self._connection = connection
        self._turn = threading.Lock()
        self._waiting = 0  # reports that are not answered yet
        self._told: Curve = ()  # the points that the search has
        self._is_over = False

    def __call__(self, report: Report) -> Stopped | None:
        with self._turn:
            return Stopped("its trial has ended") if self._is_over else self._tell(report)

    def close(self) -> None:
        """Take no more reports."""
        with self._turn:
            self._is_over = True

    def _tell(self, report: Report) -> Stopped | None:
        if report.kind != "progress":
            self._connection.send(("report", report.to_json(), 0, False, False))
            return None
        known, told = len(self._told), report.curve
        if known and (len(told) < known or told[known - 1] is not self._told[-1]):  # the evaluator has changed it
            known = 0
        self._connection.send(("report", replace(report, curve=told[known:]).to_json(), known, False, False))
        self._told = told
        self._waiting += 1
        end = time.monotonic() + _ANSWER
        while self._connection.poll(max(0.0, end - time.monotonic()) if self._waiting else 0.0):
            kind, stopped = self._connection.recv()
            self._waiting -= kind == "answer"
            if stopped is not None:
                return Stopped(stopped[0], complete=stopped[1])
        return None


def _packed(candidate: Candidate | None) -> tuple[bytes | None, str]:
    """Return the network of a candidate with its preprocessing, or `None` and the reason."""
    try:
        assert candidate is not None
        return dumps((candidate.built, candidate.preprocess)), ""
    except Exception as error:  # a network may hold anything
        return None, f"{type(error).__name__}: {error}"
