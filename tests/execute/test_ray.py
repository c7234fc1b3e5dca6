"""Searches on a Ray cluster of this machine: workers, a driver and a node die.

What holds for agents of any cluster is in test_executors.py and test_clusters.py.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import tempfile
import time
from pathlib import Path

import pytest
from tests.execute.helpers import write
from tests.processes import run
from tests.study.faults import assert_died, assert_replayed, dying, killed_driver
from tests.study.helpers import SPACE, function, record

import archwright as aw
from archwright.errors import StudyError
from archwright.store import _lease

ray = pytest.importorskip("ray")

pytestmark = [
    pytest.mark.usefixtures("cluster"),
    pytest.mark.filterwarnings("ignore::FutureWarning:ray"),
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
]


@pytest.fixture(scope="module")
def cluster(tmp_path_factory):
    """The address of a cluster with two CPUs, which this process has joined; two would fight for them."""
    folder = tempfile.mkdtemp(prefix="ray-")  # of a short name, since that of a socket may have 107 characters
    # The parent folder is that of all processes of pytest-xdist, where there are several; the lock ends with the file.
    shared = tmp_path_factory.getbasetemp().parent if "PYTEST_XDIST_WORKER" in os.environ else Path(folder)
    with pytest.MonkeyPatch.context() as patch, (shared / "ray.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        patch.setenv("RAY_USAGE_STATS_ENABLED", "0")
        patch.setenv("RAY_AUTH_MODE", "disabled")
        patch.setenv("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
        patch.setenv("HOME", str(tmp_path_factory.mktemp("home")))
        context = ray.init(
            "local",
            num_cpus=2,
            object_store_memory=100 << 20,
            include_dashboard=False,
            log_to_driver=False,
            logging_level="error",
            _temp_dir=folder,
        )
        yield context.address_info["gcs_address"]
        ray.shutdown()
        fcntl.flock(lock, fcntl.LOCK_UN)
    shutil.rmtree(folder, ignore_errors=True)


def search(evaluate=function, *, trials=6, path=None, **options):
    settings = {"executor": "ray", "workers": 2, **options}
    return aw.Study(SPACE, strategy="random", seed=3, path=path).run(evaluate, aw.Budget(trials=trials), **settings)


@pytest.fixture(scope="module")
def unbroken():
    """The trials of the same search in one process."""
    study = aw.Study(SPACE, strategy="random", seed=3).run(function, aw.Budget(trials=6))
    return list(map(record, study.trials))


# --------------------------------------------------------------------------- results


def test_trials_are_those_of_this_process(tmp_path, unbroken):
    def evaluate(candidate):
        print("seed", candidate.seed)  # noqa: T201
        write(tmp_path / f"{os.getpid()}.process", os.environ["OMP_NUM_THREADS"])
        while len(list(tmp_path.glob("*.process"))) < 2:  # two run at one time
            time.sleep(0.01)
        return function(candidate)

    study = search(evaluate, workers="auto", path=tmp_path / "run")
    assert list(map(record, study.trials)) == unbroken
    assert (study.stopped_by, ray.is_initialized()) == ("trials", True)
    assert "workers 2: as many as the cluster has room for" in study.why
    assert {path.read_text() for path in tmp_path.glob("*.process")} == {"1"}
    for trial in study.trials:
        assert study.log_file(trial.number).read_text() == f"seed {trial.seed}\n"


@pytest.mark.slow
def test_a_network_is_that_of_this_process(tmp_path):
    import torch

    training = aw.Training(aw.data("iris"), epochs=1, device="cpu")
    options = {"strategy": "random", "scheduler": "full", "budget": aw.Budget(trials=2), "final": False}
    here = aw.search("mlp", training, **options)
    there = aw.search("mlp", training, path=tmp_path, executor=aw.Ray(cpus=0.5), **options)
    assert list(map(record, there.trials)) == list(map(record, here.trials))
    for name, weight in here.best.load().state_dict().items():
        assert torch.equal(weight, there.best.load().state_dict()[name])


# --------------------------------------------------------------------------- deaths


@pytest.mark.filterwarnings("ignore:the process of the trial")
def test_a_death_costs_one_attempt(tmp_path, unbroken):
    study = search(dying(tmp_path, "process", "actor", "exit"))
    assert list(map(record, study.trials)) == unbroken
    assert_died(study, tmp_path, 3)


def test_a_search_that_is_killed_goes_on(tmp_path, cluster, unbroken):
    killed_driver(tmp_path, done=3, trials=6, ray=cluster, strategy="random", path=str(tmp_path / "run"))
    study = aw.load(tmp_path / "run", evaluator=function)
    assert [trial.state for trial in study.trials].count("running") == 2
    with pytest.raises(StudyError, match=r"ran on 'ray', whose settings are not on record: .*--executor ray"):
        study.resume()
    study.resume(executor="ray")  # on the CPUs that the workers of the driver had
    assert list(map(record, study.trials)) == unbroken
    assert sorted(trial.attempts for trial in study.trials) == [1] * 4 + [2] * 2


@pytest.mark.filterwarnings("ignore:the lease of process")
def test_a_search_on_processes_goes_on_here_with_its_database(tmp_path, postgresql, monkeypatch):
    monkeypatch.setattr(_lease, "_LEASE", 1.0)
    killed_driver(tmp_path, done=8, trials=20, lease=1.0, store=postgresql, name="a")
    study = aw.load(store=postgresql, name="a", evaluator=function)
    while study.is_held:  # until the lease of the driver has ended
        time.sleep(0.05)
    study.resume(executor="ray")
    assert sorted(trial.number for trial in study.history.complete) == list(range(20))
    assert sorted(trial.attempts for trial in study.trials) == [1] * 18 + [2] * 2
    assert_replayed(study)


NODES = """
import os, sys, time
from pathlib import Path
import ray
from ray.cluster_utils import Cluster
import archwright as aw
from tests.execute.helpers import has_ended, write
from tests.study.helpers import SPACE, value

