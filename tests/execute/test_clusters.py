"""Workers of other machines, which here are agents in processes of this one: they come late, die and are lost."""

from __future__ import annotations

import math
import os
import signal
import socket
import sys
import threading
import time
from contextlib import suppress
from functools import partial
from multiprocessing.connection import Client

import pytest
from tests.execute.helpers import SPACE, has_ended, job, wait_for, wait_for_the_end, write
from tests.processes import FORKED

import archwright as aw
from archwright.errors import EvaluationError, MissingExtra, StudyError, UnknownName
from archwright.evaluate import as_evaluator
from archwright.execute import Cluster, Ray, Slurm, Worker, cluster_of, drive
from archwright.execute._agent import serve
from archwright.execute._cluster import Launcher
from archwright.execute._remote import Gateway


class Here(Cluster):
    """A cluster that is this machine.

    Args:
        most: How many agents start at one time; others wait until one of them has ended.
        fails: Why no agent starts.
        gate: Wait for this file before an agent with a number above 0 starts.
    """

    threads = 1

    def __init__(self, most=math.inf, fails=None, gate=None):
        self.most, self.fails, self.gate = most, fails, gate
        self.launched, self.closed = [], 0

    def launcher(self, content, setting):
        self.content, self.setting = content, setting
        return HereLauncher(self)

    def room(self):
        return 2


class HereLauncher(Launcher):
    host = "127.0.0.1"

    def __init__(self, cluster):
        self.cluster = cluster

    def launch(self, tickets, ring):
        started = [Process(self.cluster, ticket, ring) for ticket in tickets]
        self.cluster.launched += started
        return started

    def close(self):
        self.cluster.closed += 1
        for process in self.cluster.launched:
            process.thread.join()


class Process:
    def __init__(self, cluster, ticket, ring):
        self.process = FORKED.Process(target=serve, args=(ticket, partial(bytes, cluster.content), cluster.setting))
        self.ended = self.cancelled = False

        def run():
            if cluster.gate is not None and ticket.number:
                wait_for(cluster.gate)
            before = cluster.launched
            while not self.cancelled and sum(not each.ended for each in before if each is not self) >= cluster.most:
                time.sleep(0.01)
            if not cluster.fails and not self.cancelled:
                self.process.start()
                self.process.join()
            self.ended = True
            ring()

        self.fails = cluster.fails
        self.thread = threading.Thread(target=run, daemon=True)
        self.thread.start()

    def over(self):
        return f"has ended: {self.fails}" if self.ended else None

    def cancel(self):
        self.cancelled = True
        with suppress(ValueError, AttributeError):  # it has not begun
            self.process.kill()


def executor(evaluate, cluster=None, *, size=2, **options):
    make = partial(Worker, SPACE, as_evaluator(evaluate))
    return (cluster or Here()).executor(make, make(), size=size, environment={"PLACE": "there"}, **options)


def ending(seconds):
    """The end of a search that lasts so many seconds."""
    end = time.monotonic() + seconds
    return lambda: end


def run(evaluate, jobs, cluster=None, listen=lambda report: None, **options):
    """The reports of jobs by trial."""
    processes, waiting = executor(evaluate, cluster, **options), list(jobs)
    try:
        ended = drive(processes, lambda: waiting.pop(0) if waiting else None, listen)
        return {report.trial: report for report, _ in ended}
    finally:
        processes.close()


# --------------------------------------------------------------------------- results


def test_reports_are_those_of_this_process():
    def evaluate(candidate):
        for step in range(3):
            candidate.report(step, value=candidate.architecture["x"] + step)
        if candidate.architecture["x"] == 3:
            raise ValueError("three")
        return {"value": candidate.architecture["x"] ** 2, "there": os.environ["PLACE"] == "there"}

    told, cluster = [], Here()
    found = run(evaluate, [job(number) for number in range(8)], cluster, told.append)
    alone = Worker(SPACE, as_evaluator(lambda candidate: {"value": candidate.architecture["x"] ** 2, "there": 1.0}))
    for number in {*range(8)} - {3}:
        assert found[number].metrics == alone.run(job(number))[0].metrics
    assert (found[3].kind, found[3].cause) == ("failed", "ValueError: three\n")
    assert sorted((report.trial, len(report.curve)) for report in told) == [(n, c) for n in range(8) for c in (1, 2, 3)]
    assert cluster.closed == 1
    assert not any(agent.process.is_alive() for agent in cluster.launched)


