"""The ensemble of a search: of which networks it is, what becomes of it in a kill, and when there is none."""

from __future__ import annotations

import json
import shutil
import signal
import sqlite3
from contextlib import closing

import pytest
import torch
import torch.nn.functional as F
from tests import processes

import archwright as aw
from archwright.errors import EvaluationError, StudyError
from archwright.export import read_best
from archwright.study._budget import search_time
from archwright.study._ensemble import Ensembler
from archwright.study._guard import Overdue

OPTIONS = {"strategy": "random", "scheduler": "full", "budget": aw.Budget(trials=5)}
SPACE = aw.Space(
    model=aw.nn.Sequential(
        aw.nn.LazyLinear(aw.ordinal(2, 3, 4, 6, 8, 12, name="width")), aw.nn.ReLU(), aw.nn.LazyLinear(3)
    )
)


def data():
    generator = torch.Generator().manual_seed(0)
    inputs = torch.randn(150, 6, generator=generator)
    noise = torch.randn(150, generator=generator)
    return aw.data((inputs, ((inputs[:, 0] * inputs[:, 1] + 0.5 * noise > 0).long() + (inputs[:, 2] > 1).long())))


def training(**options):
    return aw.Training(data(), **{"epochs": 2, "final_epochs": 2, "device": "cpu", **options})


def search(**options):
    return aw.search(SPACE, options.pop("evaluator", None) or training(), **{**OPTIONS, "ensemble": 3, **options})


@pytest.fixture(scope="module")
def whole():
    """A search in memory that nothing disturbs."""
    return search()


def parts(study):
    """What of an ensemble has to be the same however it was made."""
    found = study.ensemble
    return [trial.number for trial in found.members], found.counts, dict(found.metrics), dict(found.single)


@pytest.mark.parametrize("folder", [True, False])
def test_it_is_of_networks_of_the_search_and_no_worse_than_the_best(tmp_path, folder):
    study = search(path=tmp_path / "run" if folder else None)
    ensemble = study.ensemble
    assert 1 <= len(ensemble.members) <= sum(ensemble.counts) <= 3
    assert sum(ensemble.weights) == pytest.approx(1)
    assert ensemble.metrics["accuracy"] >= ensemble.single["accuracy"]
    assert ensemble.single["accuracy"] == pytest.approx(study.best.metrics["accuracy"])
    # What is loaded has the metrics, by hand.
    network, task = ensemble.load(), training().task
    part = task.data.test
    with torch.no_grad():
        logs = network(task.prepare(part.inputs))
    assert F.nll_loss(logs, part.targets).item() == pytest.approx(ensemble.metrics["test_loss"], rel=1e-4)
    accuracy = (logs.argmax(1) == part.targets).float().mean().item()
    assert accuracy == pytest.approx(ensemble.metrics["test_accuracy"])
    assert sum(each.numel() for each in network.parameters()) == ensemble.metrics["parameters"]
    labels = [found.label for found in study.predict(part.inputs, ensemble=True)]
    assert labels == [task.data.classes[place] for place in logs.argmax(1)]
    assert study.summary()["ensemble"]["metrics"] == ensemble.metrics
    # The final training has learned from the validation part, and replaces none of its networks.
    assert study.test is not None
    if folder:
        assert "stage" in json.loads((tmp_path / "run" / "ensemble" / "metrics.json").read_text())
        assert {read_best(tmp_path / "run", f"pool/{n}").stage for n in range(5)} == {"search"}
        again = aw.load(tmp_path / "run")
        assert parts(again) == parts(study)
        with torch.no_grad():
            assert torch.equal(again.ensemble.load()(task.prepare(part.inputs)), logs)
        assert "ensemble of trial" in (tmp_path / "run" / "log.txt").read_text()


def test_it_is_the_same_in_memory_and_in_a_folder_and_beside_several_finals(whole, tmp_path):
    assert parts(search(path=tmp_path, final=3)) == parts(whole)
    assert parts(search(final=False)) == parts(whole)


