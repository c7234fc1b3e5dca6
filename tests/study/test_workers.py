"""Searches with several workers: nothing is lost, doubled or different, whatever dies."""

from __future__ import annotations

import gc
import os
import signal
import tempfile
import threading
import time
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import ClassVar

import numpy as np
import pytest
import torch
from tests.execute.helpers import has_ended, wait_for, write
from tests.processes import run
from tests.study.faults import assert_died, assert_replayed, assert_whole, dying, killed_driver
from tests.study.helpers import SMALL, SPACE, function, record, value
from tests.study.killed import Growing

import archwright as aw
from archwright.errors import EvaluationError, StudyError, UnknownName
from archwright.execute import Job, Worker
from archwright.store import MemoryStore
from archwright.strategies import Random, Strategy
from archwright.study import _workers
from archwright.study._workers import Workers

pytestmark = pytest.mark.usefixtures("ctrl_c")


# --------------------------------------------------------------------------- results


def test_trials_are_those_of_one_worker(tmp_path):
    one = aw.Study(SPACE, strategy="random", seed=3).run(function, aw.Budget(trials=9))
    two = aw.Study(SPACE, strategy="random", seed=3, path=tmp_path).run(function, aw.Budget(trials=9), workers=2)
    assert list(map(record, two.trials)) == list(map(record, one.trials))
    assert (two.stopped_by, two.best.trial.number) == ("trials", one.best.trial.number)
    assert_whole(two, 9)


@pytest.mark.slow
def test_trainings_are_those_of_one_worker():
    training = aw.Training(aw.data("iris"), epochs=2, device="cpu")
    options = {"strategy": "random", "scheduler": "full", "budget": aw.Budget(trials=4), "ensemble": 2}
    one = aw.search("mlp", training, **options)
    two = aw.search("mlp", training, workers=2, **options)
    assert list(map(record, two.trials)) == list(map(record, one.trials))
    assert two.test == one.test
    assert two.ensemble.counts == one.ensemble.counts
    for name, weight in one.best.load().state_dict().items():
        assert torch.equal(weight, two.best.load().state_dict()[name])
    assert two.predict(aw.data("iris").test.inputs)


@pytest.mark.slow
def test_the_network_of_the_search_is_kept_without_a_final_training(tmp_path):
    training = aw.Training(aw.data("iris"), epochs=1, device="cpu")
    study = aw.search("mlp", training, budget=aw.Budget(trials=2), final=False, workers=2, path=tmp_path)
    candidate = aw.Candidate(study.space, study.best.architecture, seed=study.best.trial.seed)
    training.evaluate(candidate)
    for name, weight in candidate.model.state_dict().items():
        assert torch.equal(weight, study.best.load().state_dict()[name])


def test_a_program_needs_no_guard(tmp_path):
    code = """
import archwright as aw

class Block:
    factor = 3

def evaluate(candidate):
    return Block.factor * candidate.architecture["x"]

space = aw.Space(x=aw.integer(0, 9))
print(aw.search(space, evaluate, strategy="grid", budget=aw.Budget(trials=5), workers=2).best.metrics)
"""
    ended = run("-c", code, cwd=tmp_path)
    assert ended.stdout == "{'value': 12.0}\n", ended.stderr


@pytest.mark.parametrize(("scheduler", "folder"), [("asha", True), ("hyperband", False)])
@pytest.mark.filterwarnings("error:the checkpoint of trial")
def test_promoted_trials_go_on_in_any_process(tmp_path, monkeypatch, scheduler, folder):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    path = tmp_path / "run" if folder else None
    study = aw.search(
        SPACE, Growing(), strategy="random", scheduler=scheduler, budget=aw.Budget(trials=6), path=path, workers=2
    )
    alone = Worker(SPACE, Growing())
    promoted = [trial for trial in study.trials if trial.origin is not None]
    assert promoted
    for trial in study.trials:
        job = Job(trial.number, SPACE.fingerprint, trial.architecture, trial.seed, fidelity=trial.fidelity)
        assert trial.metrics["value"] == alone.run(job)[0].metrics["value"]
    assert all(len(trial.curve) == trial.fidelity["epochs"] for trial in promoted)
    assert 6 - 1e-9 <= study.history.spent < 7  # the last one may cost more than was left, as with one worker
    assert len({trial.origin for trial in promoted}) == len(promoted)
    if folder:
        numbers = {int(file.stem) for file in (path / "checkpoints").iterdir()}
        assert numbers == set(aw.load(path)._recorder.document["checkpoints"])
    else:  # they are in a temporary folder, and go with the study
        assert list(tmp_path.glob("archwright-*/checkpoints"))  # files are there while a trial may go on
        study.run(Growing(), aw.Budget(trials=7))  # in this process, from where it was
        del study
        gc.collect()
        assert not list(tmp_path.iterdir())


