"""Jobs in processes of their own, on this machine and on others: what comes back, what dies, hangs and leaks."""

from __future__ import annotations

import ctypes
import os
import re
import signal
import subprocess
import sys
import time

import pytest
import torch
from tests.execute.helpers import SPACE, executor, has_ended, job, run, wait_for, wait_for_the_end, write
from tests.execute.here import Here

import archwright as aw
from archwright.evaluate import as_evaluator
from archwright.execute import InProcess, Worker, drive


@pytest.fixture(params=["processes", "agents"])
def cluster(request):
    """Where jobs run: `None` for processes of this machine."""
    return None if request.param == "processes" else Here()


# --------------------------------------------------------------------------- results


def test_reports_are_those_of_this_process(cluster):
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
    there = run(evaluate, jobs, told.append, cluster=cluster)
    for number in range(8):
        one, other = here[number], there[number]
        assert (one.kind, one.metrics, one.curve, one.cause) == (other.kind, other.metrics, other.curve, other.cause)
    assert sorted((report.trial, len(report.curve)) for report in told) == [(n, c) for n in range(8) for c in (1, 2, 3)]


def test_a_network_is_taken_over_when_it_is_asked_for(cluster):
    def evaluate(candidate):
        import torch

        torch.manual_seed(candidate.seed)
        candidate.adopt(torch.nn.Linear(300, 200))
        candidate.preprocess = "as the evaluator says"
        return candidate.model.weight.sum().item()

    jobs = iter([job(0), job(1), job(2)])
    with executor(evaluate, cluster=cluster, capacity=1) as made:
        for number, (report, candidate) in enumerate(drive(made, lambda: next(jobs, None))):
            if number:  # that of the first one is not wanted
                assert candidate.model.weight.sum().item() == report.metrics["value"]
                assert candidate.preprocess == "as the evaluator says"
                assert isinstance(candidate.built, torch.nn.Linear)
    assert number == 2


def test_answers_and_stops_end_jobs_and_an_error_of_the_listener_fails_one(cluster):
    def evaluate(candidate):
        for step in range(100_000):
            candidate.report(step, value=step)
            time.sleep(0.001)
        return 1.0

    def listen(report):
        if report.trial == 0 and len(report.curve) == 4:
            return aw.Stopped("enough", complete=True)
        if report.trial == 1 and len(report.curve) == 2:
            raise RuntimeError("the callback")
        if report.trial == 2 and len(report.curve) == 5:
            made.stop(2, 60.0)
        return None

    jobs = iter(map(job, range(3)))
    with executor(evaluate, cluster=cluster) as made:
        found = {report.trial: report for report, _ in drive(made, lambda: next(jobs, None), listen)}
    assert (found[0].kind, found[0].error, found[0].converged) == ("stopped", "enough", True)
    assert 4 <= len(found[0].curve) < 100_000
    assert (found[1].kind, found[1].cause) == ("failed", "RuntimeError: the callback\n")
    assert (found[2].kind, found[2].error) == ("stopped", "stopped")
    assert found[2].curve[-1]["step"] < 100_000 - 1


def test_what_a_job_has_left_running_has_no_part_in_the_next(cluster):
    def evaluate(candidate):
        import threading

        x = candidate.architecture["x"]

        def late():
            for step in range(100_000):
                candidate.report(step, value=100 + x)

        threading.Thread(target=late, daemon=True).start()
        time.sleep(0.02)
        return float(x)

    told = []
    found = run(
        evaluate,
        map(job, range(8)),
        lambda report: told.append((report.trial, report.metrics)),
        cluster=cluster,
        capacity=1,
    )
    assert {number: (report.kind, report.metrics) for number, report in found.items()} == {
        number: ("complete", {"value": float(number)}) for number in range(8)
    }
    for number, report in found.items():
        assert {row["value"] for row in report.curve} <= {100.0 + number}
    assert all(metrics == {"value": 100.0 + trial} for trial, metrics in told)


# --------------------------------------------------------------------------- deaths


