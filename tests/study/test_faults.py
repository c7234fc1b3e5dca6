"""Searches that meet with one fault after the other: no trial is lost or counted twice, and each ends at its budget."""

from __future__ import annotations

import ctypes
import os
import random
import resource
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from contextlib import closing, suppress

import pytest
from tests.execute.helpers import wait_for, wait_for_the_end, write
from tests.study.faults import assert_whole, driver
from tests.study.helpers import SMALL, SPACE, function, record

import archwright as aw
from archwright.errors import StudyLocked
from archwright.store import _lease, list_studies
from archwright.study import _workers

KILLED, EXITS, LEAKS, HANGS, PRINTS, FORKS, LEAVES, RAISES, ENDED, CLOSES = range(10)


@pytest.mark.skipif(sys.platform != "linux", reason="memory is limited on Linux alone")
@pytest.mark.filterwarnings("ignore:the process of the trial")
def test_whatever_candidates_do_is_their_own(tmp_path, monkeypatch):
    monkeypatch.setattr(_workers, "_LATE", 0.2)

    def evaluate(candidate):
        what = 3 * candidate.architecture["x"] + candidate.architecture["y"]
        candidate.report(1, value=0.25)
        if what == KILLED:
            os.kill(os.getpid(), signal.SIGKILL)
        if what == EXITS:
            os._exit(7)
        held = []
        while what == LEAKS:
            held.append(bytearray(b"." * (10 << 20)))
            time.sleep(0.01)
        if what == HANGS:
            ctypes.PyDLL(None).sleep(600)  # in C, and holds the interpreter's lock
        if what == PRINTS:
            line = b"." * 999_999 + b"\n"
            for _ in range(100):
                rest = memoryview(line)
                while rest:
                    rest = rest[os.write(1, rest) :]
        if what == FORKS:
            child = os.fork()
            candidate.report(2, value=0.1 if child else 0.9)
            if not child:
                return 99.0
            return {"value": 0.5, "status": os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])}
        if what == LEAVES:
            write(tmp_path / "left", subprocess.Popen(["sleep", "600"]).pid)
        if what == RAISES:
            raise SystemExit(3)
        if what == ENDED:
            raise KeyboardInterrupt
        if what == CLOSES:
            os.closerange(3, 1 << 16)
            time.sleep(600)
        return 0.5

    options = {"workers": 2, "retries": 1, "trial_memory": 0.4, "trial_seconds": 5.0}
    study = aw.Study(SMALL, path=tmp_path / "run").run(evaluate, aw.Budget(trials=99), **options)
    assert study.stopped_by == "exhausted"
    assert_whole(study, 12)
    found = {3 * trial.architecture["x"] + trial.architecture["y"]: trial for trial in study.trials}
    told = {
        KILLED: "the process of the trial was ended by SIGKILL",
        EXITS: "the process of the trial ended with status 7",
        LEAKS: "GB of memory, and its limit is 0.4 GB",
        RAISES: "SystemExit: 3",
        ENDED: "KeyboardInterrupt",
        CLOSES: "the process of the trial was ended by SIGKILL",
    }
    for what, trial in found.items():
        state = "failed" if what in told else "pruned" if what == HANGS else "complete"
        assert trial.state == state, (what, trial.error)
        assert told.get(what, "") in (trial.error or "")
        assert trial.attempts == (2 if what in (KILLED, EXITS, CLOSES) else 1)
    assert found[HANGS].metrics == {"value": 0.25}
    assert "did not return when the time was over" in found[HANGS].error
    assert study.log_file(found[PRINTS].number).stat().st_size < 310_000
    assert found[FORKS].metrics == {"value": 0.5, "status": 1.0}
    assert [row["value"] for row in found[FORKS].curve] == [0.25, 0.1]
    wait_for_the_end(int(wait_for(tmp_path / "left")))