@pytest.mark.filterwarnings("error:the checkpoint of trial")
def test_an_evaluator_that_saves_nothing_starts_again_without_a_word():
    def evaluate(candidate):
        epochs = candidate.fidelity["epochs"]
        candidate.report(epochs, value=value(candidate.architecture))
        return value(candidate.architecture) + epochs / 100

    for workers in (1, 2):
        study = aw.search(
            SPACE, evaluate, scheduler="asha", fidelity={"epochs": (1, 9)}, budget=aw.Budget(trials=4), workers=workers
        )
        assert any(trial.origin is not None for trial in study.trials)


# --------------------------------------------------------------------------- proposals


@dataclass(frozen=True)
class Pensive(Strategy):
    """Takes its time to mutate the best, and notes how many trials run meanwhile."""

    running: list[int] = field(default_factory=list, compare=False)

    def propose(self, space, history, rng):
        self.running.append(len(history.running))
        time.sleep(0.06)
        return space.sample(rng) if history.best is None else space.mutate(history.best.architecture, rng)


@pytest.mark.parametrize("strategy", ["evolution", "bo", "slow"])
def test_each_proposal_is_replayed_from_what_it_saw(strategy):
    made = Pensive() if strategy == "slow" else aw.strategies.create(strategy)
    space = SPACE

    def evaluate(candidate):
        time.sleep(candidate.seed % 50 / 1000)
        return value(candidate.architecture)

    study = aw.Study(space, strategy=made, seed=1).run(evaluate, aw.Budget(trials=25), workers=3)
    assert_whole(study, 25)
    asked = len(made.running) if strategy == "slow" else 0
    assert_replayed(study)
    if strategy == "slow":
        assert max(made.running[:asked]) == 3  # proposed while all workers were busy


def test_a_quick_strategy_does_not_propose_ahead(monkeypatch):
    monkeypatch.setattr("archwright.study._loop._SLOW", 5.0)  # for machines that are slow today

    class Quick(Strategy):
        running: ClassVar[list[int]] = []

        def propose(self, space, history, rng):
            self.running.append(len(history.running))
            return space.sample(rng)

    aw.Study(SPACE, strategy=Quick()).run(function, aw.Budget(trials=12), workers=2)
    assert max(Quick.running) == 1


def test_a_small_space_is_exhausted_once():
    study = aw.Study(SMALL).run(function, aw.Budget(trials=99), workers=3)
    assert study.stopped_by == "exhausted"
    assert_whole(study, 12)


def test_the_budget_is_kept():
    study = aw.Study(SPACE)
    for trials in (1, 5):
        study.run(function, aw.Budget(trials=trials), workers=3)
        assert_whole(study, trials)
        assert len(study.trials) == trials


def test_a_target_and_a_callback_end_the_search():
    class Stops(aw.Callback):
        def on_trial_end(self, study, trial):
            if trial.number >= 3:
                study.stop()

    study = aw.Study(SPACE).run(function, aw.Budget(trials=99), workers=2, callbacks=[Stops()])
    assert (study.stopped_by, study.history.running) == ("callback", [])
    study = aw.Study(SPACE).run(function, aw.Budget(target=0.5), workers=2)
    assert (study.stopped_by, study.history.running) == ("target", [])


def test_callbacks_end_trials():
    class Ends(aw.Callback):
        def on_report(self, study, trial, step, metrics):
            if step == 2 and trial.number == 0:
                raise aw.Stopped("seen enough")
            if step == 2 and trial.number == 1:
                raise ValueError("a mistake in the callback")

    def evaluate(candidate):
        for step in range(50):
            candidate.report(step, value=step)
            time.sleep(0.002)
        return 1.0

    study = aw.Study(SPACE).run(evaluate, aw.Budget(trials=3), workers=2, callbacks=[Ends()])
    assert [trial.state for trial in study.trials] == ["pruned", "failed", "complete"]
    assert study.trials[0].error == "seen enough"
    assert study.trials[1].cause == "ValueError: a mistake in the callback"


def test_a_scheduler_stops_trials():
    def evaluate(candidate):
        for step in range(1, 30):
            candidate.report(step, value=value(candidate.architecture))
            time.sleep(0.002)
        return value(candidate.architecture)

    study = aw.search(SPACE, evaluate, scheduler="median", budget=aw.Budget(trials=16), workers=2)
    assert {trial.state for trial in study.trials} == {"complete", "pruned"}


