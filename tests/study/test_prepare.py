"""What an evaluator does before the first trial, and what becomes of it."""

from __future__ import annotations

import signal
import sqlite3
import time

import pytest
from tests import processes
from tests.study.helpers import SPACE, value

import archwright as aw
from archwright.evaluate import Learned, Stopped

FAVOURITES = tuple(list(SPACE.enumerate())[index] for index in (7, 77, 777))


class Ready(aw.Evaluator):
    """Learns in four steps which architectures it likes."""

    def __init__(self, *, fails_at=None, error=None):
        self.preparations, self.fails_at, self.error = [], fails_at, error

    def prepare(self, preparation):
        self.preparations.append(preparation)
        curve = []
        for step in range(1, 5):
            if step == self.fails_at:
                self.fails_at = None
                raise self.error
            curve.append({"step": step, "loss": 1 / step, "seconds": 0.5})
            try:
                preparation.report(step, {"loss": 1 / step})
            except Stopped:
                break
        shares = tuple({"e0": (0.2,) * 5} for _ in curve)
        return Learned(FAVOURITES, shares, tuple(curve), {"derived": FAVOURITES[0].id, "skips": 0.0, "nothing": 0.5})

    def evaluate(self, candidate):
        return {"value": value(candidate.architecture)}


class Listens(aw.Callback):
    def __init__(self):
        self.heard = []

    def on_prepare(self, study, step, metrics):
        self.heard.append((step, dict(metrics)))

    def on_prepared(self, study, learned):
        self.heard.append(learned)
        assert study.learned is learned

    def on_trial_start(self, study, trial):
        self.heard.append(trial.number)


def test_it_comes_before_the_first_trial_and_is_told():
    listener, evaluator = Listens(), Ready()
    study = aw.search(SPACE, evaluator, strategy="darts", budget=aw.Budget(trials=2), callbacks=[listener])
    steps = [(step, {"loss": 1 / step}) for step in range(1, 5)]
    assert listener.heard == [*steps, study.learned, 0, 1]
    (preparation,) = evaluator.preparations
    assert preparation.space is SPACE
    assert preparation.folder is None
    assert preparation.deadline is None


def test_proposals_follow_what_was_learned():
    study = aw.search(SPACE, Ready(), strategy="darts", budget=aw.Budget(trials=5))
    assert tuple(trial.architecture for trial in study.trials[:3]) == FAVOURITES
    best = max(study.trials[:3], key=lambda trial: trial.metrics["value"]).architecture
    assert study.trials[3].architecture in set(SPACE.neighbours(best))  # one decision of it changed


def test_it_is_on_record(tmp_path):
    study = aw.search(SPACE, Ready(), strategy="darts", budget=aw.Budget(trials=1), path=tmp_path / "run")
    loaded = aw.load(tmp_path / "run")
    assert loaded.learned == study.learned
    assert loaded.learned.to_json() == Ready().prepare(aw.evaluate.Preparation(SPACE)).to_json()
    assert loaded.diagnosis() == {
        "epochs": 4,
        "seconds": 2.0,
        "derived": FAVOURITES[0].id,
        "skips": 0.0,
        "nothing": 0.5,
        "compared": 0,
    }
    assert loaded.summary()["learned"] == loaded.diagnosis()


def test_nothing_is_learned_by_other_evaluators():
    study = aw.search(SPACE, lambda candidate: 1.0, strategy="random", budget=aw.Budget(trials=1))
    assert study.learned is None
    assert study.diagnosis() is None


def test_shared_and_alone_are_compared_by_rank():
    class Both(Ready):
        def evaluate(self, candidate):
            number = value(candidate.architecture)
            return {"value": number, "accuracy": number, "shared_accuracy": -number}

    found = aw.search(SPACE, Both(), strategy="darts", budget=aw.Budget(trials=6)).diagnosis()
    assert (found["compared"], found["spearman"], found["kendall"]) == (6, pytest.approx(-1), pytest.approx(-1))


def test_an_interrupt_ends_it_cleanly_and_resume_goes_on(tmp_path):
    evaluator = Ready(fails_at=3, error=KeyboardInterrupt())
    study = aw.search(SPACE, evaluator, strategy="darts", budget=aw.Budget(trials=2), path=tmp_path / "run")
    assert study.stopped_by == "interrupt"
    assert study.learned is None
    assert not study.trials
    study = aw.load(tmp_path / "run", evaluator=evaluator).resume()
    assert study.stopped_by == "trials"
    assert study.learned is not None