def test_a_process_that_dies_takes_its_own_job_alone_with_it(cluster, tmp_path):
    def evaluate(candidate):
        x = candidate.architecture["x"]
        candidate.report(1, value=x)
        if x == 1:
            if not os.fork():  # whatever it has started dies with it
                write(tmp_path / "fork", os.getpid())
                time.sleep(600)
            write(tmp_path / "child", subprocess.Popen(["sleep", "600"]).pid)
            wait_for(tmp_path / "fork")
            os.kill(os.getpid(), signal.SIGKILL)
        elif x == 2:
            os._exit(3)
        elif x == 3:
            os.abort()
        elif x == 4:
            os.closerange(3, 1 << 16)  # its connection too
            time.sleep(60)
        return float(x)

    found = run(evaluate, [job(number) for number in range(8)], cluster=cluster)
    assert {number for number, report in found.items() if report.kind == "died"} == {1, 2, 3, 4}
    assert {number for number, report in found.items() if report.kind == "complete"} == {0, 5, 6, 7}
    assert "was ended by SIGKILL" in found[1].error
    assert "ended with status 3" in found[2].error
    assert "was ended by SIGABRT" in found[3].error
    assert [len(found[number].curve) for number in (1, 2, 3)] == [1, 1, 1]
    for name in ("fork", "child"):
        wait_for_the_end(int(wait_for(tmp_path / name)))


@pytest.mark.skipif(sys.platform != "linux", reason="memory is limited on Linux alone")
def test_a_job_that_leaks_memory_is_ended_with_its_peak(cluster):
    def evaluate(candidate):
        held = []
        while candidate.architecture["x"] == 1:
            held.append(bytearray(b"." * (10 << 20)))
            time.sleep(0.01)
        return 1.0

    found = run(evaluate, [job(number) for number in range(4)], memory=0.4, cluster=cluster)
    assert [found[number].kind for number in range(4)] == ["complete", "failed", "complete", "complete"]
    told = re.search(r"the trial used ([\d.]+) GB of memory, and its limit is 0.4 GB", found[1].error)
    assert 0.4 < float(told[1]) < 2


def test_jobs_that_do_not_return_in_time_are_ended(cluster, tmp_path):
    def evaluate(candidate):
        x = candidate.architecture["x"]
        if x % 2:
            return 1.0  # so that the next process is up when its time begins
        candidate.report(0, value=0.25)
        write(tmp_path / str(x), os.getpid())
        if x == 0:
            time.sleep(600)
        if x == 2:
            ctypes.PyDLL(None).sleep(600)  # in C, and holds the interpreter's lock
        while True:
            try:
                candidate.report(1, value=0.5)
            except Exception:
                time.sleep(0.01)

    jobs = [job(1), job(0, seconds=0.3), job(3), job(2, seconds=0.3), job(5), job(4, seconds=0.3), job(7)]
    found = run(evaluate, jobs, capacity=1, late=0.3, cluster=cluster)
    assert {found[number].kind for number in (1, 3, 5, 7)} == {"complete"}
    for number in (0, 2, 4):
        assert found[number].kind == "stopped"
        assert "did not return when the time was over" in found[number].error
        assert found[number].curve[0]["value"] == 0.25
        wait_for_the_end(int(wait_for(tmp_path / str(number))))


# --------------------------------------------------------------------------- the end


def test_processes_with_a_job_may_clean_up_when_they_are_ended(cluster, tmp_path):
    def evaluate(candidate):
        write(tmp_path / "pid", os.getpid())
        try:
            candidate.report(1, value=0.0)
            time.sleep(600)
        finally:
            write(tmp_path / "clean")

    def listen(report):
        raise KeyboardInterrupt

    with executor(evaluate, cluster=cluster, capacity=1) as made:
        made._grace = 60.0
        made.start(job(0), listen)
        with pytest.raises(KeyboardInterrupt):
            made.wait()
    assert (tmp_path / "clean").exists()
    assert has_ended(int(wait_for(tmp_path / "pid")))
