"""Several evaluations with different seeds."""

from __future__ import annotations

import statistics
from typing import Any

import pytest
import torch
from tests.evaluate.stubs import candidate, convnet, images
from torch import nn

import archwright as aw
from archwright.errors import EvaluationError
from archwright.evaluate import Candidate, Evaluator, FunctionEvaluator, Repeats, Stopped, Training
from archwright.evaluate._repeats import _APART

SPACE = aw.Space(x=aw.choice(1, 2))


def test_means_and_spread_are_those_of_the_evaluations_by_themselves() -> None:
    training = Training(images(), epochs=1)
    one = candidate(convnet, seed=4)
    metrics = Repeats(training, 3).evaluate(one)
    alone = [training.evaluate(candidate(convnet, seed=4 + number * _APART)) for number in range(3)]
    assert len({each["loss"] for each in alone}) == 3
    for name in alone[0]:
        assert metrics[name] == pytest.approx(statistics.fmean(each[name] for each in alone), abs=1e-12)
    assert metrics["accuracy_std"] == pytest.approx(statistics.pstdev(each["accuracy"] for each in alone))
    assert metrics.keys() == alone[0].keys() | {"accuracy_std"}
    first = candidate(convnet, seed=4)
    training.evaluate(first)
    assert one.curve == first.curve
    state = first.model.state_dict()
    assert all(torch.equal(weight, state[name]) for name, weight in one.model.state_dict().items())


def test_stages_and_fidelity_are_those_of_the_candidate() -> None:
    seen: list[Any] = []

    def look(one: Candidate) -> float:
        seen.append((one.fidelity, one.stages, one.seed, one.deadline))
        return 1.0

    stages = ({"epochs": 1}, {"epochs": 3})
    one = Candidate(
        SPACE, SPACE.canonical({"x": 1}), seed=5, fidelity=stages[-1], stages=stages, deadline=1e12, save=seen.append
    )
    Repeats(FunctionEvaluator(look), 3).evaluate(one)
    assert [each[2] for each in seen] == [5, 5 + _APART, 5 + 2 * _APART]
    assert {(str(each[:2]), each[3]) for each in seen} == {(str((stages[-1], stages)), 1e12)}


def test_all_begin_with_what_was_inherited() -> None:
    began: list[torch.Tensor] = []

    class Trains(Evaluator):
        def evaluate(self, one: Candidate) -> dict[str, float]:
            (weight,) = one.model.parameters()
            began.append(weight.detach().clone())
            nn.init.zeros_(weight)
            return {"value": 1.0}

    one = candidate(lambda: nn.Linear(2, 2, bias=False))
    inherited = nn.Linear(2, 2, bias=False)
    expected = inherited.weight.detach().clone()
    one.adopt(inherited)
    Repeats(Trains(), 3).evaluate(one)
    assert len(began) == 3
    assert all(torch.equal(each, expected) for each in began)


def test_a_metric_that_one_of_them_lacks_has_no_mean() -> None:
    def odd(one: Candidate) -> dict[str, float]:
        return {"value": 1.0, "extra": 2.0} if one.seed == 0 else {"value": 3.0}

    one = Candidate(SPACE, SPACE.canonical({"x": 1}), seed=0)
    assert Repeats(FunctionEvaluator(odd), 2).evaluate(one) == {"value": 2.0, "value_std": 1.0}
    without = Repeats(FunctionEvaluator(lambda one: {"other": 1.0}), 2)
    assert without.evaluate(one) == {"other": 1.0}


def test_stopping_one_stops_all() -> None:
    calls = []

    def stop(one: Candidate) -> float:
        calls.append(one.seed)
        raise Stopped("enough")

    with pytest.raises(Stopped, match="enough"):
        Repeats(FunctionEvaluator(stop), 3).evaluate(Candidate(SPACE, SPACE.canonical({"x": 1}), seed=0))
    assert calls == [0]


@pytest.mark.parametrize("repeats", [0, -1, 1.5, "2"])
def test_the_number_is_checked(repeats: Any) -> None:
    with pytest.raises(EvaluationError, match="repeats must be an integer of 1 or more"):
        Repeats(FunctionEvaluator(lambda one: 1.0), repeats)


def test_it_is_what_it_repeats_in_all_else() -> None:
    training = Training(images(), epochs=1, final_epochs=1)
    repeats = Repeats(training, 2)
    assert (repeats.objective, repeats.settings, repeats.device) == ("max accuracy", training.settings, training.device)
    assert repeats.fidelities == training.fidelities
    assert repeats.example_input == training.example_input
    assert repeats.retrains
    assert not repeats.prepares
    assert repeats.task is training.task
    assert not Repeats(FunctionEvaluator(lambda one: 1.0), 2).retrains
    one, same = candidate(convnet, seed=1), candidate(convnet, seed=1)
    assert repeats.retrain(one) == training.retrain(same)
    assert repeats.to_json() is None  # the data are in memory

    class Ready(Training):
        def prepare(self, preparation: Any) -> None:
            return None

    assert Repeats(Ready(images()), 2).prepares


def test_a_search_repeats_and_is_read_back(tmp_path: Any) -> None:
    data = aw.data("iris")
    options: dict[str, Any] = {"strategy": "random", "scheduler": "full", "final": False}
    study = aw.search("mlp", Repeats(Training(data, epochs=1), 2), budget=aw.Budget(trials=2), path=tmp_path, **options)
    assert all("accuracy_std" in trial.metrics for trial in study.trials)
    loaded = aw.load(tmp_path)
    assert isinstance(loaded.evaluator, Repeats)
    assert (loaded.evaluator.repeats, repr(loaded.evaluator)) == (2, repr(Repeats(Training(data, epochs=1), 2)))
    loaded.resume(aw.Budget(trials=3))
    assert "accuracy_std" in loaded.trials[2].metrics


def test_what_comes_again_is_repeated_with_other_seeds_and_measured_once() -> None:
    space = aw.Space(x=aw.real(0.1, 0.100002))  # three values
    calls: list[Any] = []

    def look(one: Candidate) -> float:
        calls.append((one.architecture, one.seed))
        return 1.0

    aw.search(space, Repeats(look, 3), strategy="random", budget=aw.Budget(trials=9))
    assert len(calls) == len(set(calls)) == 9
    assert len({architecture for architecture, _ in calls}) == 3
