"""Hyperparameters that are searched anew for each architecture."""

from __future__ import annotations

import math

import pytest
import torch
from tests.evaluate.stubs import images
from tests.study.helpers import SMALL, record
from torch import nn

import archwright as aw
from archwright.errors import SpaceError, StrategyError, UnknownName
from archwright.evaluate import Candidate, Evaluator, Stopped
from archwright.strategies import OneShot

RATES = aw.Space(lr=aw.real(1e-4, 1.0, log=True))


class Peaked(Evaluator):
    """Is best at a learning rate that depends on the architecture, and says with what it retrains."""

    settings = frozenset({"lr", "kind", "x", "y"})
    calls = 0

    def __init__(self):
        self.tried, self.retrained = [], []

    def evaluate(self, candidate):
        rate = candidate.settings["lr"]
        self.tried.append((candidate.architecture, rate))
        peak = -1 - candidate.architecture["x"]
        candidate.report(1, value=-9.0)
        return {"value": -abs(math.log10(rate) - peak)}

    def retrain(self, candidate):
        self.retrained.append((candidate.architecture, candidate.settings["lr"]))
        return {"test_value": candidate.settings["lr"]}


def candidate(**options):
    return Candidate(SMALL, SMALL.canonical({"x": 2, "y": 1}), seed=3, **options)


@pytest.mark.parametrize("strategy", ["bo", "random", "grid"])
def test_it_is_worth_what_the_best_of_its_settings_give(strategy):
    evaluator, one = Peaked(), candidate()
    space = RATES if strategy != "grid" else aw.Space(lr=aw.ordinal(1e-4, 1e-3, 1e-2, 0.1))
    metrics = aw.Nested(evaluator, space, trials=4, strategy=strategy).evaluate(one)
    values = [-abs(math.log10(rate) + 3) for _, rate in evaluator.tried]
    assert len(values) == 4
    assert metrics == {"value": max(values), "lr": evaluator.tried[values.index(max(values))][1]}
    assert metrics["value"] > min(values)
    best = [max(values[: number + 1]) for number in range(4)]
    assert [(row["step"], row["value"]) for row in one.curve] == list(zip(range(1, 5), best, strict=True))


def test_the_same_seed_tries_the_same():
    tried = []
    for _ in range(2):
        evaluator = Peaked()
        aw.Nested(evaluator, RATES, trials=5).evaluate(candidate())
        tried.append(evaluator.tried)
    assert tried[0] == tried[1]


def test_a_few_settings_are_all_tried_once():
    evaluator = Peaked()
    metrics = aw.Nested(evaluator, aw.Space(lr=aw.choice(0.1, 0.01)), trials=6, strategy="random").evaluate(candidate())
    assert sorted(rate for _, rate in evaluator.tried) == [0.01, 0.1]
    assert metrics["lr"] == 0.01


def test_the_final_training_uses_the_best_settings(tmp_path):
    evaluator = Peaked()
    options = {"strategy": "random", "budget": aw.Budget(trials=4), "path": tmp_path}
    study = aw.search(SMALL, aw.Nested(evaluator, RATES, trials=3), **options)
    best = study.best
    assert study.test == {"test_value": best.metrics["lr"]}
    assert evaluator.retrained == [(best.architecture, best.metrics["lr"])]
    tried = max(
        (t for t in evaluator.tried if t[0] == best.architecture),
        key=lambda t: -abs(math.log10(t[1]) + 1 + best.architecture["x"]),
    )
    assert tried[1] == best.metrics["lr"]


def test_another_process_finds_the_best_settings_again(tmp_path):
    options = {"strategy": "random", "path": tmp_path}
    study = aw.search(SMALL, aw.Nested(Peaked(), RATES, trials=3), budget=aw.Budget(trials=4), final=False, **options)
    fresh = Peaked()
    resumed = aw.load(tmp_path, evaluator=aw.Nested(fresh, RATES, trials=3)).resume(final=True)
    assert fresh.retrained == [(study.best.architecture, study.best.metrics["lr"])]
    assert len(fresh.tried) == 3
    assert resumed.test == {"test_value": study.best.metrics["lr"]}