def test_a_network_is_taken_over_when_it_is_asked_for():
    def evaluate(candidate):
        import torch

        torch.manual_seed(candidate.seed)
        candidate.adopt(torch.nn.Linear(300, 200))
        return candidate.model.weight.sum().item()

    processes, jobs = executor(evaluate, size=1), iter([job(0), job(1)])
    try:
        for report, candidate in drive(processes, lambda: next(jobs, None)):
            assert candidate.model.weight.sum().item() == report.metrics["value"]
    finally:
        processes.close()


def test_an_answer_stops_a_job():
    def evaluate(candidate):
        for step in range(1000):
            candidate.report(step, value=step)
            time.sleep(0.001)
        return 1.0

    stop = aw.Stopped("enough", complete=True)
    found = run(evaluate, [job(0)], listen=lambda report: stop if len(report.curve) == 4 else None)
    assert (found[0].kind, found[0].error, found[0].converged) == ("stopped", "enough", True)


@pytest.mark.skipif(sys.platform != "linux", reason="files without a name are handed over on Linux")
def test_data_are_on_a_machine_once(tmp_path):
    import numpy as np

    data = np.arange(1 << 22)

    def evaluate(candidate):
        from pathlib import Path

        assert data.sum() == (1 << 22) * ((1 << 22) - 1) // 2
        write(tmp_path / str(candidate.architecture["x"]))
        wait_for(tmp_path / str(1 - candidate.architecture["x"]))
        sizes = {}  # of files without a name that are mapped, by their numbers
        for line in Path("/proc/self/maps").read_text().splitlines():
            if line.endswith("(deleted)"):
                begin, end = (int(address, 16) for address in line.split()[0].split("-"))
                sizes[end - begin] = float(line.split()[4])
        return {"value": sizes[max(sizes)], "size": max(sizes), "process": os.getpid()}

    found = run(evaluate, [job(0), job(1)])
    assert {report.kind for report in found.values()} == {"complete"}, found[0].error
    assert len({report.metrics["process"] for report in found.values()}) == 2
    assert len({report.metrics["value"] for report in found.values()}) == 1
    assert found[0].metrics["size"] >= data.nbytes


# --------------------------------------------------------------------------- workers that come and go


def test_a_job_waits_for_the_first_worker_and_others_begin_as_workers_come(tmp_path):
    def evaluate(candidate):
        write(tmp_path / str(candidate.architecture["x"]))
        wait_for(tmp_path / "1")  # of the job beside it, which begins with the second worker
        return 1.0

    def open_gate():
        wait_for(tmp_path / "0")
        write(tmp_path / "gate")

    processes, jobs, capacities = executor(evaluate, Here(gate=tmp_path / "gate")), iter([job(0), job(1)]), []

    def next_job():
        capacities.append(processes.capacity)
        return next(jobs, None)

    opens = threading.Thread(target=open_gate)
    opens.start()
    try:
        assert sorted(report.trial for report, _ in drive(processes, next_job)) == [0, 1]
    finally:
        processes.close()
        opens.join()
    assert capacities[:2] == [1, 2]


def test_a_job_that_finds_no_worker_in_time_is_stopped():
    found = run(lambda candidate: 1.0, [job(0)], Here(most=0), until=ending(0.3))
    assert (found[0].kind, found[0].error) == ("stopped", "no worker was free before the time was over")


def test_a_job_that_waits_is_stopped_from_outside():
    processes = executor(lambda candidate: 1.0, Here(most=0))
    try:
        processes.start(job(5), lambda report: None)
        processes.stop(5)
        assert processes.wait()[0].kind == "stopped"
    finally:
        processes.close()


def test_the_time_of_a_job_begins_with_its_worker(tmp_path):
    def evaluate(candidate):
        return candidate.remaining()

    processes = executor(evaluate, Here(most=0))
    try:
        processes.start(job(0, seconds=50.0), lambda report: None)
        time.sleep(0.5)
        processes._launcher.cluster.most = 2
        while (ended := processes.wait()) is None:
            pass
        left = ended[0].metrics["value"]
    finally:
        processes.close()
    assert 45 < left <= 50


def test_a_search_is_told_that_it_waits(monkeypatch):
    monkeypatch.setattr("archwright.execute._remote_processes._NOTICE", 0.1)
    with pytest.warns(UserWarning, match="the cluster has none of 2 workers ready yet; the search waits"):
        run(lambda candidate: 1.0, [job(0)], Here(most=0), until=ending(0.4))