def test_an_error_comes_through_and_the_study_can_go_on(tmp_path):
    evaluator = Ready(fails_at=2, error=ValueError("no data today"))
    with pytest.raises(ValueError, match="no data today"):
        aw.search(SPACE, evaluator, strategy="darts", budget=aw.Budget(trials=2), path=tmp_path / "run")
    assert len(aw.load(tmp_path / "run", evaluator=evaluator).resume().trials) == 2


@pytest.mark.parametrize(("final", "share"), [(True, 0.7 * 0.6), (False, 0.6)])
def test_its_share_of_a_time_budget(final, share):
    class Trains(Ready):
        def retrain(self, candidate):
            return {"test_value": 1.0}

    evaluator, before = Trains(), time.monotonic()
    aw.search(SPACE, evaluator, strategy="darts", budget=aw.Budget(trials=1, minutes=10), final=final)
    assert evaluator.preparations[0].deadline - before == pytest.approx(share * 600, abs=5)


def test_seeds_of_studies_give_seeds_of_preparations():
    seeds = set()
    for seed in (0, 0, 1):
        evaluator = Ready()
        aw.search(SPACE, evaluator, strategy="darts", budget=aw.Budget(trials=1), seed=seed)
        seeds.add(evaluator.preparations[0].seed)
    assert len(seeds) == 2


def test_a_study_of_an_earlier_version_is_read_and_gone_on_with(tmp_path):
    aw.search(SPACE, value_of, strategy="random", budget=aw.Budget(trials=2), path=tmp_path / "run")
    with sqlite3.connect(tmp_path / "run" / "study.db") as database:
        database.execute("DELETE FROM documents WHERE name = 'learned'")
    database.close()
    assert aw.load(tmp_path / "run").learned is None
    aw.load(tmp_path / "run", evaluator=Ready()).resume(aw.Budget(trials=3))
    assert aw.load(tmp_path / "run").learned.architectures == FAVOURITES


def test_a_function_has_no_supernet():
    with pytest.raises(aw.errors.StrategyError, match="give search the data or a Training"):
        aw.search(SPACE, value_of, strategy="darts", budget=aw.Budget(trials=1))


def value_of(candidate):
    return value(candidate.architecture)


KILLED = """
import sys, time
import archwright as aw
from tests.study.test_prepare import Ready, SPACE
class Dies(Ready):
    def prepare(self, preparation):
        time.sleep(1.0)
        preparation.report(1, {"loss": 1.0})
        print("waiting", flush=True)
        time.sleep(600)
aw.search(SPACE, Dies(), strategy="darts", budget=aw.Budget(trials=2, minutes=10), path=sys.argv[1])
"""


def test_a_killed_preparation_has_spent_its_time(tmp_path):
    process = processes.start("-c", KILLED, tmp_path / "run")
    assert process.stdout.readline() == "waiting\n"
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert aw.load(tmp_path / "run").elapsed >= 1.0
    evaluator, before = Ready(), time.monotonic()
    study = aw.load(tmp_path / "run", evaluator=evaluator).resume()
    assert len(study.trials) == 2
    assert evaluator.preparations[0].deadline - before < 0.6 * 600 - 0.9


def test_the_picture_shows_each_decision_and_option(tmp_path):
    study = aw.search(SPACE, Ready(), strategy="darts", budget=aw.Budget(trials=1))
    study.draw_learned(tmp_path / "learned.svg")
    assert (tmp_path / "learned.svg").stat().st_size > 2000
    study.draw_learned(tmp_path / "learned.png")
    assert (tmp_path / "learned.png").read_bytes().startswith(b"\x89PNG")
    with pytest.raises(aw.errors.StudyError, match=r"'learned.doc': the file type must be one of"):
        study.draw_learned(tmp_path / "learned.doc")


def test_nothing_to_draw():
    study = aw.search(SPACE, value_of, strategy="random", budget=aw.Budget(trials=1))
    with pytest.raises(aw.errors.StudyError, match="learned no option probabilities"):
        study.draw_learned("learned.png")