def test_settings_with_which_it_fails_are_passed_over():
    class Picky(Peaked):
        def evaluate(self, one):
            if one.settings["lr"] > 0.02:
                raise ValueError("diverged")
            return super().evaluate(one)

    space = aw.Space(lr=aw.choice(0.1, 0.01, 0.5))
    assert aw.Nested(Picky(), space, trials=3, strategy="random").evaluate(candidate())["lr"] == 0.01
    with pytest.raises(
        aw.errors.EvaluationError, match="no settings gave a result; the last ones: ValueError: diverged"
    ):
        aw.Nested(Picky(), aw.Space(lr=aw.choice(0.1, 0.5)), trials=3, strategy="random").evaluate(candidate())


class Timed(Peaked):
    """Takes ten seconds, and reports and looks at the clock on the way."""

    def __init__(self, clock):
        super().__init__()
        self.clock = clock

    def evaluate(self, one):
        for step in range(10):
            self.clock.now += 1
            one.report(step, value=float(step - 20))
        return super().evaluate(one)


class Clock:
    now = 1000.0

    def __call__(self):
        return self.now


@pytest.mark.parametrize(("seconds", "tried", "value"), [(5, 0, -16.0), (20, 1, None), (25, 2, None), (1000, 4, None)])
def test_the_deadline_ends_it_with_the_best_so_far(monkeypatch, seconds, tried, value):
    clock = Clock()
    monkeypatch.setattr("time.monotonic", clock)
    evaluator = Timed(clock)
    nested = aw.Nested(evaluator, RATES, trials=4, strategy="random")
    one = candidate(deadline=1000.0 + seconds)
    if tried == 4:
        metrics = nested.evaluate(one)
        assert metrics["value"] == one.curve[-1]["value"]
    else:
        with pytest.raises(Stopped, match="out of time"):
            nested.evaluate(one)
    assert clock.now <= 1000 + seconds + 1
    best = max((-abs(math.log10(rate) + 3) for _, rate in evaluator.tried), default=value)
    assert one.curve[-1]["value"] == best
    assert len(evaluator.tried) == tried
    nested.retrain(one)
    rates = [rate for _, rate in evaluator.tried if -abs(math.log10(rate) + 3) == best]
    assert not rates or evaluator.retrained[0][1] == rates[0]


def test_a_search_may_stop_it():
    class Stop(aw.Callback):
        def on_report(self, study, trial, step, metrics):
            if step == 2:
                raise Stopped("enough")

    evaluator = Peaked()
    options = {"strategy": "random", "callbacks": [Stop()], "budget": aw.Budget(trials=1), "final": False}
    study = aw.search(SMALL, aw.Nested(evaluator, RATES, trials=5), **options)
    assert (study.trials[0].state, len(evaluator.tried)) == ("pruned", 2)
    assert study.best.metrics["value"] == max(-abs(math.log10(r) + 1 + a["x"]) for a, r in evaluator.tried)


@pytest.mark.parametrize(
    ("space", "options", "error", "message"),
    [
        (RATES, {"trials": 0}, SpaceError, "trials=0"),
        (aw.Space(rate=aw.real(0, 1)), {}, SpaceError, r"Peaked understands \(kind, lr, x, y\).*given were rate"),
        (aw.Space(model=aw.choice(1, 2)), {}, SpaceError, "given were model"),
        (RATES, {"strategy": "grid"}, StrategyError, "grid"),
        (RATES, {"strategy": "bayes"}, UnknownName, "bayes"),
    ],
)
def test_bad_use_is_told_at_once(space, options, error, message):
    with pytest.raises(error, match=message):
        aw.Nested(Peaked(), space, **options)


# --------------------------------------------------------------------------- with networks


def mlp():
    return aw.Space(
        model=aw.nn.Sequential(aw.nn.Flatten(), aw.nn.LazyLinear(aw.ordinal(4, 8)), aw.nn.ReLU(), aw.nn.LazyLinear(3)),
        example_input=aw.TensorSpec((1, 8, 8)),
    )


