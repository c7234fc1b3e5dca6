"""Workers of other machines, which here are agents in processes of this one: they come late, die and are lost."""

from __future__ import annotations

import os
import signal
import socket
import sys
import threading
import time
from multiprocessing.connection import Client

import pytest
from tests.execute.helpers import SPACE, executor, job, run, wait_for, wait_for_the_end, write
from tests.execute.here import Here

import archwright as aw
from archwright.errors import EvaluationError, MissingExtra, StudyError, UnknownName
from archwright.execute import Ray, Slurm, cluster_of, drive
from archwright.execute._remote import Gateway


def ending(seconds):
    """The end of a search that lasts so many seconds."""
    end = time.monotonic() + seconds
    return lambda: end


# --------------------------------------------------------------------------- results


@pytest.mark.skipif(sys.platform != "linux", reason="files without a name are handed over on Linux")
def test_data_are_on_a_machine_once(tmp_path):
    import numpy as np

    data = np.arange(1 << 22)

    def evaluate(candidate):
        from pathlib import Path

        assert os.environ["PLACE"] == "there"
        assert data.sum() == (1 << 22) * ((1 << 22) - 1) // 2
        write(tmp_path / str(candidate.architecture["x"]))
        wait_for(tmp_path / str(1 - candidate.architecture["x"]))
        sizes = {}  # of files without a name that are mapped, by their numbers
        for line in Path("/proc/self/maps").read_text().splitlines():
            if line.endswith("(deleted)"):
                begin, end = (int(address, 16) for address in line.split()[0].split("-"))
                sizes[end - begin] = float(line.split()[4])
        return {"value": sizes[max(sizes)], "size": max(sizes), "process": os.getpid()}

    environment = {"PLACE": "there"}
    found = run(evaluate, [job(0), job(1)], cluster=Here(), environment=environment)
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

    jobs, capacities, cluster = iter([job(0), job(1)]), [], Here(gate=tmp_path / "gate")

    def next_job():
        capacities.append(processes.capacity)
        return next(jobs, None)

    opens = threading.Thread(target=open_gate)
    opens.start()
    with executor(evaluate, cluster=cluster) as processes:
        assert sorted(report.trial for report, _ in drive(processes, next_job)) == [0, 1]
    opens.join()
    assert capacities[:2] == [1, 2]
    assert cluster.closed == 1
    assert not any(agent.process.is_alive() for agent in cluster.launched)


def test_a_job_that_finds_no_worker_in_time_is_stopped():
    found = run(lambda candidate: 1.0, [job(0)], cluster=Here(most=0), until=ending(0.3))
    assert (found[0].kind, found[0].error) == ("stopped", "no worker was free before the time was over")


def test_a_job_that_waits_is_stopped_from_outside():
    with executor(lambda candidate: 1.0, cluster=Here(most=0)) as processes:
        processes.start(job(5), lambda report: None)
        processes.stop(5)
        assert processes.wait()[0].kind == "stopped"


def test_the_time_of_a_job_begins_with_its_worker(tmp_path):
    def evaluate(candidate):
        return candidate.remaining()

    with executor(evaluate, cluster=Here(most=0), capacity=1) as processes:
        begun = time.monotonic()
        processes.start(job(0, seconds=50.0), lambda report: None)
        time.sleep(0.5)
        processes._launcher.cluster.most = 1
        while (ended := processes.wait()) is None:
            pass
        assert 50 - (time.monotonic() - begun - 0.5) < ended[0].metrics["value"] <= 50


def test_a_search_is_told_that_it_waits(monkeypatch):
    monkeypatch.setattr("archwright.execute._remote_processes._NOTICE", 0.1)
    with pytest.warns(UserWarning, match="the cluster has none of 2 workers ready yet; the search waits"):
        run(lambda candidate: 1.0, [job(0)], cluster=Here(most=0), until=ending(0.4))


def test_agents_that_do_not_start_are_told():
    with pytest.raises(StudyError, match="do not start: 5 died in a row; the last one has ended: no such module"):
        run(lambda candidate: 1.0, [job(0)], cluster=Here(fails="no such module"), capacity=5)


def test_what_cannot_be_made_there_is_told():
    class Fragile:
        def __reduce__(self):
            return divide, (1, 0)

    def divide(one, other):
        return one / other

    fragile = Fragile()
    with pytest.raises(EvaluationError, match=r"(?s)a worker process cannot run this search.*ZeroDivisionError"):
        run(lambda candidate: bool(fragile), [job(0)], cluster=Here(), capacity=1)


# --------------------------------------------------------------------------- deaths


def test_a_death_takes_one_job_and_a_full_cluster_has_room_for_another_process(tmp_path):
    def evaluate(candidate):
        x = candidate.architecture["x"]
        candidate.report(1, value=x)
        if x == 1:
            os._exit(3)
        if x == 3:
            write(tmp_path / "pid", os.getpid())
            os.kill(os.getppid(), signal.SIGKILL)  # its agent
            time.sleep(600)
        return float(x)

    cluster = Here(most=1)
    found = run(evaluate, [job(number) for number in range(5)], cluster=cluster, capacity=1)
    assert [found[number].kind for number in range(5)] == ["complete", "died", "complete", "died", "complete"]
    assert "ended with status 3" in found[1].error
    assert "was lost: its machine has failed" in found[3].error
    assert len(found[3].curve) == 1
    wait_for_the_end(int(wait_for(tmp_path / "pid")))
    assert len(cluster.launched) == 3


def test_a_worker_that_dies_without_a_job_costs_none(tmp_path):
    def evaluate(candidate):
        write(tmp_path / f"pid-{candidate.architecture['x']}", os.getpid())
        return 1.0

    with executor(evaluate, cluster=Here(), capacity=1) as processes:
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
        (lambda: Slurm(checkpoints=3), "slurm: checkpoints must be text, such as 's3://bucket/run', not 3"),
        (lambda: Slurm(cpus=0.5), "slurm: cpus must be an integer of 1 or more, not 0.5"),
        (lambda: Slurm(minutes=0), "slurm: minutes must be an integer of 1 or more, not 0"),
        (lambda: Slurm().room(), 'with the executor "slurm", workers is the number of jobs, not "auto"'),
        (
            lambda: cluster_of("ray", cpu=1),
            "executor 'ray' has no option 'cpu'; it has: address, cpus",
        ),
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