def test_what_a_candidate_changes_does_not_reach_the_next_in_its_process(tmp_path):
    was, mask = os.getcwd(), os.umask(0o022)
    os.umask(mask)

    def evaluate(candidate):
        import numpy as np
        import torch

        now = os.umask(0o777)
        seen = {
            "folder": os.getcwd() == was,
            "variable": "CHANGED" not in os.environ,
            "mask": now == mask,
            "dtype": torch.get_default_dtype() == torch.float32,
            "python": random.random(),
            "numpy": np.random.random(),
            "torch": torch.rand(()).item(),
            "process": os.getpid(),
        }
        os.chdir(tmp_path)
        os.environ["CHANGED"] = "yes"
        torch.set_default_dtype(torch.float64)
        for seeded in (random.seed, np.random.seed, torch.manual_seed):
            seeded(3)
        torch.set_grad_enabled(False)
        if candidate.architecture["x"] == 1:
            raise ValueError("changed and gone")
        return {"value": 0.5, **seen}

    # One process for all: whatever is left behind would be found by the next trial.
    one = aw.Study(SMALL, strategy="random").run(evaluate, aw.Budget(trials=8), trial_memory=16.0)
    here = aw.Study(SMALL, strategy="random").run(evaluate, aw.Budget(trials=8))
    drawn = ("python", "numpy", "torch")
    (process,) = {trial.metrics["process"] for trial in one.history.complete}
    assert process != os.getpid()
    assert len({trial.metrics[name] for trial in one.history.complete for name in drawn}) == 3 * len(
        one.history.complete
    )
    for there, trial in zip(one.trials, here.trials, strict=True):
        assert there.state == trial.state == ("failed" if there.architecture["x"] == 1 else "complete")
        if there.state == "complete":
            assert all(there.metrics[name] == 1.0 for name in ("folder", "variable", "mask", "dtype"))
            assert all(there.metrics[name] == trial.metrics[name] for name in drawn)


def test_descriptors_that_a_candidate_closes_redirects_or_leaks_are_its_own(tmp_path):
    def leak():
        with suppress(OSError):
            while True:
                os.open(os.devnull, os.O_RDONLY)

    faults = [
        lambda: os.closerange(0, 3),
        lambda: os.dup2(os.open(tmp_path / "elsewhere", os.O_CREAT | os.O_WRONLY), 1),
        lambda: sys.stdout.close(),
        lambda: os.dup2(os.open(os.devnull, os.O_WRONLY), 2),
        leak,
        lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (60, 60)),
        lambda: None,
    ]

    def evaluate(candidate):
        what = 3 * candidate.architecture["x"] + candidate.architecture["y"]
        print("out of", what)  # noqa: T201
        print("problem of", what, file=sys.stderr)  # noqa: T201
        for file in [open(os.devnull) for _ in range(60)]:  # noqa: SIM115
            file.close()
        faults[what % len(faults)]()
        return {"value": 0.5, "process": os.getpid()}

    study = aw.Study(SMALL, strategy="random", path=tmp_path / "run")
    study.run(evaluate, aw.Budget(trials=12), trial_memory=16.0)
    assert [(trial.state, trial.attempts, trial.error) for trial in study.trials] == [("complete", 1, None)] * 12
    for trial in study.trials:
        what = 3 * trial.architecture["x"] + trial.architecture["y"]
        assert study.log_file(trial.number).read_text() == f"out of {what}\nproblem of {what}\n"
    fates = [3 * trial.architecture["x"] + trial.architecture["y"] for trial in study.trials]
    replaced = sum(what % len(faults) in (4, 5) for what in fates[:-1])
    assert len({trial.metrics["process"] for trial in study.trials}) == 1 + replaced  # the others are as before


# --------------------------------------------------------------------------- drivers


def pause(process, database):
    """Pause a process; one that has a file of SQLite locked would keep all others out of it until it is woken."""
    while True:
        process.send_signal(signal.SIGSTOP)
        if not database.startswith("sqlite"):
            return  # a server ends its transaction
        with closing(sqlite3.connect(database.removeprefix("sqlite:///"), timeout=0.2)) as file:
            try:
                file.execute("BEGIN IMMEDIATE")
                return
            except sqlite3.OperationalError:
                process.send_signal(signal.SIGCONT)
                time.sleep(0.05)


@pytest.mark.filterwarnings("ignore:the lease of process")
def test_late_results_of_a_driver_that_was_paused_are_not_taken(tmp_path, monkeypatch, database):
    monkeypatch.setattr(_lease, "_LEASE", 0.4)
    paused, pids = driver(tmp_path, done=4, trials=12, lease=0.4, strategy="random", store=database, name="a")
    with pytest.raises(StudyLocked, match=f"process {paused.pid} on "):  # as long as it is awake
        aw.load(store=database, name="a", evaluator=function).resume()
    pause(paused, database)
    (tmp_path / "go").touch()  # its trials end, with another value, and wait to be heard
    study = aw.load(store=database, name="a", evaluator=function)
    while study.is_held:
        time.sleep(0.02)
    study.resume()
    paused.send_signal(signal.SIGCONT)
    out, err = paused.communicate()
    assert "StudyLocked" in out, err
    assert "another process has taken it over" in out
    for pid in pids:
        wait_for_the_end(pid)
    again = aw.load(store=database, name="a")
    assert_whole(again, 12)
    unbroken = aw.Study(SPACE, strategy="random", seed=3).run(function, aw.Budget(trials=12))
    assert list(map(record, again.trials)) == list(map(record, unbroken.trials))
    assert sorted(trial.attempts for trial in again.trials) == [1] * 10 + [2] * 2
    assert list_studies(database)[0].writer is None