def test_by_default_there_is_none_and_nothing_is_kept_for_it(tmp_path):
    study = search(ensemble=0, path=tmp_path)
    assert study.ensemble is None
    assert study.summary()["ensemble"] is None
    assert not {"pool", "ensemble"} & {each.name for each in tmp_path.iterdir()}
    with pytest.raises(StudyError, match="holds no ensemble"):
        study.predictor(ensemble=True)
    with pytest.raises(StudyError, match="trial=1 and ensemble=True"):
        study.predictor(1, ensemble=True)


def test_the_best_of_each_architecture_is_kept_at_its_highest_fidelity(tmp_path):
    study = search(
        scheduler="asha", fidelity={"epochs": (1, 9)}, budget=aw.Budget(trials=8), path=tmp_path, final=False
    )
    best = study.history.top(10)
    assert {int(each.name) for each in (tmp_path / "pool").iterdir()} == {trial.number for trial in best}
    assert len(best) == 6  # that many architectures there are
    assert all(trial in best for trial in study.ensemble.members)


def test_smaller_networks_of_a_search_by_width_are_combined_as_they_are(tmp_path):
    study = search(scheduler="asha", fidelity={"width": (0.25, 1)}, path=tmp_path, final=False)
    assert study.ensemble.load()(torch.zeros(2, 6)).shape == (2, 3)


def killed(folder, place):
    """Begin a search that is killed at a place; return the process when it is dead."""
    script = f"""
import os, signal
from tests.study.test_ensemble import search
from archwright.study._best import Artifacts
from archwright.study._ensemble import Ensembler
from archwright.study._recorder import Recorder
def die(*_, **__): os.kill(os.getpid(), signal.SIGKILL)
{place}
search(path={str(folder)!r}, resume=True)
"""
    done = processes.run("-c", script)
    assert done.returncode == -signal.SIGKILL, done.stderr


PLACES = {
    "before": "Ensembler._make = die",
    "during": "Artifacts.keep_ensemble = die",
    "after": "keep = Artifacts.keep_ensemble; Artifacts.keep_ensemble = lambda *a: (keep(*a), die())",
    "in the search": "from archwright.study._log import Log; begun = Log.on_trial_start; "
    "Log.on_trial_start = lambda self, study, trial: die() if trial.number == 3 else begun(self, study, trial)",
    "in the final training": "from archwright.evaluate import Training; Training.retrain = die",
}


@pytest.mark.parametrize("place", PLACES)
def test_a_killed_search_comes_to_the_same_ensemble(whole, tmp_path, place):
    killed(tmp_path, PLACES[place])
    before = aw.load(tmp_path)
    assert (before.ensemble is not None) == (place == "in the final training")
    study = aw.load(tmp_path, evaluator=training()).resume()  # with ensemble=3, which is on record
    assert parts(study) == parts(whole)
    assert study.ensemble.load()(torch.zeros(2, 6)).shape == (2, 3)
    assert study.test == whole.test


def test_it_is_made_once_and_again_when_there_is_more_to_select_from(tmp_path):
    made = []

    class Count(aw.Callback):
        def on_ensemble(self, study, ensemble):
            made.append(parts(study))

    search(path=tmp_path, callbacks=[Count()])
    resumed = aw.load(tmp_path, evaluator=training())
    elapsed = resumed.resume(callbacks=[Count()]).elapsed
    assert (len(made), aw.load(tmp_path).elapsed) == (1, elapsed)
    resumed.resume(aw.Budget(trials=6), callbacks=[Count()])
    assert len(made) == 2
    assert made[1] == parts(search(budget=aw.Budget(trials=6)))
    resumed.resume(ensemble=2, callbacks=[Count()])
    assert sum(made[2][1]) <= 2
    shutil.rmtree(tmp_path / "ensemble")
    resumed.resume(callbacks=[Count()])
    assert made[3] == made[2]
    resumed.resume(aw.Budget(trials=7), ensemble=0, callbacks=[Count()])
    assert len(made) == 4
    assert parts(resumed) == made[3]  # what was made stays


