"""The code of others ends a search neither by what it raises nor by not returning, and Ctrl-C always does."""

from __future__ import annotations

import signal
import sys
import threading
import time

import pytest
from tests.processes import run
from tests.study.helpers import SMALL, SPACE, function

import archwright as aw
from archwright.strategies import Strategy

pytestmark = pytest.mark.usefixtures("ctrl_c")

GUARD = "archwright.study._guard"


def states(study):
    return [trial.state for trial in study.trials]


# --------------------------------------------------------------------------- what is raised


class Odd(BaseException):
    pass


@pytest.mark.parametrize(
    "error", [SystemExit(3), KeyboardInterrupt(), GeneratorExit(), Odd("own"), StopIteration()], ids=lambda e: repr(e)
)
def test_whatever_a_candidate_raises_is_its_own_failure(error):
    def leave(candidate):
        if candidate.architecture["x"] == 1:
            raise error
        return 0.5

    study = aw.Study(SMALL).run(leave, aw.Budget(trials=12))
    failed = [trial for trial in study.trials if trial.state == "failed"]
    assert (len(failed), study.stopped_by) == (3, "trials")
    assert all(type(error).__name__ in trial.cause and "in leave" in trial.error for trial in failed)


def test_a_final_training_that_leaves_python_is_told():
    class Leaves(aw.Evaluator):
        def evaluate(self, candidate):
            return {"value": 0.5}

        def retrain(self, candidate):
            sys.exit("enough")

    with pytest.warns(UserWarning, match="the final training of trial . failed; .* SystemExit: enough"):
        study = aw.Study(SMALL).run(Leaves(), aw.Budget(trials=2))
    assert (study.test, study.stopped_by) == (None, "trials")


def test_what_the_handler_of_a_signal_raises_ends_the_search():
    def stop(number, frame):
        raise SystemExit(f"signal {number}")

    def evaluate(candidate):
        try:
            signal.raise_signal(signal.SIGTERM)
        except BaseException:
            return 0.5  # as if nothing had been

    before = signal.signal(signal.SIGTERM, stop)
    try:
        study = aw.Study(SMALL)
        with pytest.raises(SystemExit, match=f"signal {int(signal.SIGTERM)}"):
            study.run(evaluate, aw.Budget(trials=5))
        assert signal.getsignal(signal.SIGTERM) is stop
    finally:
        signal.signal(signal.SIGTERM, before)
    assert states(study) == ["running"]


# --------------------------------------------------------------------------- Ctrl-C


def press():
    signal.raise_signal(signal.SIGINT)


@pytest.mark.parametrize("swallowed", [False, True])
def test_ctrl_c_in_a_trial_ends_the_search_and_the_trial_is_run_again(swallowed):
    def interrupted(candidate):
        if len(study.trials) == 3:
            try:
                press()
            except BaseException:
                if not swallowed:
                    raise
        return 0.5

    study = aw.Study(SMALL)
    study.run(interrupted, aw.Budget(trials=6))
    assert study.stopped_by == "interrupt"
    assert states(study) == ["complete", "complete", "running"]
    study.run(function, aw.Budget(trials=6))
    assert states(study) == ["complete"] * 6


def test_ctrl_c_in_a_strategy_ends_the_search():
    study = aw.Study(SPACE, strategy=Interrupted())
    study.run(function, aw.Budget(trials=6))
    assert (study.stopped_by, states(study)) == ("interrupt", [])


class Interrupted(Strategy):
    def propose(self, space, history, rng):
        press()


class Impatient(aw.Callback):
    """Presses Ctrl-C twice more while the search winds up."""

    def on_end(self, study):
        press()
        press()


def test_further_presses_are_for_the_same_search(monkeypatch):
    def interrupted(candidate):
        press()

    study = aw.Study(SMALL)
    study.run(interrupted, aw.Budget(trials=6), callbacks=[Impatient()])
    assert study.stopped_by == "interrupt"
    press()  # at once after it
    study.run(function, aw.Budget(trials=2))
    assert study.stopped_by == "trials"
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    monkeypatch.setattr(f"{GUARD}._QUIET", 0.0)
    study.run(interrupted, aw.Budget(trials=6))
    with pytest.raises(KeyboardInterrupt):  # it is for something else
        press()
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_a_search_in_a_trial_is_interrupted_with_it():
    inner = []

    def outer(candidate):
        study = aw.Study(SMALL)
        inner.append(study)
        study.run(lambda candidate: press(), aw.Budget(trials=2))
        return 0.5

    study = aw.Study(SMALL).run(outer, aw.Budget(trials=3))
    assert [study.stopped_by, inner[0].stopped_by, len(inner)] == ["interrupt", "interrupt", 1]


def test_a_handler_of_the_users_stands():
    pressed = []
    before = signal.signal(signal.SIGINT, lambda number, frame: pressed.append(number))
    try:
        study = aw.Study(SMALL).run(lambda candidate: press() or 0.5, aw.Budget(trials=3))
    finally:
        signal.signal(signal.SIGINT, before)
    assert (study.stopped_by, states(study)) == ("trials", ["complete"] * 3)
    assert pressed == [signal.SIGINT] * 3


