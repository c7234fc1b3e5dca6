"""Proposals that are made again from the record, and records that somebody has changed."""

from __future__ import annotations

import json
import random
import sqlite3
from contextlib import closing
from typing import ClassVar

import numpy as np
import pytest
from tests.study.helpers import SPACE, function, value, walk
from tests.study.killed import Growing
from tests.study.test_kill import kill, start

import archwright as aw
from archwright import nn
from archwright.errors import StoreError, StudyError
from archwright.evaluate import Fidelity
from archwright.store import SQLStore
from archwright.study import Verification, verify
from archwright.study._verify import _chosen


def change(folder, number, **columns):
    """Change columns of a trial by hand; those that hold JSON are changed by a function."""
    with closing(sqlite3.connect(folder / "study.db")) as file, file:
        for name, to in columns.items():
            (stored,) = file.execute(f"SELECT {name} FROM trials WHERE number = ?", (number,)).fetchone()
            new = json.dumps(to(json.loads(stored))) if callable(to) else to
            file.execute(f"UPDATE trials SET {name} = ? WHERE number = ?", (new, number))


def other(architecture):
    """An architecture with another option for one decision."""
    return {**architecture, "e0": "abcde"[("abcde".index(architecture["e0"]) + 1) % 5]}


# --------------------------------------------------------------------------- proposals


@pytest.mark.parametrize("strategy", ["random", "evolution", "bo", "tpe", "reinforce"])
@pytest.mark.parametrize("workers", [1, 2])
def test_each_proposal_is_made_again(tmp_path, strategy, workers):
    trials = 20
    aw.Study(SPACE, strategy=strategy, seed=2, path=tmp_path).run(function, aw.Budget(trials=trials), workers=workers)
    before = {path: path.read_bytes() for path in tmp_path.iterdir() if path.is_file()}
    found = verify(aw.load(tmp_path))
    assert found == Verification(dict.fromkeys(range(trials), ""))
    assert found.agrees
    assert {path: path.read_bytes() for path in before} == before


@pytest.mark.parametrize(
    ("scheduler", "workers"), [("asha", 1), ("asha", 2), ("hyperband", 2), ("pasha", 1), ("median", 1)]
)
def test_promotions_are_made_again(tmp_path, scheduler, workers):
    options = {"strategy": "evolution", "scheduler": scheduler, "budget": aw.Budget(trials=6)}
    study = aw.search(SPACE, Growing(), path=tmp_path, workers=workers, **options)
    found = verify(aw.load(tmp_path))
    assert found.agrees, found
    assert len(found.proposals) == len(study.trials)
    if scheduler != "median":
        assert any(trial.origin is not None for trial in study.trials)


def test_several_objectives_constraints_starts_and_failures(tmp_path):
    def evaluate(candidate):
        at = value(candidate.architecture)
        if at < 0.1:
            raise ValueError("fails")
        return {"value": at, "cost": 1000 * at % 7}

    options = {"objective": ["max value", "min cost"], "constraints": "cost <= 5", "seed": 3}
    starts = [dict.fromkeys(SPACE.decisions, letter) for letter in "ab"]
    for strategy in ("nsga2", "evolution"):
        study = aw.search(
            SPACE,
            evaluate,
            strategy=strategy,
            starts=starts,
            budget=aw.Budget(trials=30),
            path=tmp_path / strategy,
            workers=2,
            **options,
        )
        assert study.history.infeasible
        assert verify(aw.load(tmp_path / strategy, evaluator=evaluate)).agrees
        with pytest.raises(StudyError, match="evaluator cannot be restored"):
            verify(aw.load(tmp_path / strategy))


def test_a_study_in_memory_and_one_that_is_asked(tmp_path):
    assert verify(walk(aw.Study(SPACE, constraints="value >= 0.2"), 12)).agrees
    with aw.Study(SPACE, path=tmp_path, strategy="bo") as study:
        walk(study, 6)
        waiting = [study.ask() for _ in range(3)]  # which are told of in another order
        for trial in reversed(waiting):
            study.tell(trial, value(trial.architecture))
        walk(study, 4)
        study.ask()
        assert len(verify(study).proposals) == 14
        assert verify(study).agrees
    assert verify(aw.load(tmp_path)).agrees


@pytest.mark.parametrize("strategy", ["evolution", "asha"])
def test_a_search_that_was_killed_and_resumed(tmp_path, strategy):
    for place in (("report", 3), ("untold", 5), ("end", 6)):
        kill(start(tmp_path, *place, strategy=strategy))
        assert verify(aw.load(tmp_path)).agrees
    assert start(tmp_path, strategy=strategy).communicate()[0] == "done\n"
    study = aw.load(tmp_path)
    found = verify(study)
    assert found.agrees, found
    assert len(found.proposals) == len(study.trials)


