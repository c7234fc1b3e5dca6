"""The best network: kept at once, in the run folder or in memory, and trained again in the end."""

from __future__ import annotations

import time
from typing import ClassVar

import pytest
import torch
from tests.study.helpers import SPACE, function, walk

import archwright as aw
from archwright.errors import StudyError
from archwright.evaluate import Fidelity

NETWORKS = aw.Space(
    model=aw.nn.Sequential(aw.nn.Linear(4, aw.ordinal(2, 3, 5, 8, name="width")), aw.nn.LazyLinear(2)),
    example_input=(4,),
)
INPUT = torch.linspace(-1, 1, 12).reshape(3, 4)


class Marks(aw.Evaluator):
    """Leaves its mark in the network's weights: the number of the evaluation, and 100 in the final one."""

    def __init__(self, values=(1, 3, 2, 0)):
        self.values = list(values)
        self.count = 0

    def evaluate(self, candidate):
        with torch.no_grad():
            candidate.model[-1].bias.fill_(float(self.count))
        self.count += 1
        return {"value": float(self.values[self.count - 1])}


class MarksAgain(Marks):
    def retrain(self, candidate):
        with torch.no_grad():
            candidate.model[-1].bias.fill_(100.0)
        return {"test_value": 0.5}


def mark(study):
    model = study.best.load()
    assert model(INPUT).shape == (3, 2)
    return model[-1].bias[0].item()


@pytest.mark.parametrize("folder", [True, False])
def test_the_best_network_is_that_of_the_best_trial(tmp_path, folder):
    study = aw.search(NETWORKS, Marks(), budget=aw.Budget(trials=4), path=tmp_path if folder else None)
    assert study.best.trial.number == 1
    assert mark(study) == 1.0
    if folder:
        assert mark(aw.load(tmp_path)) == 1.0
        assert (tmp_path / "best" / "model.py").exists()


@pytest.mark.parametrize("folder", [True, False])
def test_the_final_network_takes_its_place(tmp_path, folder):
    study = aw.search(NETWORKS, MarksAgain(), budget=aw.Budget(trials=4), path=tmp_path if folder else None)
    assert mark(study) == 100.0
    assert study.best.metrics == {"value": 3.0}
    assert study.test == {"test_value": 0.5}


def test_it_is_kept_before_the_search_goes_on(tmp_path):
    class Look(aw.Callback):
        def on_trial_end(self, study, trial):
            found.append(mark(aw.load(tmp_path)))

    found = []
    aw.search(NETWORKS, Marks(), budget=aw.Budget(trials=4), path=tmp_path, callbacks=[Look()])
    assert found == [0.0, 1.0, 1.0, 1.0]


def test_without_a_network_there_is_none_to_load(tmp_path):
    for path in (tmp_path, None):
        study = aw.search(SPACE, function, budget=aw.Budget(trials=3), path=path)
        with pytest.raises(StudyError, match="network"):
            study.best.load()
    with pytest.raises(StudyError, match=r"space\.build\(architecture\) makes one"):
        walk(aw.Study(SPACE), 3).best.load()


def test_a_network_that_is_not_the_best_on_record_is_not_passed_off_as_it(tmp_path):
    study = aw.search(NETWORKS, Marks((1,)), budget=aw.Budget(trials=1), path=tmp_path)
    with study:
        study.tell(study.ask(), 9.0)
    with pytest.raises(StudyError, match=r"holds the network of \w+, not that of \w+\."):
        study.best.load()


def test_a_network_that_cannot_be_kept_does_not_end_the_search(tmp_path, monkeypatch):
    def full(*args, **kwargs):
        raise OSError("disk full")

    monkeypatch.setattr("archwright.export.save_best", full)
    with pytest.warns(UserWarning, match=r"network of trial \d could not be kept.*disk full"):
        study = aw.search(NETWORKS, Marks(), budget=aw.Budget(trials=4), path=tmp_path)
    assert len(study.history.complete) == 4


def test_the_curve_of_a_running_trial_is_on_record(tmp_path, monkeypatch):
    monkeypatch.setattr("archwright.study._loop._NOTE_EVERY", -1.0)
    seen = []

    def slow(candidate):
        for step in range(3):
            candidate.report(step, value=step / 10)
            seen.append(aw.load(tmp_path).trials[0])
        return 0.5

    aw.search(SPACE, slow, budget=aw.Budget(trials=1), path=tmp_path)
    assert [len(trial.curve) for trial in seen] == [1, 2, 3]
    assert {trial.state for trial in seen} == {"running"}
    assert seen[-1].curve[-1] == {"step": 2.0, "value": 0.2}


def test_another_evaluator_is_warned_of(tmp_path):
    class Written(aw.Evaluator):
        def __init__(self, epochs):
            self.epochs = epochs

        def evaluate(self, candidate):
            return {"value": 1.0}

        def to_json(self):
            return {"type": "written", "epochs": (self.epochs,)}

    aw.search(SPACE, Written(1), budget=aw.Budget(trials=2), path=tmp_path)
    aw.load(tmp_path, evaluator=Written(1)).resume(aw.Budget(trials=3))
    with pytest.warns(UserWarning, match="differs from the one on record"):
        aw.load(tmp_path, evaluator=Written(2)).resume(aw.Budget(trials=4))


def test_the_name_of_a_space_and_data_are_enough(tmp_path):
    inputs, targets = torch.randn(120, 4), torch.arange(120) % 3
    inputs[torch.arange(120), targets] += 5.0
    study = aw.search("mlp", aw.data((inputs, targets)), budget=aw.Budget(trials=2), path=tmp_path)
    assert isinstance(study.evaluator, aw.Training)
    assert study.objective == aw.Objective("loss", maximise=False)  # a dozen validation samples
    assert study.best.load()(inputs[:7]).shape == (7, 3)
    assert study.test["test_accuracy"] > 0.5


class Slow(MarksAgain):
    """Takes all the time that a search has, so that less is left for the end."""

    def evaluate(self, candidate):
        metrics = super().evaluate(candidate)
        time.sleep(max(0.0, candidate.remaining()))
        return metrics

    def held_out(self, candidate, model):
        return {"test_value": model[-1].bias[0].item()}


@pytest.mark.parametrize("folder", [True, False])
def test_what_was_trained_for_longer_than_is_left_is_kept_and_tested(tmp_path, folder):
    path = tmp_path / "run" if folder else None
    with pytest.warns(UserWarning, match="of trial 0, which the search trained for .* kept as it is and tested"):
        study = aw.search(NETWORKS, Slow(), budget=aw.Budget(seconds=2), path=path)
    assert study.test == {"test_value": 0.0}
    assert mark(study) == 0.0


def test_of_a_network_on_several_splits_the_time_of_one_training_counts():
    class Split(Slow):
        fidelities: ClassVar = {"splits": Fidelity(1, 5, whole=True)}

        def evaluate(self, candidate):
            for number in range(1, 6):
                candidate.record(number, value=1.0)
            return super().evaluate(candidate)

    known = {"starts": [next(NETWORKS.enumerate())], "scheduler": "asha", "fidelity": {"splits": (1, 5)}}
    assert mark(aw.search(NETWORKS, Split(), budget=aw.Budget(seconds=2), **known)) == 100.0


def test_who_cannot_test_trains_again_however_short_it_is():
    class Untested(Slow):
        def held_out(self, candidate, model):
            return None

    assert mark(aw.search(NETWORKS, Untested(), budget=aw.Budget(seconds=2))) == 100.0