# --------------------------------------------------------------------------- what never returns


@pytest.fixture
def hurried(monkeypatch):
    """Make the time short that code has to return."""
    monkeypatch.setattr(f"{GUARD}._GRACE", 0.05)
    monkeypatch.setattr(f"{GUARD}._AGAIN", 0.05)


def sleep(candidate):
    candidate.report(1, value=0.25)
    time.sleep(60)


def spin(candidate):
    candidate.report(1, value=0.25)
    while True:
        pass


def wait(candidate):
    candidate.report(1, value=0.25)
    threading.Event().wait()


def swallow(candidate):
    """Go on after each `Stopped`."""
    while True:
        try:
            candidate.report(1, value=0.25)
        except Exception:
            time.sleep(0.01)


@pytest.mark.parametrize("evaluate", [sleep, spin, wait, swallow])
def test_a_candidate_that_does_not_return_is_ended(hurried, evaluate):
    study = aw.Study(SPACE).run(evaluate, aw.Budget(seconds=0.1))
    assert study.stopped_by == "seconds"
    assert states(study) == ["pruned"]
    assert study.trials[0].metrics == {"value": 0.25}
    assert "did not return when the time was over" in study.trials[0].error


def test_a_strategy_that_does_not_return_is_ended(hurried):
    class Hangs(Strategy):
        def propose(self, space, history, rng):
            time.sleep(60)

    with pytest.warns(UserWarning, match="Hangs .* did not return when the time was over"):
        study = aw.Study(SPACE, strategy=Hangs()).run(function, aw.Budget(seconds=0.1))
    assert (study.stopped_by, states(study)) == ("seconds", [])


def test_a_preparation_and_a_final_training_that_do_not_return_are_ended(hurried):
    class Prepares(aw.Evaluator):
        def prepare(self, preparation):
            time.sleep(60)

        def evaluate(self, candidate):
            return {"value": 0.5}

    with pytest.warns(UserWarning, match="preparation did not return"):
        study = aw.Study(SPACE).run(Prepares(), aw.Budget(seconds=0.1))
    assert study.stopped_by == "seconds"

    class Trains(aw.Evaluator):
        def evaluate(self, candidate):
            return {"value": 0.5}

        def retrain(self, candidate):
            time.sleep(60)

    with pytest.warns(UserWarning, match="the final training of trial 0 did not return"):
        study = aw.Study(SPACE).run(Trains(), aw.Budget(trials=1, seconds=0.1))
    assert (study.stopped_by, study.test) == ("trials", None)


def test_a_process_in_which_nothing_helps_is_ended_and_resume_goes_on(tmp_path):
    code = f"""
import sys, time
import archwright as aw
from archwright.study import _guard
from tests.study.helpers import SPACE

_guard._GRACE, _guard._AGAIN, _guard._LAST = 0.05, 0.05, 0.1

def never(candidate):
    if candidate.architecture != first:
        return 0.5
    while True:
        try:
            time.sleep(60)
        except BaseException:
            pass

study = aw.Study(SPACE, strategy="random", path={str(tmp_path)!r})
first = aw.Study(SPACE, strategy="random").ask().architecture
print("begins")
study.run(never, aw.Budget(seconds=0.1))
"""
    ended = run("-c", code, cwd=".")
    assert (ended.returncode, ended.stdout) == (124, "begins\n")
    assert "archwright: trial 0 did not return" in ended.stderr
    assert "Traceback" not in ended.stderr
    assert "did not return" in (tmp_path / "log.txt").read_text()
    study = aw.load(tmp_path)
    assert states(study) == ["failed"]
    assert "did not return" in study.trials[0].error
    study.run(function, aw.Budget(trials=3))
    assert states(study) == ["failed", "complete", "complete"]


def test_a_process_that_a_candidate_forks_is_no_part_of_the_search(tmp_path):
    code = f"""
import os
import archwright as aw
from tests.study.helpers import SPACE

def fork(candidate):
    child = os.fork()
    candidate.report(1, value=0.1 if child else 0.9)
    if not child:
        return 99.0
    status = os.waitpid(child, 0)[1]
    return {{"value": 0.5, "status": os.waitstatus_to_exitcode(status)}}

study = aw.search(SPACE, fork, budget=aw.Budget(trials=2), path={str(tmp_path)!r})
print([(dict(trial.metrics), [row["value"] for row in trial.curve]) for trial in study.trials])
"""
    ended = run("-c", code, cwd=".")
    assert ended.stdout == f"{[({'value': 0.5, 'status': 1.0}, [0.1])] * 2}\n", ended.stderr
    assert ended.stderr.count("a process that trial") == 2
    assert (tmp_path / "log.txt").read_text().count("search ends") == 1


def test_in_another_thread_it_runs_without_a_guard():
    found = []
    thread = threading.Thread(
        target=lambda: found.append(aw.Study(SMALL).run(function, aw.Budget(trials=3, seconds=60)))
    )
    thread.start()
    thread.join()
    assert states(found[0]) == ["complete"] * 3
