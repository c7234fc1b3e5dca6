from __future__ import annotations

import subprocess
import sys
import types
import warnings

import pytest
import torch
from tests.study.helpers import SMALL, SPACE, function, value, walk

import archwright as aw
from archwright.datasets import Windows
from archwright.errors import BudgetError, StudyError
from archwright.strategies import Strategy
from archwright.study._describe import describe_data


class Mine(Strategy):
    def propose(self, space, history, rng):
        return space.sample(rng)


def test_everything_comes_back(tmp_path):
    strategy = aw.strategies.create("evolution", population=7, sample=2)
    with aw.Study(SPACE, strategy=strategy, objective="min loss", seed=5, path=tmp_path) as study:
        walk(study, 30)
        elapsed = study.elapsed
    loaded = aw.load(tmp_path)
    assert loaded.trials == study.trials
    assert loaded.history.finished == study.history.finished
    assert loaded.best.trial == study.best.trial
    assert loaded.space.fingerprint == SPACE.fingerprint
    assert (loaded.strategy, loaded.objective, loaded.seed) == (strategy, study.objective, 5)
    assert 0 < loaded.elapsed <= elapsed
    assert loaded.budget is None
    assert loaded.summary() == study.summary() | {"seconds": loaded.elapsed}


def test_another_space_is_refused_and_the_change_shown(tmp_path):
    aw.Study(aw.Space(width=aw.ordinal(8, 16)), path=tmp_path).close()
    changed = aw.Space(width=aw.ordinal(8, 16, 32))
    with pytest.raises(StudyError, match=r"(?s)not the one.*What changed.*-.*16.*\+.*32"):
        aw.load(tmp_path, space=changed)
    aw.load(tmp_path, space=aw.Space(width=aw.ordinal(8, 16)))


def test_a_space_that_cannot_be_written_down_is_given_again(tmp_path):
    space = aw.Space(x=aw.integer(0, 9), where=lambda a: a["x"] > 2)
    with aw.Study(space, path=tmp_path) as study:
        walk(study, 3)
    loaded = aw.load(tmp_path)
    assert loaded.best.trial == study.best.trial
    with pytest.raises(StudyError, match=r"cannot be restored.*space="):
        loaded.ask()
    with aw.load(tmp_path, space=space) as loaded:
        walk(loaded, 2)
    assert len(aw.load(tmp_path).trials) == 5


def test_a_strategy_that_has_no_name_is_given_again(tmp_path):
    with aw.Study(SPACE, strategy=Mine(), path=tmp_path) as study:
        walk(study, 3)
    loaded = aw.load(tmp_path)
    assert loaded.summary()["strategy"].endswith(":Mine")
    with pytest.raises(StudyError, match=r"Mine, cannot be restored.*strategy="):
        loaded.ask()
    with aw.load(tmp_path, strategy=Mine()) as loaded:
        walk(loaded, 2)
    assert len(aw.load(tmp_path).trials) == 5


def test_resume_needs_a_budget_and_an_evaluator(tmp_path):
    with aw.Study(SPACE, path=tmp_path) as study:
        walk(study, 3)
    with pytest.raises(BudgetError, match="has no budget yet"):
        aw.load(tmp_path, evaluator=function).resume()
    with pytest.raises(StudyError, match=r"evaluator cannot be restored.*resume=True.*evaluator="):
        aw.load(tmp_path).resume(aw.Budget(trials=5))
    study = aw.load(tmp_path, evaluator=function).resume(aw.Budget(trials=5))
    assert len(study.trials) == 5
    assert len(aw.load(tmp_path, evaluator=function).resume().trials) == 5


def test_a_registered_evaluator_comes_back(tmp_path, monkeypatch):
    from archwright.study import _describe

    monkeypatch.setitem(_describe._EVALUATORS, "ours", (__name__, "Ours"))
    aw.search(SPACE, Ours(3), budget=aw.Budget(trials=2), path=tmp_path)
    study = aw.load(tmp_path).resume(aw.Budget(trials=4))
    assert study.evaluator.factor == 3
    assert [t.metrics["value"] for t in study.trials] == [3 * value(t.architecture) for t in study.trials]


class Ours(aw.Evaluator):
    def __init__(self, factor):
        self.factor = factor

    def evaluate(self, candidate):
        return {"value": self.factor * value(candidate.architecture)}

    def to_json(self):
        return {"type": "ours", "factor": self.factor}

    @classmethod
    def from_json(cls, data):
        return cls(data["factor"])