folder = Path(sys.argv[1])
options = {"num_cpus": 1, "object_store_memory": 100 << 20, "include_dashboard": False}
cluster = Cluster(initialize_head=True, head_node_args=options)
node = cluster.add_node(num_cpus=1, object_store_memory=100 << 20)
ray.init(cluster.address, log_to_driver=False, logging_level="error")

class Kills(aw.Callback):
    done = False

    def on_report(self, study, trial, step, metrics):
        if not self.done and len(list(folder.glob("pid-*"))) == 2:
            self.done = True
            cluster.remove_node(node, allow_graceful=False)
            write(folder / "killed")

def evaluate(candidate):
    if not (folder / "killed").exists():
        write(folder / f"pid-{os.getpid()}", os.getpid())
        while not (folder / "killed").exists():
            candidate.report(1, value=0.0)
            time.sleep(0.05)
        pids = [int(path.read_text()) for path in folder.glob("pid-*")]
        while not any(map(has_ended, pids)):  # until this process is dead, or the other one
            time.sleep(0.05)
    return value(candidate.architecture)

study = aw.Study(SPACE, strategy="random", seed=3)
study.run(evaluate, aw.Budget(trials=6), executor="ray", workers=2, callbacks=[Kills()])
print([trial.state for trial in study.trials].count("complete"), sorted(trial.attempts for trial in study.trials))
"""


@pytest.mark.slow
def test_a_node_that_is_lost_costs_one_attempt(tmp_path):
    folder = tempfile.mkdtemp(prefix="ray-")
    ended = run("-c", NODES, tmp_path, cwd=".", timeout=200, env={"RAY_TMPDIR": folder})
    shutil.rmtree(folder, ignore_errors=True)
    assert ended.stdout.splitlines()[-1:] == ["6 [1, 1, 1, 1, 1, 2]"], ended.stderr