# --------------------------------------------------------------------------- deaths


@pytest.mark.filterwarnings("ignore:the process of the trial")
def test_a_trial_whose_process_dies_once_is_as_if_it_had_not(tmp_path):
    unbroken = aw.Study(SPACE, strategy="random").run(function, aw.Budget(trials=10))
    study = aw.Study(SPACE, strategy="random").run(dying(tmp_path, "exit", "process"), aw.Budget(trials=10), workers=2)
    assert list(map(record, study.trials)) == list(map(record, unbroken.trials))
    assert_died(study, tmp_path, 2)


@pytest.mark.filterwarnings("ignore:no trial of 2 is complete")
def test_without_retries_a_death_is_a_failure():
    def evaluate(candidate):
        os.abort()

    study = aw.Study(SMALL).run(evaluate, aw.Budget(trials=2), workers=2, retries=0)
    assert [(trial.state, trial.attempts) for trial in study.trials] == [("failed", 1)] * 2


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:the process of the trial")
@pytest.mark.filterwarnings("ignore:the checkpoint of trial")
def test_workers_that_die_at_random_lose_nothing(tmp_path):
    (tmp_path / "deaths").mkdir()

    class Mortal(aw.Evaluator):
        fidelities: ClassVar = Growing.fidelities

        def evaluate(self, candidate):
            coin, deaths = np.random.default_rng(), len(list((tmp_path / "deaths").iterdir()))
            if deaths < 3 and coin.random() < 0.4:
                (tmp_path / "deaths" / str(os.getpid())).touch()
                # Itself alone: the number of a process that has ended may be that of any other by now.
                threading.Timer(0.05 * coin.random(), os.kill, (os.getpid(), signal.SIGKILL)).start()
            time.sleep(0.02)
            found = Growing().evaluate(candidate)
            time.sleep(0.02)
            return found

    options = {"strategy": "random", "scheduler": "asha", "budget": aw.Budget(trials=5), "path": tmp_path / "run"}
    study = aw.search(SPACE, Mortal(), workers=2, retries=4, **options)
    assert sorted(trial.number for trial in study.history.finished) == list(range(len(study.trials)))
    assert {trial.state for trial in study.trials} == {"complete"}
    assert list((tmp_path / "deaths").iterdir())
    alone = Worker(SPACE, Growing())
    for trial in study.trials:
        job = Job(trial.number, SPACE.fingerprint, trial.architecture, trial.seed, fidelity=trial.fidelity)
        assert trial.metrics == alone.run(job)[0].metrics
    assert aw.load(tmp_path / "run").trials == study.trials


def test_a_search_that_is_killed_goes_on_with_its_workers(tmp_path):
    killed_driver(tmp_path, done=5, trials=12, strategy="random", path=str(tmp_path / "run"))
    before = aw.load(tmp_path / "run")
    assert [trial.state for trial in before.trials].count("running") == 2
    assert len(before.history.complete) >= 5
    study = aw.load(tmp_path / "run", evaluator=function).resume()
    unbroken = aw.Study(SPACE, strategy="random", seed=3).run(function, aw.Budget(trials=12))
    assert list(map(record, study.trials)) == list(map(record, unbroken.trials))
    assert_whole(study, 12)
    assert sorted(trial.attempts for trial in study.trials) == [1] * 10 + [2] * 2


@pytest.mark.parametrize("where", ["a callback", "a wait"])
def test_ctrl_c_ends_the_search_and_its_trials_are_run_again(tmp_path, where):
    def evaluate(candidate):
        candidate.report(1, value=0.0)
        if (tmp_path / "wait").exists():
            write(tmp_path / f"pid-{os.getpid()}", os.getpid())
            candidate.report(2, value=0.0)
            if where == "a wait":
                while len(list(tmp_path.glob("pid-*"))) < 2:
                    time.sleep(0.01)
                os.kill(os.getppid(), signal.SIGINT)
            time.sleep(600)
        return function(candidate)

    class Presses(aw.Callback):
        def on_trial_end(self, study, trial):
            if len(study.history.finished) == 4:
                (tmp_path / "wait").touch()

        def on_report(self, study, trial, step, metrics):
            if where == "a callback" and step == 2:
                signal.raise_signal(signal.SIGINT)

    study = aw.Study(SPACE, strategy="random", path=tmp_path / "run")
    study.run(evaluate, aw.Budget(trials=10), workers=2, callbacks=[Presses()])
    assert study.stopped_by == "interrupt"
    assert all(has_ended(int(path.read_text())) for path in tmp_path.glob("pid-*"))
    assert {trial.state for trial in study.trials} == {"complete", "running"}
    study.run(function, aw.Budget(trials=10), workers=2)
    unbroken = aw.Study(SPACE, strategy="random").run(function, aw.Budget(trials=10))
    assert list(map(record, study.trials)) == list(map(record, unbroken.trials))
    assert_whole(study, 10)
    assert {trial.attempts for trial in study.trials} == {1}


