"""Jobs in processes of their own, which die, hang, leak and fork."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from contextlib import suppress

import pytest
import torch
from tests.execute.helpers import (
    SPACE,
    executor,
    has_ended,
    job,
    reports,
    run,
    wait_for,
    wait_for_the_end,
    write,
)
from tests.processes import start

import archwright as aw
from archwright.errors import StudyError
from archwright.evaluate import as_evaluator
from archwright.execute import InProcess, Worker, drive

# --------------------------------------------------------------------------- results


def test_reports_are_those_of_this_process():
    def evaluate(candidate):
        for step in range(3):
            candidate.report(step, value=candidate.architecture["x"] + step)
        if candidate.architecture["x"] == 3:
            raise ValueError("three")
        return {"value": candidate.architecture["x"] ** 2, "seed": candidate.seed}

    jobs, told = [job(number) for number in range(8)], []
    waiting = iter(jobs)
    alone = drive(InProcess(Worker(SPACE, as_evaluator(evaluate))), lambda: next(waiting, None))
    here = {report.trial: report for report, _ in alone}
    there = reports(evaluate, jobs, told.append, capacity=3)
    for number in range(8):
        one, other = here[number], there[number]
        assert (one.kind, one.metrics, one.curve, one.cause) == (other.kind, other.metrics, other.curve, other.cause)
    assert sorted((report.trial, len(report.curve)) for report in told) == [(n, c) for n in range(8) for c in (1, 2, 3)]


def test_two_jobs_run_at_one_time(tmp_path):
    def evaluate(candidate):
        x = candidate.architecture["x"]
        write(tmp_path / str(x))
        wait_for(tmp_path / str(1 - x))
        return 1.0

    found = reports(evaluate, [job(0), job(1)])
    assert [report.kind for report in found.values()] == ["complete", "complete"]


def test_a_network_is_taken_over_when_it_is_asked_for():
    def evaluate(candidate):
        import torch

        torch.manual_seed(candidate.seed)
        candidate.adopt(torch.nn.Linear(3, 2))
        candidate.preprocess = "as the evaluator says"
        return candidate.model.weight.sum().item()

    processes, jobs = executor(evaluate), iter([job(0), job(1), job(2)])
    try:
        for number, (report, candidate) in enumerate(drive(processes, lambda: next(jobs, None))):
            if number:  # that of the first one is not wanted
                assert candidate.model.weight.sum().item() == report.metrics["value"]
                assert candidate.preprocess == "as the evaluator says"
                assert isinstance(candidate.built, torch.nn.Linear)
    finally:
        processes.close()
    assert number == 2


def test_an_answer_stops_a_job_and_an_error_of_the_listener_fails_it():
    def evaluate(candidate):
        for step in range(1000):
            candidate.report(step, value=step)
            time.sleep(0.001)
        return 1.0

    def listen(report):
        if report.trial == 0 and len(report.curve) == 4:
            return aw.Stopped("enough", complete=True)
        if report.trial == 1 and len(report.curve) == 2:
            raise RuntimeError("the callback")
        return None

    found = reports(evaluate, [job(0), job(1)], listen)
    assert (found[0].kind, found[0].error, found[0].converged) == ("stopped", "enough", True)
    assert 4 <= len(found[0].curve) < 1000
    assert (found[1].kind, found[1].cause) == ("failed", "RuntimeError: the callback\n")


def test_a_job_is_stopped_from_outside():
    def evaluate(candidate):
        for step in range(100_000):
            candidate.report(step, value=step)
            time.sleep(0.001)
        return 1.0

    processes = executor(evaluate)
    try:
        processes.start(job(0), lambda report: processes.stop(0, 60.0) if len(report.curve) == 5 else None)
        report, _ = processes.wait()
        assert (report.kind, report.error) == ("stopped", "stopped")
        assert report.curve[-1]["step"] < 100_000 - 1
    finally:
        processes.close()


# --------------------------------------------------------------------------- deaths


def test_a_process_that_dies_takes_its_own_job_alone_with_it():
    def evaluate(candidate):
        x = candidate.architecture["x"]
        candidate.report(1, value=x)
        if x == 1:
            os.kill(os.getpid(), signal.SIGKILL)
        elif x == 2:
            os._exit(3)
        elif x == 3:
            os.abort()
        elif x == 4:
            os.closerange(3, 100)  # its connection too
            time.sleep(60)
        return float(x)

    found = reports(evaluate, [job(number) for number in range(8)])
    assert {number for number, report in found.items() if report.kind == "died"} == {1, 2, 3, 4}
    assert {number for number, report in found.items() if report.kind == "complete"} == {0, 5, 6, 7}
    assert "was ended by SIGKILL" in found[1].error
    assert "ended with status 3" in found[2].error
    assert "was ended by SIGABRT" in found[3].error
    assert [len(found[number].curve) for number in (1, 2, 3)] == [1, 1, 1]


def test_what_a_job_has_forked_dies_with_its_process(tmp_path):
    def evaluate(candidate):
        if not os.fork():
            write(tmp_path / "fork", os.getpid())
            time.sleep(600)
        child = subprocess.Popen(["sleep", "600"])
        write(tmp_path / "child", child.pid)
        wait_for(tmp_path / "fork")
        os.kill(os.getpid(), signal.SIGKILL)

    found = reports(evaluate, [job(0)])
    assert found[0].kind == "died"
    for name in ("fork", "child"):
        wait_for_the_end(int(wait_for(tmp_path / name)))


def test_what_a_job_has_left_running_dies_at_the_end(tmp_path):
    def evaluate(candidate):
        write(tmp_path / "child", subprocess.Popen(["sleep", "600"]).pid)
        return 1.0

    assert reports(evaluate, [job(0)])[0].kind == "complete"
    wait_for_the_end(int(wait_for(tmp_path / "child")))


def test_processes_that_do_not_start_are_told():
    with pytest.raises(StudyError, match="worker processes do not start: 3 died in a row; the last one ended with"):
        reports(lambda candidate: 1.0, [job(0)], environment=lambda place: {"PYTHONHOME": "/nowhere"})


# --------------------------------------------------------------------------- limits


@pytest.mark.skipif(sys.platform != "linux", reason="memory is limited on Linux alone")
def test_a_job_that_leaks_memory_is_ended_with_its_peak():
    def evaluate(candidate):
        held = []
        while candidate.architecture["x"] == 1:
            held.append(bytearray(os.urandom(1 << 20) * 10))
            time.sleep(0.01)
        return 1.0

    found = reports(evaluate, [job(number) for number in range(4)], memory=0.5)
    assert [found[number].kind for number in range(4)] == ["complete", "failed", "complete", "complete"]
    told = re.search(r"the trial used ([\d.]+) GB of memory, and its limit is 0.5 GB", found[1].error)
    assert 0.5 < float(told[1]) < 2


@pytest.mark.skipif(sys.platform != "linux", reason="memory is limited on Linux alone")
def test_what_trials_leave_behind_is_not_counted_against_the_next():
    def evaluate(candidate):
        import builtins

        builtins.left = [*getattr(builtins, "left", []), bytearray(os.urandom(1 << 20) * 120)]
        time.sleep(0.5)  # long enough to be looked at
        return float(os.getpid())

    found = reports(evaluate, [job(number) for number in range(4)], capacity=1, memory=0.4)
    assert {report.kind for report in found.values()} == {"complete"}
    assert len({report.metrics["value"] for report in found.values()}) > 1


@pytest.mark.parametrize("hang", ["asleep", "holding the interpreter", "deaf"])
def test_a_job_that_does_not_return_in_time_is_ended(hang):
    def evaluate(candidate):
        candidate.report(0, value=0.25)
        if candidate.architecture["x"] == 0:
            if hang == "asleep":
                time.sleep(600)
            if hang == "holding the interpreter":
                re.match("(a+)+$", "a" * 60 + "b")
            while True:
                try:
                    candidate.report(1, value=0.5)
                except Exception:
                    time.sleep(0.01)
        return 1.0

    # The process is up after the first job.
    found = reports(evaluate, [job(1), job(0, seconds=0.3), job(2)], capacity=1, late=0.3)
    assert [found[number].kind for number in range(3)] == ["stopped", "complete", "complete"]
    assert "did not return when the time was over" in found[0].error
    assert found[0].curve[0]["value"] == 0.25


# --------------------------------------------------------------------------- the end


def test_processes_with_a_job_may_clean_up_when_they_are_ended(tmp_path):
    def evaluate(candidate):
        write(tmp_path / f"pid-{candidate.architecture['x']}", os.getpid())
        try:
            time.sleep(600)
        finally:
            write(tmp_path / f"clean-{candidate.architecture['x']}")

    processes = executor(evaluate, grace=60.0)
    for number in range(2):
        processes.start(job(number), lambda report: None)
    pids = [int(wait_for(tmp_path / f"pid-{number}")) for number in range(2)]
    processes.close()
    assert all((tmp_path / f"clean-{number}").exists() for number in range(2))
    assert all(map(has_ended, pids))


def test_processes_that_will_not_end_are_killed(tmp_path):
    def evaluate(candidate):
        write(tmp_path / "pid", os.getpid())
        while True:
            with suppress(BaseException):
                time.sleep(600)

    processes = executor(evaluate, grace=0.2)
    processes.start(job(0), lambda report: None)
    pid = int(wait_for(tmp_path / "pid"))
    processes.close()
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

processes = executor(evaluate)
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


def test_standard_input_is_not_theirs():
    found = reports(lambda candidate: float(len(sys.stdin.read())), [job(0)])
    assert found[0].metrics == {"value": 0.0}


def test_each_has_its_environment_and_its_place():
    def evaluate(candidate):
        candidate.report(0, value=0.0)
        return float(os.environ["PLACE"])

    found = run(evaluate, [job(number) for number in range(6)], environment=lambda place: {"PLACE": str(place)})
    assert {report.metrics["value"] for report, _ in found.values()} <= {0.0, 1.0}


@pytest.mark.skipif(sys.platform != "linux", reason="open files are listed on Linux")
def test_nothing_is_left_open(tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))

    def evaluate(candidate):
        if candidate.architecture["x"] == 1:
            os._exit(1)
        return float(data.sum())

    data = torch.ones(1 << 20)
    before = set(os.listdir("/proc/self/fd"))
    assert sorted(report.kind for report in reports(evaluate, [job(n) for n in range(3)]).values())[2] == "died"
    assert set(os.listdir("/proc/self/fd")) == before
    assert not list(tmp_path.iterdir())