def test_a_trial_of_another_process_may_be_told(tmp_path):
    with aw.Study(SPACE, path=tmp_path) as study:
        trials = [study.ask() for _ in range(3)]
    with aw.load(tmp_path) as loaded:
        assert loaded.tell(trials[1], 0.5).state == "complete"
        again = [loaded.ask() for _ in range(3)]
    assert [trial.number for trial in again] == [0, 2, 3]
    assert [trial.attempts for trial in again] == [2, 2, 1]
    assert again[0].architecture == trials[0].architecture


def test_the_room_is_light():
    program = (
        "import sys, archwright.study, archwright.strategies, archwright.trials\n"
        "import archwright as aw\n"
        "study = aw.Study(aw.Space(x=aw.choice(1, 2)))\n"
        "study.tell(study.ask(), 1.0)\n"
        "study.run(lambda candidate: 1.0, aw.Budget(trials=2))\n"
        "print([name for name in ('torch', 'sqlalchemy', 'filelock', 'sklearn') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_reading_does_not_disturb_writing(tmp_path):
    with aw.Study(SMALL, path=tmp_path) as study:
        for count in range(5):
            assert len(aw.load(tmp_path).history.finished) == count
            walk(study, 1)


def test_another_evaluator_than_the_one_on_record_is_told(tmp_path):
    space = aw.Space(model=aw.nn.Sequential(aw.nn.LazyLinear(aw.choice(4, 8, 16)), aw.nn.LazyLinear(3)))
    search = {"strategy": "random", "budget": aw.Budget(trials=1), "path": tmp_path / "run", "final": False}
    aw.search(space, aw.Training(aw.data("iris"), epochs=1), **search)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        aw.load(tmp_path / "run").resume(aw.Budget(trials=2))
    with pytest.warns(UserWarning, match="differs from the one on record in epochs: its trials are ranked together"):
        aw.load(tmp_path / "run", evaluator=aw.Training(aw.data("iris"), epochs=2)).resume(aw.Budget(trials=3))


def test_other_data_than_those_on_record_are_told(tmp_path):
    rows = [f"{n},{'ab'[n % 2]}\n" for n in range(120)]
    (tmp_path / "t.csv").write_text("".join(["x,y\n", *rows]))
    space = aw.Space(model=aw.nn.Sequential(aw.nn.LazyLinear(aw.choice(4, 8, 16)), aw.nn.LazyLinear(2)))
    training = aw.Training(aw.data(tmp_path / "t.csv"), epochs=1)
    aw.search(space, training, strategy="random", budget=aw.Budget(trials=1), path=tmp_path / "run", final=False)
    (tmp_path / "t.csv").write_text("".join(["x,y\n1000,a\n", *rows[1:]]))
    with pytest.warns(UserWarning, match=r"data differ from those on record: train 84, .* and on record train 84, "):
        aw.load(tmp_path / "run").resume(aw.Budget(trials=2))
    (tmp_path / "t.csv").write_text("".join(["x,y\n", *rows[10:]]))
    with pytest.warns(UserWarning, match=r"data differ from those on record: train 77, .* and on record train 84, "):
        aw.load(tmp_path / "run").resume(aw.Budget(trials=3))


def test_a_study_is_held_while_a_process_lives(tmp_path):
    program = f"import os, archwright as aw; aw.Study(aw.Space(x=aw.integer(0, 9)), path={str(tmp_path)!r}).ask(); "
    subprocess.run([sys.executable, "-c", f"{program} os._exit(1)"], check=False)
    assert (tmp_path / "study.lock.json").exists()
    study = aw.load(tmp_path)
    assert study.summary()["trials"]["running"] == 1
    assert not study.is_held
    study.ask()
    assert study.is_held
    assert aw.load(tmp_path).is_held
    study.close()
    assert not study.is_held


def test_windows_of_a_series_are_checked_without_a_copy(monkeypatch):
    made = torch.arange(60.0)[:, None]
    parts = [Windows(made, torch.arange(20), lookback=4, horizon=2, forecast=1) for _ in range(3)]
    task = types.SimpleNamespace(**dict(zip(("train", "validation", "test"), parts, strict=True)))
    monkeypatch.setattr(Windows, "_of", None)
    before = describe_data(task)
    assert before == describe_data(task) | {"train": 20}
    made[3] = -1.0
    assert before["checksum"] != describe_data(task)["checksum"]