def test_a_proxy_selects_again(tmp_path):
    space = aw.Space(model=nn.Sequential(nn.LazyLinear(aw.ordinal(4, 8, 16)), nn.ReLU(), nn.LazyLinear(3)))
    options = {"screen": "parameters", "constraints": "parameters <= 200", "inherit": True}
    training = aw.Training(aw.data("iris"), epochs=1, device="cpu")
    aw.search(space, training, strategy="random", budget=aw.Budget(trials=3), final=False, path=tmp_path, **options)
    assert verify(aw.load(tmp_path)).agrees


def test_a_supernet_proposes_again(tmp_path):
    space = aw.Space(model=nn.Sequential(aw.choice(nn.Linear(4, 3), nn.Sequential(nn.Linear(4, 3), nn.ReLU()))))
    training = aw.Training(aw.data("iris"), epochs=1, device="cpu")
    aw.search(space, training, strategy="darts", budget=aw.Budget(trials=2), final=False, path=tmp_path)
    assert verify(aw.load(tmp_path)).agrees
    with pytest.raises(StudyError, match="weights of a supernet"):
        verify(aw.load(tmp_path), trials=1)


class Unsteady(aw.Evaluator):
    """Says something else each time when it is asked how long an epoch takes."""

    fidelities: ClassVar = {"epochs": Fidelity(1, 9)}

    def evaluate(self, candidate):
        return {"value": value(candidate.architecture)}

    def seconds_per_epoch(self, candidate):
        return float(np.random.default_rng().integers(100))


@pytest.mark.parametrize("strategy", ["random", "evolution"])
def test_times_that_were_measured_for_a_constraint_are_on_record(tmp_path, strategy):
    space = aw.Space(
        model=nn.Sequential(*(nn.LazyLinear(aw.ordinal(*range(1, 9), name=f"w{i}")) for i in range(3))),
        example_input=(4,),
    )
    options = {"strategy": strategy, "constraints": ["seconds_per_epoch <= 30"], "final": False, "path": tmp_path}
    for trials in (8, 16):  # in a new process they are measured anew
        aw.search(space, Unsteady(), budget=aw.Budget(trials=trials), resume=True, **options)
    records = aw.load(tmp_path)._recorder.records()
    assert sum(len((record.saw or {}).get("seconds_per_epoch", {})) for record in records) > 30
    assert verify(aw.load(tmp_path, evaluator=Unsteady())).agrees
    place = next(record.trial.number for record in records if record.saw)
    change(tmp_path, place, saw=lambda saw: {"seconds_per_epoch": dict.fromkeys(saw["seconds_per_epoch"], 99.0)})
    assert verify(aw.load(tmp_path, evaluator=Unsteady())).proposals[place]
    change(tmp_path, place, saw='{"seconds_per_epoch": "soon"}')
    assert "what follows cannot be replayed" in verify(aw.load(tmp_path, evaluator=Unsteady())).proposals[place]


# --------------------------------------------------------------------------- records that were changed


@pytest.mark.parametrize("workers", [1, 2])
@pytest.mark.parametrize("strategy", ["random", "evolution", "bo"])
def test_an_architecture_that_was_changed_is_found(tmp_path, strategy, workers):
    aw.Study(SPACE, strategy=strategy, seed=1, path=tmp_path).run(function, aw.Budget(trials=15), workers=workers)
    was = aw.load(tmp_path).trials[7].architecture
    change(tmp_path, 7, architecture=other)
    found = verify(aw.load(tmp_path))
    assert not found.agrees
    assert found.proposals[7] == f"e0 is {other(was)['e0']!r}, and {was['e0']!r} is proposed"
    assert not any(found.proposals[number] for number in range(7))
    if strategy == "random":
        assert [number for number, told in found.proposals.items() if told] == [7]


def test_seeds_orders_and_metrics_that_were_changed_are_found(tmp_path):
    aw.Study(SPACE, strategy=aw.strategies.Evolution(population=4, sample=2), path=tmp_path).run(
        function, aw.Budget(trials=20)
    )
    change(tmp_path, 5, seed=12)
    assert [number for number, told in verify(aw.load(tmp_path)).proposals.items() if told] == [5]
    best = max(range(10), key=lambda number: value(aw.load(tmp_path).trials[number].architecture))
    change(tmp_path, best, metrics=lambda metrics: {"value": -1.0})
    found = {number for number, told in verify(aw.load(tmp_path)).proposals.items() if told}
    assert found > {5}
    assert min(found - {5}) > best


def test_an_architecture_of_another_space_ends_the_replay(tmp_path):
    aw.Study(SPACE, path=tmp_path).run(function, aw.Budget(trials=6))
    change(tmp_path, 3, architecture=lambda one: {**one, "e0": "z"})
    found = verify(aw.load(tmp_path))
    assert sorted(found.proposals) == [0, 1, 2, 3]
    assert "is not in the space; what follows cannot be replayed" in found.proposals[3]
    with (
        aw.load(tmp_path, strategy=aw.strategies.create("bo", initial=2)) as study,
        pytest.raises(StoreError, match="damaged: the architecture of trial 3 is not in the space"),
    ):
        study.ask()


