"""Processes of this machine: how they start, share it and end. What holds for others too is in test_executors.py."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from multiprocessing import Pipe

import pytest
import torch
from tests.execute.helpers import executor, has_ended, job, run, wait_for, wait_for_the_end, write
from tests.processes import start

from archwright.errors import StudyError
from archwright.execute import Report
from archwright.execute._child import _Listener

# --------------------------------------------------------------------------- what each has


def test_two_jobs_run_at_one_time_each_with_its_own(tmp_path):
    def evaluate(candidate):
        x = candidate.architecture["x"]
        write(tmp_path / str(x))
        wait_for(tmp_path / str(1 - x))
        write(tmp_path / f"child-{x}", subprocess.Popen(["sleep", "600"]).pid)
        return {"value": float(os.environ["PLACE"]), "input": len(sys.stdin.read())}

    found = run(evaluate, [job(0), job(1)], environment=lambda place: {"PLACE": str(place)})
    assert [report.kind for report in found.values()] == ["complete", "complete"]
    assert sorted(report.metrics["value"] for report in found.values()) == [0.0, 1.0]
    assert {report.metrics["input"] for report in found.values()} == {0.0}  # nothing of this process
    for number in range(2):  # what a job has left running dies at the end
        wait_for_the_end(int(wait_for(tmp_path / f"child-{number}")))


def test_processes_that_do_not_start_are_told():
    with pytest.raises(StudyError, match="worker processes do not start: 3 died in a row; the last one ended with"):
        run(lambda candidate: 1.0, [job(0)], environment=lambda place: {"PYTHONHOME": "/nowhere"})


# --------------------------------------------------------------------------- limits


@pytest.mark.skipif(sys.platform != "linux", reason="memory is limited on Linux alone")
def test_what_trials_leave_behind_is_not_counted_against_the_next():
    def evaluate(candidate):
        import builtins

        builtins.left = [*getattr(builtins, "left", []), bytearray(b".") * (100 << 20)]
        return float(os.getpid())

    found = run(evaluate, [job(number) for number in range(4)], capacity=1, memory=0.3)
    assert {report.kind for report in found.values()} == {"complete"}
    assert len({report.metrics["value"] for report in found.values()}) > 1


# --------------------------------------------------------------------------- the end


def test_processes_that_will_not_end_are_killed(tmp_path):
    def evaluate(candidate):
        write(tmp_path / "pid", os.getpid())
        while True:
            with suppress(BaseException):
                time.sleep(600)

    with executor(evaluate, grace=0.2) as processes:
        processes.start(job(0), lambda report: None)
        pid = int(wait_for(tmp_path / "pid"))
    assert has_ended(pid)


PROGRAM = """
import os, re, subprocess, sys, time
from pathlib import Path
from tests.execute.helpers import executor, job, write

folder = Path(sys.argv[1])

def evaluate(candidate):
    x = candidate.architecture["x"]
    child = subprocess.Popen(["sleep", "600"])
    write(folder / f"pids-{x}", f"{os.getpid()} {child.pid}")
    time.sleep(600)

with executor(evaluate) as processes:
    for number in range(2):
        processes.start(job(number), lambda report: None)
    processes.wait()
"""


@pytest.mark.slow
def test_processes_end_with_the_one_that_started_them(tmp_path):
    driver = start("-c", PROGRAM, tmp_path, cwd=".")
    pids = [int(pid) for number in range(2) for pid in wait_for(tmp_path / f"pids-{number}").split()]
    assert not any(map(has_ended, pids))
    driver.kill()
    driver.wait()
    for pid in pids:
        wait_for_the_end(pid)


@pytest.mark.skipif(sys.platform != "linux", reason="open files are listed on Linux")
def test_nothing_is_left_open(tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))

    def evaluate(candidate):
        if candidate.architecture["x"] == 1:
            os._exit(1)
        return float(data.sum())

    data = torch.ones(1 << 20)
    before = set(os.listdir("/proc/self/fd"))
    assert [report.kind for report in run(evaluate, [job(0), job(1)], capacity=1).values()] == ["complete", "died"]
    assert set(os.listdir("/proc/self/fd")) == before
    assert not list(tmp_path.iterdir())


def test_each_point_of_a_curve_is_sent_once():
    ours, theirs = Pipe()
    listener, curve = _Listener(theirs), []

    def report(points):
        curve.extend({"step": float(step), "value": 1.0} for step in range(points))
        ours.send(("answer", None))
        listener(Report(0, "progress", {"value": 1.0}, tuple(curve)))
        kind, written, known, *_ = ours.recv()
        return kind, known, len(written["curve"])

    assert [report(1) for _ in range(3)] == [("report", 0, 1), ("report", 1, 1), ("report", 2, 1)]
    curve.clear()  # which an evaluator may do
    assert [report(2), report(1)] == [("report", 0, 2), ("report", 2, 1)]


def test_the_search_has_the_whole_curve_at_each_report():
    curves = []

    def evaluate(candidate):
        for step in range(5):
            candidate.report(step, value=step)
        return 1.0

    def listen(report):
        curves.append([row["value"] for row in report.curve])

    reports = run(evaluate, [job(0), job(1)], listen, capacity=1)
    assert curves == [list(range(count + 1)) for count in range(5)] * 2
    assert [len(report.curve) for report in reports.values()] == [5, 5]
