"""What a space decides besides the network has its effect, or is refused."""

from __future__ import annotations

import math
from typing import ClassVar

import pytest
from tests.evaluate.stubs import table

import archwright as aw
from archwright import nn
from archwright.cost import Costed
from archwright.errors import EvaluationError, SchedulerError, SpaceError, StrategyError
from archwright.evaluate import Fidelity, Repeats

MODEL = nn.Sequential(nn.LazyLinear(8), nn.ReLU(), nn.LazyLinear(3))
RATE = aw.Space(model=MODEL, lr=aw.real(1e-3, 1e-1, log=True))
EPOCHS = aw.Space(model=MODEL, epochs=aw.ordinal(1, 2, 20))


@pytest.fixture(scope="module")
def training():
    return aw.Training(table(), epochs=10)


# --------------------------------------------------------------------------- epochs in the space


@pytest.mark.parametrize("scheduler", ["auto", "asha", "hyperband", "full"])
def test_trials_are_given_a_share_of_the_epochs_they_decide(training, scheduler, tmp_path):
    budget = aw.Budget(trials=5)
    study = aw.search(
        EPOCHS, training, scheduler=scheduler, strategy="random", budget=budget, final=False, path=tmp_path
    )
    assert all(trial.state == "complete" for trial in study.trials)
    for trial in study.trials:
        wanted = trial.share * trial.architecture["epochs"]
        assert 0.7 * wanted - 0.25 <= trial.metrics["epochs"] <= wanted + 0.25  # one that overfits ends early
    assert {trial.architecture["epochs"] for trial in study.trials} == {1, 2, 20}
    told = (tmp_path / "log.txt").read_text()
    assert (", 10% of its epochs" in told) == (scheduler != "full")
    assert ("fidelity epochs: decided by the space" in told) == (scheduler != "full")


def test_a_training_that_goes_on_comes_to_the_epochs_that_were_decided(training):
    study = aw.search(EPOCHS, training, scheduler="hyperband", strategy="random", budget=aw.Budget(trials=8))
    top = [trial for trial in study.history.complete if trial.share == 1 and trial.origin is not None]
    assert top
    for trial in top:
        assert trial.metrics["epochs"] == pytest.approx(trial.architecture["epochs"], abs=0.15)
        steps = [row["step"] for row in trial.curve]
        assert steps == sorted(set(steps))


def test_the_range_that_is_asked_for_is_one_of_shares(training):
    study = aw.search(
        EPOCHS, training, fidelity={"epochs": (0.25, 1)}, strategy="random", budget=aw.Budget(trials=3), final=False
    )
    assert {trial.share for trial in study.trials} >= {0.25}
    for trial in study.trials:  # and the decision itself stays what it is
        wanted = trial.share * trial.architecture["epochs"]
        assert 0.7 * wanted - 0.25 <= trial.metrics["epochs"] <= wanted + 0.25  # one that overfits ends early


def test_a_time_budget_leaves_the_epochs_to_the_space(training):
    study = aw.search(EPOCHS, training, budget=aw.Budget(seconds=1.5), strategy="random", final=False)
    assert set(study.ladder.rungs[0]) == {"epochs"}
    with pytest.raises(EvaluationError, match="the space decides the number of epochs, which trainings of so many sec"):
        aw.search(EPOCHS, training, fidelity={"seconds": (1, 9)}, budget=aw.Budget(trials=9))


class Steps(aw.Evaluator):
    """Is given less of something of its own."""

    fidelities: ClassVar = {"steps": Fidelity(1, 9, whole=True)}

    def evaluate(self, candidate):
        given = [stage["steps"] for stage in candidate.stages] if candidate.fidelity else []
        return {"value": 1.0, "given": (candidate.fidelity or {}).get("steps", math.nan), "stages": len(given)}


def test_so_it_is_with_every_evaluator_and_fidelity():
    space = aw.Space(steps=aw.ordinal(18, 90), other=aw.integer(0, 9))
    study = aw.search(space, Steps(), scheduler="asha", strategy="random", budget=aw.Budget(trials=6))
    for trial in study.trials:
        assert trial.metrics["given"] == pytest.approx(trial.share * trial.architecture["steps"])
        assert trial.fidelity["steps"] in (1, 3, 9)  # on record is the rung
    plain = aw.search(aw.Space(x=aw.integer(0, 9)), Steps(), scheduler="asha", budget=aw.Budget(trials=4))
    assert all(trial.metrics["given"] == trial.fidelity["steps"] for trial in plain.trials)


# --------------------------------------------------------------------------- what weight sharing does not go by