def test_networks_that_are_damaged_or_gone_are_left_out(tmp_path):
    made = search(path=tmp_path)
    for number, trial in enumerate(made.history.top(5)[:3]):
        if number:
            shutil.rmtree(tmp_path / "pool" / str(trial.number))
        else:
            (tmp_path / "pool" / str(trial.number) / "weights.safetensors").write_bytes(b"")
    shutil.rmtree(tmp_path / "ensemble")
    study = aw.load(tmp_path, evaluator=training()).resume()
    assert {trial.number for trial in study.ensemble.members} <= {each.number for each in made.history.top(5)[3:]}


def test_a_study_in_a_store_without_a_folder_loses_it_with_its_process(tmp_path):
    store = {"store": tmp_path / "studies.db", "name": "first"}
    study = search(**store, final=False)
    again = aw.load(**store, evaluator=training())
    assert parts(again) == parts(study)
    with pytest.raises(StudyError, match="no run folder and another process made it"):
        again.ensemble.load()
    with pytest.warns(UserWarning, match="no ensemble was made.*at least 2 complete trials, and 0 are kept"):
        again.resume()
    assert parts(again) == parts(study)


def test_a_study_in_a_store_with_a_folder_keeps_it(tmp_path):
    place = {"store": tmp_path / "studies.db", "path": tmp_path / "run"}
    study = search(**place)
    again = aw.load(**place)
    assert parts(again) == parts(study)
    assert torch.equal(again.ensemble.load()(torch.ones(2, 6)), study.ensemble.load()(torch.ones(2, 6)))


def test_a_task_of_ones_own_combines_by_its_mean(tmp_path):
    inputs = torch.randn(120, 6, generator=torch.Generator().manual_seed(0))
    pairs = (inputs, inputs[:, :3].abs())
    task = aw.Task(train=pairs, validation=pairs, test=pairs, loss=F.l1_loss)
    study = search(evaluator=aw.Training(task, epochs=2, device="cpu"), path=tmp_path, final=False)
    networks = [study._artifacts.pooled(study.space, trial.number).network for trial in study.ensemble.members]
    mean = sum(weight * each(inputs) for weight, each in zip(study.ensemble.weights, networks, strict=True))
    assert torch.allclose(study.ensemble.load()(inputs), mean, atol=1e-5)
    assert study.ensemble.metrics["test_loss"] == pytest.approx(F.l1_loss(mean, pairs[1]).item(), rel=1e-4)


def test_an_evaluator_of_ones_own_that_trains_networks_on_a_task_serves():
    class Mine(aw.Evaluator):
        objective = "max accuracy"

        def __init__(self):
            self.inner = training(epochs=1)
            self.task, self.example_input = self.inner.task, self.inner.example_input

        def evaluate(self, candidate):
            return self.inner.evaluate(candidate)

    study = search(evaluator=Mine())
    assert study.ensemble.metrics["test_accuracy"] > 0
    assert study.test is None


@pytest.mark.parametrize("size", [1, -1, True, 2.5, "3"])
def test_sizes_that_are_none_are_refused_before_anything_is_written(tmp_path, size):
    with pytest.raises(StudyError, match="ensemble is the largest number of networks to combine, 2 or more, or 0"):
        search(ensemble=size, path=tmp_path / "run")
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("options", "error", "told"),
    [
        (
            {"objective": ["max accuracy", "min parameters"]},
            StudyError,
            r"there are 2 \(max accuracy, min parameters\)",
        ),
        ({"objective": "max accuracy - 1e-6*parameters"}, StudyError, "needs others.*'max accuracy', and bounds of"),
        ({"evaluator": lambda candidate: 1.0}, EvaluationError, "has no task"),
        ({"evaluator": "shared"}, EvaluationError, "share the weights of a supernet"),
    ],
    ids=["objectives", "costs", "function", "shared"],
)
def test_searches_that_cannot_have_one_are_refused(tmp_path, options, error, told):
    if options.get("evaluator") == "shared":
        options = {"evaluator": aw.SupernetEvaluator(training())}
    with pytest.raises(error, match=told):
        search(path=tmp_path / "run", **options)
    assert not (tmp_path / "run").exists()
    study = aw.Study(SPACE, strategy="random", objective=options.get("objective", "max value"))
    with pytest.raises(error, match=told):
        study.run(options.get("evaluator") or training(), aw.Budget(trials=2), ensemble=2)