def test_agents_that_do_not_start_are_told():
    with pytest.raises(StudyError, match="do not start: 5 died in a row; the last one has ended: no such module"):
        run(lambda candidate: 1.0, [job(0)], Here(fails="no such module"), size=5)


def test_what_cannot_be_made_there_is_told():
    class Fragile:
        def __reduce__(self):
            return divide, (1, 0)

    def divide(one, other):
        return one / other

    fragile = Fragile()
    with pytest.raises(EvaluationError, match=r"(?s)a worker process cannot run this search.*ZeroDivisionError"):
        run(lambda candidate: bool(fragile), [job(0)])


# --------------------------------------------------------------------------- deaths


@pytest.mark.parametrize("who", ["the process", "its agent"])
def test_a_death_takes_one_job_and_the_process_is_replaced(tmp_path, who):
    def evaluate(candidate):
        x = candidate.architecture["x"]
        candidate.report(1, value=x)
        if x == 1:
            write(tmp_path / "pid", os.getpid())
            os.kill(os.getpid() if who == "the process" else os.getppid(), signal.SIGKILL)
            time.sleep(600)
        return float(x)

    cluster = Here()
    found = run(evaluate, [job(number) for number in range(6)], cluster)
    assert {number for number, report in found.items() if report.kind == "died"} == {1}
    assert {number for number, report in found.items() if report.kind == "complete"} == {0, 2, 3, 4, 5}
    how = "was ended by SIGKILL" if who == "the process" else "was lost: its machine has failed"
    assert how in found[1].error
    assert len(found[1].curve) == 1
    wait_for_the_end(int(wait_for(tmp_path / "pid")))
    assert len(cluster.launched) >= 2


def test_a_full_cluster_has_room_again_when_a_process_has_died(tmp_path):
    def evaluate(candidate):
        if candidate.architecture["x"] == 1:
            os._exit(3)
        return 1.0

    found = run(evaluate, [job(number) for number in range(4)], Here(most=1), size=1)
    assert [found[number].kind for number in range(4)] == ["complete", "died", "complete", "complete"]
    assert "ended with status 3" in found[1].error


def test_a_worker_that_dies_without_a_job_costs_none(tmp_path):
    def evaluate(candidate):
        write(tmp_path / f"pid-{candidate.architecture['x']}", os.getpid())
        return 1.0

    processes = executor(evaluate, size=1)
    try:
        for number in range(2):
            processes.start(job(number), lambda report: None)
            while (ended := processes.wait()) is None:
                pass
            assert ended[0].kind == "complete"
            pid = int(wait_for(tmp_path / f"pid-{number}"))
            os.kill(pid, signal.SIGKILL)
            wait_for_the_end(pid)
            while not processes._idle[0].has_message:
                time.sleep(0.01)
    finally:
        processes.close()


def test_a_job_that_does_not_return_in_time_is_ended(tmp_path):
    def evaluate(candidate):
        candidate.report(0, value=0.25)
        if candidate.architecture["x"] == 0:
            write(tmp_path / "pid", os.getpid())
            time.sleep(600)
        return 1.0

    found = run(evaluate, [job(1), job(0, seconds=0.3), job(2)], size=1, late=0.3)
    assert [found[number].kind for number in range(3)] == ["stopped", "complete", "complete"]
    assert "did not return when the time was over" in found[0].error
    wait_for_the_end(int(wait_for(tmp_path / "pid")))


@pytest.mark.skipif(sys.platform != "linux", reason="memory is limited on Linux alone")
def test_a_job_that_leaks_memory_is_ended():
    def evaluate(candidate):
        held = []
        while candidate.architecture["x"] == 1:
            held.append(bytearray(os.urandom(1 << 20) * 10))
            time.sleep(0.01)
        return 1.0

    found = run(evaluate, [job(number) for number in range(4)], memory=0.5)
    assert [found[number].kind for number in range(4)] == ["complete", "failed", "complete", "complete"]
    assert "GB of memory, and its limit is 0.5 GB" in found[1].error


def test_processes_with_a_job_may_clean_up_when_they_are_ended(tmp_path):
    def evaluate(candidate):
        write(tmp_path / "pid", os.getpid())
        try:
            candidate.report(1, value=0.0)
            time.sleep(600)
        finally:
            write(tmp_path / "clean")

    def listen(report):
        raise KeyboardInterrupt

    processes = executor(evaluate, size=1)
    processes._grace = 60.0
    processes.start(job(0), listen)
    with pytest.raises(KeyboardInterrupt):
        processes.wait()
    processes.close()
    assert (tmp_path / "clean").exists()
    assert has_ended(int(wait_for(tmp_path / "pid")))