def test_trials_of_an_earlier_version_are_named(tmp_path):
    aw.Study(SPACE, path=tmp_path).run(function, aw.Budget(trials=6))
    change(tmp_path, 0, seen=None)
    change(tmp_path, 4, seen=None)
    found = verify(aw.load(tmp_path))
    assert found.agrees
    assert found.unknown == (0, 4)
    assert sorted(found.proposals) == [1, 2, 3, 5]


def test_other_versions_are_named(tmp_path):
    aw.Study(SPACE, path=tmp_path).run(function, aw.Budget(trials=1))
    study = aw.load(tmp_path)
    now = study._recorder.document["versions"]["torch"]
    store = SQLStore(tmp_path / "study.db", locked=True)
    store.acquire()
    store.update(versions={**study._recorder.document["versions"], "torch": "1.0"})
    store.close()
    assert verify(aw.load(tmp_path)).versions == {"torch": ("1.0", now)}


# --------------------------------------------------------------------------- trials again


@pytest.mark.parametrize("workers", [1, 2])
def test_trials_have_the_same_metrics_again(tmp_path, workers):
    def randomly(candidate):  # by the global generators, which are seeded for each trial
        return {"value": value(candidate.architecture), "noise": random.random() + np.random.rand()}

    aw.Study(SPACE, path=tmp_path).run(randomly, aw.Budget(trials=10), workers=workers)
    study = aw.load(tmp_path, evaluator=randomly)
    found = verify(study, trials=3)
    assert list(found.trials.values()) == [""] * 3
    assert study.best.trial.number in found.trials
    assert sorted(verify(study, trials=99).trials) == list(range(10))
    change(tmp_path, study.best.trial.number, metrics=lambda metrics: {**metrics, "noise": 0.5})
    found = verify(aw.load(tmp_path, evaluator=randomly), trials=99)
    (told,) = filter(None, found.trials.values())
    assert told.startswith("noise is 0.5, and ")
    assert told.endswith(" comes again")
    assert not found.agrees


def test_a_trial_that_fails_now_is_told(tmp_path):
    aw.Study(SPACE, strategy="random", path=tmp_path).run(function, aw.Budget(trials=2))

    def broken(candidate):
        raise ValueError("broken since")

    found = verify(aw.load(tmp_path, evaluator=broken), trials=1)
    assert list(found.trials.values()) == ["it is complete on record, and failed again: ValueError: broken since"]


@pytest.mark.parametrize("scheduler", ["asha", "patience"])
def test_trials_of_schedulers_have_the_same_metrics_again(tmp_path, scheduler):
    study = aw.search(
        SPACE, Growing(), strategy="random", scheduler=scheduler, budget=aw.Budget(trials=5), path=tmp_path
    )
    found = verify(aw.load(tmp_path, evaluator=Growing()), trials=99)
    assert found.agrees, found
    assert sorted(found.trials) == sorted(trial.number for trial in study.history.complete)


def test_trainings_have_the_same_metrics_again(tmp_path):
    training = aw.Training(aw.data("iris"), epochs=2, device="cpu")
    options = {"objective": ["max accuracy", "min latency_ms"], "budget": aw.Budget(trials=2), "final": False}
    aw.search("mlp", training, strategy="random", scheduler="full", path=tmp_path, **options)
    found = verify(aw.load(tmp_path), trials=2)
    assert found.agrees, found
    assert "latency_ms" in found.measured
    assert len(found.trials) == 2


def test_a_training_by_time_that_differs_says_why(tmp_path):
    training = aw.Training(aw.data("iris"), device="cpu")
    options = {"strategy": "random", "scheduler": "asha", "fidelity": {"seconds": (0.05, 0.1)}, "final": False}
    aw.search("mlp", training, budget=aw.Budget(trials=1), path=tmp_path, **options)
    change(tmp_path, 0, metrics=lambda metrics: {**metrics, "loss": 77.0})
    told = verify(aw.load(tmp_path), trials=99).trials[0]
    assert "loss is 77.0" in told
    assert told.endswith("; it was trained for 0.05 s, in which another number of steps was made")


def test_trials_that_took_over_weights_are_not_run_again():
    history = aw.History(aw.Objective("value"))
    for number, origin in enumerate([None, None, 0, 1, 2]):
        architecture = aw.Architecture({"x": 1 if number == 3 else number})
        done = {"state": "complete", "metrics": {"value": number}, "origin": origin}
        history.add(aw.Trial(number, architecture, share=0.5 if number < 3 else 1.0, **done))
    # Trial 2 took over the weights of 0, and 4 those of 2; 3 goes on from 1, which is the same architecture.
    assert [trial.number for trial in _chosen(history, 9)] == [0, 1, 3]


def test_arguments_are_checked():
    study = walk(aw.Study(SPACE), 2)
    for wrong in (-1, 1.5, True):
        with pytest.raises(StudyError, match="number of trials to run again"):
            verify(study, trials=wrong)
    with pytest.raises(StudyError, match="evaluator cannot be restored"):
        verify(study, trials=1)