def test_the_network_that_is_kept_is_that_of_the_best_settings():
    space, training = mlp(), aw.Training(images(), epochs=2)
    one = Candidate(space, space.canonical(dict(next(space.enumerate()))), seed=1, example_input=space.example_input)
    metrics = aw.Nested(training, RATES, trials=3).evaluate(one)
    alone = Candidate(
        space, one.architecture, seed=1, settings={"lr": metrics["lr"]}, example_input=space.example_input
    )
    expected = training.evaluate(alone)
    assert metrics == {**expected, "lr": metrics["lr"]}
    for name, weight in alone.model.state_dict().items():
        assert torch.equal(weight, one.model.state_dict()[name])


def test_a_better_rate_than_the_worst_is_found_on_real_data():
    data = aw.data("iris")
    training = aw.Training(data, epochs=3)
    study = aw.search(
        "mlp", aw.Nested(training, RATES, trials=4), scheduler="full", budget=aw.Budget(trials=1), final=False
    )
    trial = study.trials[0]
    space = study.space
    worst = [
        training.evaluate(
            Candidate(space, trial.architecture, seed=trial.seed, settings={"lr": lr}, example_input=data.example_input)
        )["accuracy"]
        for lr in (1e-4, 1.0)
    ]
    assert trial.metrics["accuracy"] > min(worst)


def test_it_comes_back_from_its_record_and_goes_on(tmp_path):
    data = aw.data("iris")
    nested = aw.Nested(
        aw.Training(data, epochs=1),
        aw.Space(lr=aw.real(1e-3, 1e-1, log=True), optimizer=aw.choice("adamw", "sgd")),
        trials=2,
        strategy=aw.strategies.create("evolution", population=3, sample=2),
    )
    options = {"strategy": "random", "scheduler": "full", "final": False}
    whole = aw.search("mlp", nested, budget=aw.Budget(trials=3), **options)
    aw.search("mlp", nested, budget=aw.Budget(trials=1), path=tmp_path, **options)
    study = aw.load(tmp_path)
    made = study.evaluator
    assert (made.trials, made.strategy, repr(made)) == (2, nested.strategy, repr(nested))
    assert made.to_json() == nested.to_json()
    assert made.hyperparameters.fingerprint == nested.hyperparameters.fingerprint
    study.resume(aw.Budget(trials=3))
    assert [record(trial) for trial in study.trials] == [record(trial) for trial in whole.trials]
    assert aw.Nested(Peaked(), RATES).to_json() is None


def test_children_inherit_from_networks_whose_settings_were_searched():
    began = []

    class Looks(Evaluator):
        settings = frozenset({"lr"})

        def evaluate(self, one):
            began.append(next(one.model.parameters()).detach().clone())
            nn.init.constant_(next(one.model.parameters()), 7.0)
            return {"value": one.settings["lr"]}

    two = [aw.nn.LazyLinear(aw.ordinal(4, 8, name=name)) for name in ("first", "second")]
    space = aw.Space(model=aw.nn.Sequential(aw.nn.Flatten(), *two), example_input=aw.TensorSpec((1, 8, 8)))
    nested = aw.Nested(Looks(), aw.Space(lr=aw.choice(0.1, 0.2)), trials=2, strategy="random")
    study = aw.search(space, nested, strategy="random", inherit=True, budget=aw.Budget(trials=4))
    assert any(trial.origin is not None for trial in study.trials)
    for trial in study.trials:
        first, second = began[2 * trial.number : 2 * trial.number + 2]
        assert torch.equal(first, second)  # both from the same beginning, and neither from the other's end
        assert (trial.origin is not None) == bool((first[:4] == 7).all())


def test_one_shot_strategies_find_no_supernet_in_it():
    strategy = aw.strategies.create("darts")
    assert isinstance(strategy, OneShot)
    with pytest.raises(StrategyError, match="a supernet learns from data"):
        aw.search(mlp(), aw.Nested(aw.Training(images()), RATES), strategy=strategy, budget=aw.Budget(trials=1))