# --------------------------------------------------------------------------- who may call


def test_only_who_knows_the_key_is_let_in():
    gateway = Gateway("127.0.0.1", anywhere=False)
    try:
        ticket = gateway.ticket(7)
        silent = socket.create_connection(ticket.address)  # which keeps nobody waiting
        with socket.create_connection(ticket.address) as rude:
            rude.sendall(b"GET / HTTP/1.0\r\n\r\n" * 100)
        with pytest.raises(Exception, match="digest"):
            Client(ticket.address, authkey=b"guessed")
        assert gateway.calls() == []
        with Client(ticket.address, authkey=ticket.key) as caller:
            caller.send(ticket.number)
            while not (calls := gateway.calls()):
                time.sleep(0.01)
            ((number, let_in),) = calls
            assert number == 7
            let_in.send("welcome")
            assert caller.recv() == "welcome"
            let_in.close()
        silent.close()
    finally:
        gateway.close()
    with pytest.raises(OSError, match="refused"):
        socket.create_connection(ticket.address)


def test_keys_differ():
    gateways = [Gateway("127.0.0.1", anywhere=False) for _ in range(2)]
    assert len({gateway.ticket(0).key for gateway in gateways}) == 2
    for gateway in gateways:
        gateway.close()


# --------------------------------------------------------------------------- settings


@pytest.mark.parametrize(
    ("make", "told"),
    [
        (lambda: Ray(cpus=-1), "ray: cpus must be a number of 0 or more, not -1"),
        (lambda: Ray(gpus="all"), "ray: gpus must be a number of 0 or more, not 'all'"),
        (lambda: Ray(cpus=0), "a trial needs cpus or gpus, and both are 0"),
        (lambda: Ray(address=6379), "address must be text, such as '10.0.0.1:6379', not 6379"),
        (lambda: Slurm(cpus=0.5), "slurm: cpus must be an integer of 1 or more, not 0.5"),
        (lambda: Slurm(minutes=0), "slurm: minutes must be an integer of 1 or more, not 0"),
        (lambda: Slurm().room(), 'with the executor "slurm", workers is the number of jobs, not "auto"'),
        (lambda: cluster_of("ray", cpu=1), "executor 'ray' has no option 'cpu'; it has: address, cpus, gpus"),
        (lambda: cluster_of("processes", cpus=1), "the executor 'processes' has no settings, and cpus was given"),
        (lambda: cluster_of(3), r"an executor is a name, aw.Ray\(...\) or aw.Slurm\(...\), not 3"),
        (lambda: cluster_of(Here()), "an executor is a name"),
    ],
)
def test_settings_are_checked(make, told):
    with pytest.raises(StudyError, match=told):
        make()


def test_executors_have_names():
    assert cluster_of("ray", gpus=0.5) == Ray(gpus=0.5)
    assert cluster_of("slurm", cpus=2) == Slurm(cpus=2)
    assert cluster_of("processes") is None
    with pytest.raises(UnknownName, match=r"Did you mean 'ray'\? There are: processes, ray, slurm"):
        cluster_of("rya")


@pytest.mark.parametrize(("name", "library"), [("ray", "ray"), ("slurm", "submitit")])
def test_a_missing_library_is_told_before_the_first_trial(tmp_path, monkeypatch, name, library):
    monkeypatch.setitem(sys.modules, library, None)
    monkeypatch.chdir(tmp_path)
    study = aw.Study(SPACE)
    with pytest.raises(MissingExtra, match=rf"the executor '{name}' needs {library}.*'archwright\[{name}\]'"):
        study.run(lambda candidate: 1.0, aw.Budget(trials=1), executor=name)
    assert not study.trials


@pytest.mark.parametrize(
    ("address", "told"),
    [
        ("127.0.0.1:1", r"the Ray cluster '127\.0\.0\.1:1' cannot be joined: .*refused"),
        ("ray://head:10001", "address of a Ray Client, .*`ray job submit`"),
    ],
)
@pytest.mark.parametrize("by", ["setting", "environment"])
def test_a_ray_cluster_that_cannot_be_joined_is_told(monkeypatch, address, told, by):
    pytest.importorskip("ray")
    if by == "environment":
        monkeypatch.setenv("RAY_ADDRESS", address)
    with pytest.raises(StudyError, match=told):
        aw.Study(SPACE).run(
            lambda candidate: 1.0, aw.Budget(trials=1), executor=Ray(address if by == "setting" else None)
        )