JUMPS = """
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/time.h>
#include <time.h>

static long jumped(void) {
    long seconds = 0;
    FILE *file = fopen(getenv("JUMP"), "r");
    if (file) {
        if (fscanf(file, "%ld", &seconds) != 1) seconds = 0;
        fclose(file);
    }
    return seconds;
}

int clock_gettime(clockid_t clock, struct timespec *now) {
    static int (*real)(clockid_t, struct timespec *);
    if (!real) real = dlsym(RTLD_NEXT, "clock_gettime");
    int status = real(clock, now);
    if (clock == CLOCK_REALTIME) now->tv_sec += jumped();
    return status;
}

int gettimeofday(struct timeval *now, void *zone) {
    struct timespec real;
    clock_gettime(CLOCK_REALTIME, &real);
    now->tv_sec = real.tv_sec;
    now->tv_usec = real.tv_nsec / 1000;
    return 0;
}

time_t time(time_t *into) {
    struct timespec real;
    clock_gettime(CLOCK_REALTIME, &real);
    if (into) *into = real.tv_sec;
    return real.tv_sec;
}
"""


@pytest.mark.skipif(sys.platform != "linux" or shutil.which("cc") is None, reason="there is no C compiler")
@pytest.mark.filterwarnings("ignore:the lease of process")
def test_a_clock_that_jumps_changes_nothing(tmp_path, monkeypatch):
    """The clock of the driver, its workers and its database is set forward by a day, then back by two."""
    (tmp_path / "jumps.c").write_text(JUMPS)
    command = ["cc", "-shared", "-fPIC", "-o", tmp_path / "jumps.so", tmp_path / "jumps.c", "-ldl"]
    subprocess.run(command, check=True)
    monkeypatch.setattr(_lease, "_LEASE", 0.4)
    store, jump = f"sqlite:///{tmp_path}/a.db", tmp_path / "jump"
    program = """
import os, sys, time
import archwright as aw
from archwright.store import _lease
from tests.study.helpers import SPACE, value

_lease._LEASE = 0.4
jump, store, began = sys.argv[1], sys.argv[2], time.time()

def evaluate(candidate):
    candidate.report(1, value=time.time() - began)
    return value(candidate.architecture)

class Jumps(aw.Callback):
    def on_trial_end(self, study, trial):
        ended = len(study.history.finished)
        if ended in (4, 8):
            with open(jump + ".new", "w") as file:
                file.write(str(86_400 if ended == 4 else -86_400))
            os.replace(jump + ".new", jump)
            print("jumped", flush=True)
            sys.stdin.readline()

study = aw.Study(SPACE, strategy="random", seed=3, store=store, name="a")
budget = aw.Budget(trials=12, seconds=600)
study.run(evaluate, budget, workers=2, trial_seconds=300, callbacks=[Jumps()])
print(study.stopped_by, study.elapsed < 600, flush=True)
"""
    environment = {**os.environ, "LD_PRELOAD": str(tmp_path / "jumps.so"), "JUMP": str(jump)}
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True, "bufsize": 1}
    with subprocess.Popen([sys.executable, "-c", program, jump, store], env=environment, **pipes) as jumping:
        for _ in range(2):
            assert jumping.stdout.readline() == "jumped\n"
            with pytest.raises(StudyLocked, match=f"process {jumping.pid} on "):
                aw.load(store=store, name="a", evaluator=function).resume()
            jumping.stdin.write("\n")
        assert jumping.stdout.readline() == "trials True\n"
    study = aw.load(store=store, name="a")
    assert_whole(study, 12)
    unbroken = aw.Study(SPACE, strategy="random", seed=3).run(function, aw.Budget(trials=12))
    assert list(map(record, study.trials)) == list(map(record, unbroken.trials))
    times = [trial.curve[0]["value"] for trial in study.trials]
    assert max(times) > 80_000  # it has jumped, both ways
    assert min(times) < -80_000
    assert all(0 <= trial.seconds < 600 for trial in study.trials)
