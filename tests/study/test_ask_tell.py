from __future__ import annotations

import math

import numpy as np
import pytest
from tests.study.helpers import SMALL, SPACE, walk

import archwright as aw
from archwright.errors import EvaluationError, StrategyError, StudyError, UnknownName
from archwright.evaluate import Stopped
from archwright.space import Architecture
from archwright.strategies import Strategy


@pytest.fixture(params=["memory", "folder"])
def study(request, tmp_path):
    path = None if request.param == "memory" else tmp_path / "run"
    with aw.Study(SPACE, objective="max accuracy", path=path) as study:
        yield study


def test_a_trial_begins_and_ends(study):
    trial = study.ask()
    assert (trial.number, trial.state, trial.attempts) == (0, "running", 1)
    assert trial.architecture in SPACE
    assert 0 <= trial.seed < 2**31
    ended = study.tell(trial, 0.5, curve=[{"step": 1, "accuracy": 0.4}])
    assert ended.state == "complete"
    assert ended.metrics == {"accuracy": 0.5}
    assert ended.curve == ({"step": 1, "accuracy": 0.4},)
    assert ended.seconds >= 0
    assert study.trials[0] == ended == study.best.trial
    assert study.best.architecture == trial.architecture


@pytest.mark.parametrize("outcome", [1, 1.0, True, np.float32(1), np.array(1.0), {"accuracy": np.int64(1)}])
def test_numbers_of_all_kinds(study, outcome):
    ended = study.tell(study.ask(), outcome)
    assert ended.metrics == {"accuracy": 1.0}
    assert type(ended.metrics["accuracy"]) is float


@pytest.mark.parametrize("outcome", [math.nan, math.inf, -math.inf])
def test_an_objective_that_is_not_finite_fails_the_trial(study, outcome):
    ended = study.tell(study.ask(), {"accuracy": outcome, "loss": 1.0})
    assert ended.state == "failed"
    assert ended.error == f"the objective 'accuracy' is {outcome}"
    assert ended.metrics["loss"] == 1.0
    assert study.best is None


def test_a_missing_objective_fails_the_trial_and_names_what_came(study):
    ended = study.tell(study.ask(), {"loss": 1.0, "f1": 0.5})
    assert ended.state == "failed"
    assert "'max accuracy'" in ended.error
    assert "loss, f1" in ended.error


def test_other_metrics_may_be_anything(study):
    assert study.tell(study.ask(), {"accuracy": 0.5, "loss": math.nan}).state == "complete"


def test_an_exception_fails_the_trial_with_its_traceback(study):
    def broken():
        raise RuntimeError("out of luck")

    try:
        broken()
    except RuntimeError as error:
        ended = study.tell(study.ask(), error)
    assert ended.state == "failed"
    assert "in broken" in ended.error
    assert "RuntimeError: out of luck" in ended.error


def test_a_long_traceback_is_shortened_in_its_middle(study):
    ended = study.tell(study.ask(), RuntimeError("x" * 100_000 + " end"))
    assert len(ended.error) < 21_000
    assert ended.error.endswith(" end\n")


def test_stopped_prunes_with_the_last_point_of_the_curve(study):
    curve = [{"step": 1, "accuracy": 0.3}, {"step": 2, "accuracy": 0.6, "loss": 1.0}]
    ended = study.tell(study.ask(), Stopped("enough"), curve=curve)
    assert (ended.state, ended.error) == ("pruned", "enough")
    assert ended.metrics == {"accuracy": 0.6, "loss": 1.0}
    assert study.tell(study.ask(), Stopped()).metrics == {}
    assert study.best.trial == ended


@pytest.mark.parametrize("outcome", [None, "0.5", [1.0], {}, {"accuracy": "high"}, {1: 2.0}, np.ones(2)])
def test_what_is_no_outcome_is_refused_and_the_trial_stays_open(study, outcome):
    trial = study.ask()
    with pytest.raises(EvaluationError):
        study.tell(trial, outcome)
    assert study.trials[0].state == "running"
    assert study.tell(trial, 0.5).state == "complete"