@pytest.mark.parametrize(
    "setting",
    [{"lr": aw.real(1e-3, 0.1)}, {"batch_size": aw.ordinal(8, 16)}, {"epochs": aw.integer(1, 9)}, {"lr": 0.1}],
    ids=lambda setting: f"{setting}"[:9],
)
def test_shared_weights_leave_no_room_for_settings(training, setting):
    space = aw.Space(model=MODEL, **setting)
    name = next(iter(setting))
    evaluator = aw.SupernetEvaluator(training)
    for one in (evaluator, Repeats(evaluator, 2), Costed(evaluator, [])):
        with pytest.raises(SpaceError, match=f"SupernetEvaluator does not understand: {name}.*understands: none"):
            aw.search(space, one, budget=aw.Budget(trials=2))
    with pytest.raises(SpaceError, match="SupernetEvaluator understands"):
        aw.Nested(evaluator, aw.Space(lr=aw.real(1e-3, 0.1)))


@pytest.mark.parametrize("strategy", ["darts", "enas"])
def test_strategies_that_go_by_a_supernet_leave_no_room_for_decisions(training, strategy, tmp_path):
    with pytest.raises(StrategyError, match="lr would be left to chance"):
        aw.search(RATE, training, strategy=strategy, budget=aw.Budget(trials=2), path=tmp_path / "run")
    assert not (tmp_path / "run").exists()
    alone = aw.SupernetEvaluator(training, "softmax", judge="alone")
    with pytest.raises(StrategyError, match="lr would be left to chance"):
        aw.Study(RATE, strategy=strategy, objective="max accuracy").run(alone, aw.Budget(trials=2))


def test_what_is_fixed_and_what_another_strategy_searches_is_taken(training):
    branches = nn.Sequential(nn.Flatten(), aw.choice(nn.Linear(5, 3), nn.Sequential(nn.Linear(5, 9), nn.Linear(9, 3))))
    fixed = aw.Space(model=branches, lr=0.1)
    study = aw.search(fixed, training, strategy=aw.strategies.DARTS(epochs=1), budget=aw.Budget(trials=1))
    assert study.history.best is not None
    alone = aw.SupernetEvaluator(training, "path", epochs=1, judge="alone")
    space = aw.Space(model=branches, lr=aw.real(1e-3, 0.1))
    study = aw.search(space, alone, strategy="random", budget=aw.Budget(trials=2), final=False)
    assert [trial.state for trial in study.trials] == ["complete"] * 2


def test_a_proxy_goes_by_the_network_alone(training):
    with pytest.raises(SpaceError, match="ProxyEvaluator does not understand: lr"):
        aw.search(RATE, aw.ProxyEvaluator(training), budget=aw.Budget(trials=2))


def test_what_a_nested_search_decides_is_decided_once(training):
    nested = aw.Nested(training, aw.Space(lr=aw.real(1e-3, 0.1), epochs=aw.ordinal(1, 2)), trials=2, strategy="random")
    with pytest.raises(SpaceError, match="the space decides lr, and so does the nested search"):
        aw.search(RATE, nested, budget=aw.Budget(trials=2))
    space = aw.Space(model=nn.Sequential(nn.LazyLinear(aw.integer(4, 9)), nn.LazyLinear(3)))
    with pytest.raises(EvaluationError, match="the nested search decides epochs by itself"):
        aw.search(space, nested, scheduler="asha", fidelity={"epochs": (1, 9)}, budget=aw.Budget(trials=9))
    study = aw.search(space, nested, budget=aw.Budget(trials=4), final=False)
    assert study.scheduler == aw.schedulers.Full()
    with pytest.raises(SchedulerError, match="no lower fidelity"):
        aw.search(space, nested, scheduler="asha", budget=aw.Budget(trials=9))


@pytest.mark.parametrize(
    ("part", "message"),
    [
        ({"batch_size": aw.choice("a", "b")}, "batch_size"),
        ({"batch_size": aw.ordinal(0, 8)}, "batch_size must be .* not 0"),
        ({"epochs": aw.real(1.0, 3.0)}, "epochs must be"),
        ({"schedule": aw.choice("cosine", "cosin")}, "unknown schedule 'cosin'"),
    ],
)
def test_values_that_a_training_cannot_have_are_refused_before_the_search(part, message):
    space = aw.Space(model=nn.Sequential(nn.LazyLinear(aw.choice(4, 8)), nn.LazyLinear(3)), **part)
    with pytest.raises(aw.errors.SpaceError, match=rf"the space decides '{next(iter(part))}', and .*{message}"):
        aw.search(space, aw.data("iris"), budget=aw.Budget(trials=1))


def test_constraints_that_no_network_keeps_are_told_before_a_supernet_is_trained():
    with pytest.raises(aw.errors.StudyError, match="no feasible network was found"):
        aw.search(
            aw.Space(model=nn.Sequential(nn.LazyLinear(aw.choice(4, 8)), nn.LazyLinear(3))),
            aw.data("iris"),
            strategy="darts",
            constraints=["parameters <= 1"],
            budget=aw.Budget(trials=1),
            callbacks=[Untrained()],
        )


class Untrained(aw.Callback):
    def on_prepare(self, study, step, metrics):
        raise AssertionError("the supernet is trained")