def test_an_evaluator_that_trains_no_network_is_told_in_the_end():
    class Empty(aw.Evaluator):
        objective = "max accuracy"
        task = training().task

        def evaluate(self, candidate):
            return {"accuracy": 0.5}

    with pytest.warns(UserWarning, match="0 are kept.*the evaluator trains candidate.model"):
        study = search(evaluator=Empty())
    assert study.ensemble is None


def test_a_combination_that_fails_is_told_and_the_final_training_goes_on():
    class Broken(torch.nn.Module):
        def __init__(self, weights):
            raise ArithmeticError("no way")

    evaluator = training()
    evaluator.task.combination = Broken
    with pytest.warns(UserWarning, match="no ensemble was made; `resume` tries it again: ArithmeticError: no way"):
        study = search(evaluator=evaluator)
    assert study.ensemble is None
    assert study.test is not None


def test_a_search_by_time_leaves_some_for_it():
    budget = aw.Budget(seconds=100)
    shares = [
        search_time(budget, training(), complete=True, final=final, ensemble=ensemble)
        for final, ensemble in [(False, False), (False, True), (True, False), (True, True)]
    ]
    assert shares == [100, 95, 70, 70]


@pytest.fixture(scope="module")
def of_two(tmp_path_factory):
    """The folder of a search of two trials."""
    folder = tmp_path_factory.mktemp("two") / "run"
    search(path=folder, final=False, budget=aw.Budget(trials=2)).close()
    return folder


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ({"size": -1, "result": None}, "'size' of ensemble is -1"),
        ({"size": 2}, "ensemble has no field 'result'"),
        ({"members": [{"trial": 0, "count": 0}]}, "the count of a member of ensemble is 0"),
        ({"metrics": {"accuracy": "x"}}, "'metrics' of ensemble"),
        ({"candidates": ["x"]}, "a candidate of ensemble is 'x'"),
    ],
)
def test_a_wrong_record_is_told(of_two, tmp_path, wrong, told):
    shutil.copytree(of_two, tmp_path, dirs_exist_ok=True)
    with closing(sqlite3.connect(tmp_path / "study.db")) as database, database:
        (written,) = database.execute("SELECT value FROM documents WHERE name = 'ensemble'").fetchone()
        right = json.loads(written)
        value = wrong if "size" in wrong else {**right, "result": {**right["result"], **wrong}}
        database.execute("UPDATE documents SET value = ? WHERE name = 'ensemble'", (json.dumps(value),))
    with pytest.raises(aw.errors.StoreError, match=told):
        aw.load(tmp_path)


def test_a_record_of_a_trial_that_is_none_is_told(of_two):
    study = aw.load(of_two)
    study._recorder.document["ensemble"]["result"]["members"][0]["trial"] = 7
    with pytest.raises(StudyError, match="a network of trial 7, which is not on record"):
        study.ensemble


def test_a_selection_that_is_ended_by_the_clock_is_told_and_the_final_training_goes_on(monkeypatch):
    def late(self):
        raise Overdue

    monkeypatch.setattr(Ensembler, "_make", late)
    with pytest.warns(UserWarning, match="no ensemble was made; `resume` tries it again: its time was over"):
        study = search()
    assert study.ensemble is None
    assert study.test is not None