def test_telling_twice(study):
    trial = study.ask()
    study.tell(trial, 0.5)
    with pytest.raises(StudyError, match="trial 0 was told before: it is complete"):
        study.tell(trial, 0.6)
    assert study.trials[0].metrics == {"accuracy": 0.5}


def test_telling_of_an_unknown_trial(study):
    trial = study.ask()
    other = aw.Study(SPACE, seed=1)
    foreign = other.ask()
    assert foreign.architecture != trial.architecture
    with pytest.raises(StudyError, match="not one of this study's 1 trial;"):
        study.tell(foreign, 0.5)
    with pytest.raises(StudyError, match="not one of this study's 1 trial;"):
        study.tell(other.ask(), 0.5)


def test_several_trials_may_run_and_end_in_any_order(study):
    trials = [study.ask() for _ in range(5)]
    assert len({trial.architecture for trial in trials}) == 5
    for trial in (trials[3], trials[0], trials[4]):
        study.tell(trial, trial.number / 10)
    assert [trial.number for trial in study.history.finished] == [3, 0, 4]
    assert study.best.trial.number == 4
    assert study.ask().number == 5


def test_seeds_of_trials_differ_and_follow_from_the_seed():
    seeds = [[trial.seed for trial in walk(aw.Study(SPACE, seed=s), 50).trials] for s in (0, 0, 1)]
    assert seeds[0] == seeds[1]
    assert len(set(seeds[0] + seeds[2])) == 100


def test_elapsed_counts_only_while_something_is_under_way(monkeypatch):
    now = [100.0]
    monkeypatch.setattr("time.monotonic", lambda: now[0])
    study = aw.Study(SPACE)
    now[0] += 10
    first = study.ask()
    now[0] += 1
    second = study.ask()
    now[0] += 1
    study.tell(first, 0.1)
    now[0] += 1
    assert study.tell(second, 0.2).seconds == 2
    now[0] += 10
    assert study.elapsed == 3


@pytest.mark.parametrize("seed", [-1, 1.5, True, None, "0"])
def test_a_seed_that_is_none(seed):
    with pytest.raises(StudyError, match="seed must be an integer of 0 or more"):
        aw.Study(SPACE, seed=seed)


def test_a_strategy_that_is_none():
    with pytest.raises(UnknownName, match="Did you mean 'evolution'"):
        aw.Study(SPACE, strategy="evoluton")
    with pytest.raises(StrategyError, match="not 3"):
        aw.Study(SPACE, strategy=3)


def test_a_strategy_that_leaves_the_space_is_told_so():
    class Lost(Strategy):
        def propose(self, space, history, rng):
            return Architecture({"x": 99})

    with pytest.raises(StrategyError, match=r"Lost proposed .* not in the space"):
        aw.Study(SMALL, strategy=Lost()).ask()

    class Loose(Strategy):
        def propose(self, space, history, rng):
            return {"x": 1, "y": 1}

    with pytest.raises(StrategyError, match=r"Loose.propose must return an Architecture, not \{'x': 1"):
        aw.Study(SMALL, strategy=Loose()).ask()


def test_summary_is_json_of_what_there_is(study):
    import json

    study.tell(study.ask(), {"accuracy": 0.5, "loss": math.nan})
    study.tell(study.ask(), ValueError("no"))
    study.ask()
    summary = json.loads(json.dumps(study.summary(), allow_nan=False))
    assert summary["trials"] == {"running": 1, "complete": 1, "pruned": 0, "infeasible": 0, "failed": 1}
    assert summary["best"]["architecture"] == study.best.architecture.to_json()
    assert summary["best"]["metrics"] == {"accuracy": 0.5, "loss": "nan"}
    assert summary["objectives"] == ["max accuracy"]
    assert (summary["space"], summary["strategy"], summary["seed"]) == ("letters", "evolution", 0)
    assert summary["seconds"] > 0
    assert summary["test"] is None