def test_an_error_of_the_strategy_ends_the_workers(tmp_path):
    class Broken(Random):
        def propose(self, space, history, rng):
            if len(history.trials) == 2:
                wait_for(tmp_path / "pid")
                raise RuntimeError("no idea")
            return super().propose(space, history, rng)

    def evaluate(candidate):
        write(tmp_path / "pid", os.getpid())
        time.sleep(600)

    study = aw.Study(SPACE, strategy=Broken())
    with pytest.raises(RuntimeError, match="no idea"):
        study.run(evaluate, aw.Budget(trials=5), workers=3)
    assert has_ended(int((tmp_path / "pid").read_text()))
    assert [trial.state for trial in study.run(function, aw.Budget(trials=2)).trials] == ["complete"] * 2


# --------------------------------------------------------------------------- limits


SLOW = {"x": 1, "y": 0}


def test_a_trial_has_its_time(monkeypatch):
    monkeypatch.setattr(_workers, "_LATE", 60.0)  # for machines that are slow to start a process

    def evaluate(candidate):
        step = 0
        while dict(candidate.architecture) == SLOW:
            step += 1
            candidate.report(step, value=0.1)
            time.sleep(0.001)
        return 0.5

    for workers in (1, 2):
        study = aw.Study(SMALL).run(evaluate, aw.Budget(trials=12), workers=workers, trial_seconds=0.5)
        assert_whole(study, 12)
        for trial in study.trials:
            told = ("pruned", "out of time") if dict(trial.architecture) == SLOW else ("complete", None)
            assert (trial.state, trial.error) == told


# --------------------------------------------------------------------------- settings


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"workers": 0}, "workers is the number .* not 0"),
        ({"workers": "all"}, "workers is the number .* \"auto\", not 'all'"),
        ({"workers": 2.5}, "workers is the number .* not 2.5"),
        ({"workers": True}, "workers is the number .* not True"),
        ({"workers": 2000}, "1 to 1024"),
        ({"trial_seconds": 0}, "trial_seconds is a number of seconds above 0, .* not 0"),
        ({"trial_memory": float("inf")}, "trial_memory is a number of gigabytes .* not inf"),
        ({"retries": -1}, "retries is a number from 0 to 4, not -1"),
    ],
)
def test_settings_are_checked_before_anything_is_written(tmp_path, options, told):
    with pytest.raises(StudyError, match=told):
        aw.search(SPACE, function, budget=aw.Budget(trials=1), path=tmp_path, **options)
    assert not list(tmp_path.iterdir())


def test_a_number_of_workers_is_told():
    given = aw.evaluate.as_evaluator(function), aw.Budget(trials=2)
    assert [Workers(count).decided(*given)[1] for count in (1, 2)] == [(), ("workers 2: as given",)]


def auto(monkeypatch, evaluator=None, budget=None, *, cores=8, gigabytes=64.0, memory=None):
    monkeypatch.setattr(_workers, "_cores", lambda: cores)
    pages = {"SC_PHYS_PAGES": int(gigabytes * 1e9 / 4096), "SC_PAGE_SIZE": 4096}
    monkeypatch.setattr(os, "sysconf", pages.__getitem__)
    evaluator = evaluator or aw.evaluate.as_evaluator(function)
    decided, lines = Workers("auto", trial_memory=memory).decided(evaluator, budget or aw.Budget(trials=10))
    assert lines[0].startswith(f"workers {decided.workers}: ")
    return decided.workers


def test_auto_takes_as_many_as_pay(monkeypatch):
    class Prepares(aw.Evaluator):
        def prepare(self, preparation):
            return None

        def evaluate(self, candidate):
            return {"value": 1.0}

    measured = aw.cost.Costed(aw.evaluate.as_evaluator(function), [aw.cost.Latency("eager")])
    on_gpu = aw.evaluate.as_evaluator(function)
    on_gpu.device = "mps"
    assert auto(monkeypatch) == 8
    assert auto(monkeypatch, gigabytes=5.1) == 4
    assert auto(monkeypatch, memory=10.0) == 5
    assert auto(monkeypatch, budget=aw.Budget(seconds=20)) == 1
    assert auto(monkeypatch, budget=aw.Budget(minutes=20)) == 8
    assert auto(monkeypatch, Prepares()) == 1
    assert auto(monkeypatch, measured) == 1
    assert auto(monkeypatch, on_gpu) == 1


def test_gpus_are_distributed(monkeypatch):
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 3)
    evaluator = SimpleNamespace(device="cuda:0", processes=1)
    assert _workers._devices(evaluator) == ["0", "1", "2"]
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "4,6,GPU-7")
    devices = _workers._devices(evaluator)
    assert devices == ["4", "6", "GPU-7"]
    assert [_workers._visible(devices, place)["CUDA_VISIBLE_DEVICES"] for place in range(5)] == [*devices, "4", "6"]
    assert _workers._devices(SimpleNamespace(device="cuda:1", processes=1)) == []


@pytest.mark.parametrize(
    ("gpus", "count", "wanted"), [(4, 2, ["0,1", "2,3"]), (5, 2, ["0,1", "2,3"]), (3, 3, ["0,1,2"])]
)
def test_a_worker_has_as_many_gpus_as_a_training_has_processes(gpus, count, wanted, monkeypatch):
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: gpus)
    evaluator = aw.evaluate.as_evaluator(function)
    evaluator.device, evaluator.processes = "cuda:0", count
    assert _workers._devices(evaluator) == wanted
    assert auto(monkeypatch, evaluator) == len(wanted)
    assert _workers._visible(wanted, 1) == ({"CUDA_VISIBLE_DEVICES": "2,3"} if len(wanted) > 1 else {})


def test_settings_are_on_record_and_a_search_goes_on_with_them(tmp_path):
    def evaluate(candidate):
        threads = float(os.environ["OMP_NUM_THREADS"])
        return {"value": function(candidate), "process": float(os.getpid()), "threads": threads}

    aw.Study(SPACE, path=tmp_path).run(evaluate, aw.Budget(trials=2), workers=2, trial_seconds=60, retries=1)
    study = aw.load(tmp_path, evaluator=evaluate)
    assert study._recorder.document["workers"] == {
        "workers": 2,
        "trial_seconds": 60,
        "trial_memory": None,
        "retries": 1,
        "executor": "processes",
    }
    study.resume(aw.Budget(trials=6))
    assert os.getpid() not in {trial.metrics["process"] for trial in study.trials}
    assert {trial.metrics["threads"] for trial in study.trials} == {1.0}  # no more than the search itself has
    aw.load(tmp_path, evaluator=evaluate).resume(aw.Budget(trials=8), workers=1)
    assert {trial.metrics["process"] for trial in aw.load(tmp_path).trials[6:]} == {os.getpid()}


def test_a_record_does_not_say_which_cluster_is_joined():
    written = Workers(8, executor=aw.Ray("10.0.0.1:6379")).to_json()
    assert written["executor"] == "ray"
    with pytest.raises(StudyError, match=r"ran on 'ray', whose settings are not on record: .*--executor ray"):
        Workers.resumed(written, None, None)
    assert Workers(**Workers.resumed(written, 2, aw.Ray("auto"))) == Workers(2, executor=aw.Ray("auto"))
    assert Workers(**Workers.resumed(written, None, "processes")) == Workers(8)
    assert Workers(**Workers.resumed(None, None, None)) == Workers()
    assert Workers.from_json(written) == Workers("auto")  # to run trials again on this machine


def test_an_unknown_executor_is_told_before_anything_is_written(tmp_path):
    with pytest.raises(UnknownName, match="Did you mean 'ray'"):
        aw.search(SPACE, function, budget=aw.Budget(trials=1), path=tmp_path, executor="rya")
    assert not list(tmp_path.iterdir())


def test_a_machine_without_the_run_folder_is_told(tmp_path):
    with pytest.raises(StudyError, match=r"has no folder .*elsewhere, .* storage that all of them share"):
        _workers._worker(SPACE, Growing(), (), tmp_path / "elsewhere")


def test_what_cannot_be_sent_is_told_before_the_first_trial():
    lock = threading.Lock()
    with pytest.raises(EvaluationError, match=r"workers=2: .* cannot be sent to another process"):
        aw.Study(SPACE).run(lambda candidate: float(lock.locked()), aw.Budget(trials=1), workers=2)


def test_what_was_seen_is_stored_for_the_trials_of_one_worker():
    study = aw.Study(SPACE).run(function, aw.Budget(trials=4))
    store = study._recorder.hold()
    assert isinstance(store, MemoryStore)
    assert [each.seen for each in store.read().records] == [0, 1, 2, 3]
