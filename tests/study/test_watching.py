"""Callbacks that fail, and the logs of a run folder."""

from __future__ import annotations

import json
import os
import time
from datetime import datetime

import pytest
from tests.execute.helpers import wait_for_the_end
from tests.processes import start
from tests.study.helpers import SMALL, SPACE, function, record

import archwright as aw
from archwright.errors import StudyError

# --------------------------------------------------------------------------- callbacks that fail


class Fragile(aw.Callback):
    """Fails in the second call of one of its methods."""

    optional = True

    def __init__(self, event, error=None):
        self.calls, self._event, self._error = [], event, error or OSError("no server")

    def _called(self, event):
        self.calls.append(event)
        if event == self._event and self.calls.count(event) == 2:
            raise self._error

    def on_start(self, study):
        self._called("start")

    def on_trial_start(self, study, trial):
        self._called("trial_start")

    def on_report(self, study, trial, step, metrics):
        self._called("report")

    def on_trial_end(self, study, trial):
        self._called("trial_end")


def reporting(candidate):
    candidate.report(1, value=0.1)
    candidate.report(2, value=0.2)
    return function(candidate)


@pytest.mark.parametrize("workers", [1, 2])
@pytest.mark.parametrize("event", ["trial_start", "report", "trial_end"])
def test_an_optional_callback_that_fails_is_left_out(tmp_path, event, workers):
    fragile, after = Fragile(event), Fragile("never")
    whole = aw.Study(SPACE, strategy="random").run(reporting, aw.Budget(trials=4))
    study = aw.Study(SPACE, strategy="random", path=tmp_path)
    with pytest.warns(UserWarning, match=f"Fragile failed in on_{event} and is called no more: OSError: no server"):
        study.run(reporting, aw.Budget(trials=4), workers=workers, callbacks=[fragile, after])
    assert list(map(record, study.trials)) == list(map(record, whole.trials))
    assert fragile.calls.count(event) == 2
    assert fragile.calls[-1] == event
    assert after.calls.count("trial_end") == 4
    assert after.calls.count("report") == 8
    assert "Traceback" in (tmp_path / "log.txt").read_text()


def test_an_optional_callback_may_end_a_trial():
    study = aw.Study(SPACE).run(reporting, aw.Budget(trials=3), callbacks=[Fragile("report", aw.Stopped("enough"))])
    assert [trial.state for trial in study.trials] == ["pruned", "complete", "complete"]


@pytest.mark.parametrize(
    ("given", "told"), [(Fragile, r"give Fragile\(\), not Fragile"), (print, "a subclass of archwright.Callback, not")]
)
def test_what_is_no_callback_is_refused_before_anything_is_written(tmp_path, given, told):
    with pytest.raises(StudyError, match=told):
        aw.search(SPACE, function, budget=aw.Budget(trials=1), path=tmp_path / "run", callbacks=[given])
    assert not (tmp_path / "run").exists()
    with pytest.raises(StudyError, match=told):
        aw.Study(SPACE).run(function, aw.Budget(trials=1), callbacks=[given])


# --------------------------------------------------------------------------- events as JSON


def events(folder):
    return [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]


@pytest.mark.parametrize("workers", [1, 2])
def test_the_events_of_a_search_are_on_record(tmp_path, workers):
    def evaluate(candidate):
        candidate.report(1, value=float("nan"))
        if candidate.architecture["x"] == 1:
            raise ValueError("not this one")
        return {"value": 0.5, "caf\udce9": float("inf")}

    study = aw.Study(SMALL, strategy="grid", path=tmp_path)
    study.run(evaluate, aw.Budget(trials=6), workers=workers)
    found = events(tmp_path)
    assert found[0] | {"time": ""} == {
        "time": "",
        "event": "start",
        "objectives": ["max value"],
        "budget": study.budget.to_json(),
        "seed": 0,
        "ended": 0,
        "why": [f"workers {workers}: as given"] if workers > 1 else [],
    }
    assert found[-1]["event"] == "end"
    assert found[-1]["stopped_by"] == "trials"
    times = [datetime.fromisoformat(each["time"]) for each in found]
    assert times == sorted(times)
    for trial in study.trials:
        first, report, last = (each for each in found if each.get("trial") == trial.number)
        assert [each["event"] for each in (first, report, last)] == ["trial_start", "report", "trial_end"]
        assert first["architecture"] == trial.architecture.to_json()
        assert (first["attempt"], first["seed"]) == (1, trial.seed)
        assert (report["step"], report["metrics"]) == (1, {"value": "nan"})
        assert (last["state"], last["seconds"]) == (trial.state, trial.seconds)
        assert last["metrics"] == ({} if trial.error else {"value": 0.5, "caf\udce9": "inf"})
        assert last["error"] == ("ValueError: not this one" if trial.error else None)
    assert sum(each.get("best", False) for each in found) == 1


@pytest.mark.parametrize("name", ["log.jsonl", "log.txt"])
def test_a_log_that_is_a_pipe_takes_nothing(tmp_path, name):
    study = aw.Study(SPACE, path=tmp_path)
    os.mkfifo(tmp_path / name)
    reader = os.open(tmp_path / name, os.O_RDONLY | os.O_NONBLOCK)  # somebody listens
    try:
        with pytest.warns(UserWarning, match=rf"{name} cannot be written to, and will lack lines: .*is not a file"):
            study.run(function, aw.Budget(trials=3))
        assert os.read(reader, 1) == b""
    finally:
        os.close(reader)
    assert [trial.state for trial in study.trials] == ["complete"] * 3


def test_a_resumed_search_adds_to_its_events(tmp_path):
    aw.search(SPACE, function, budget=aw.Budget(trials=2), path=tmp_path)
    before = (tmp_path / "log.jsonl").read_text()
    aw.load(tmp_path, evaluator=function).resume(aw.Budget(trials=3))
    assert (tmp_path / "log.jsonl").read_text().startswith(before)
    assert [each["ended"] for each in events(tmp_path) if each["event"] == "start"] == [0, 2]


# --------------------------------------------------------------------------- what trials print


@pytest.mark.filterwarnings("ignore:the process of the trial")
def test_trials_in_processes_have_logs(tmp_path, capfd):
    def evaluate(candidate):
        print(f"trial with seed {candidate.seed}")  # noqa: T201
        if candidate.seed % 2 and not (tmp_path / str(candidate.seed)).exists():
            (tmp_path / str(candidate.seed)).touch()
            os._exit(1)
        return function(candidate)

    study = aw.Study(SPACE, strategy="random", path=tmp_path / "run")
    study.run(evaluate, aw.Budget(trials=4), workers=2)
    assert "trial with seed" not in capfd.readouterr().out
    assert {trial.attempts for trial in study.trials} == {1, 2}
    for trial in study.trials:
        path = study.log_file(trial.number)
        assert path == tmp_path / "run" / "trials" / f"{trial.number}.log"
        line = f"trial with seed {trial.seed}\n"
        assert path.read_text() == (line if trial.attempts == 1 else f"{line}\n--- attempt 2\n{line}")
    assert aw.load(tmp_path / "run").log_file(0) == study.log_file(0)
    assert study.log_file(9) is None


def test_without_a_folder_or_workers_trials_print_where_the_search_does(tmp_path, capfd):
    def evaluate(candidate):
        print("here")  # noqa: T201
        return 1.0

    study = aw.Study(SPACE).run(evaluate, aw.Budget(trials=2), workers=2)
    assert capfd.readouterr().out == "here\nhere\n"
    assert study.log_file(0) is None
    study = aw.Study(SPACE, path=tmp_path).run(evaluate, aw.Budget(trials=1))
    assert capfd.readouterr().out == "here\n"
    assert study.log_file(0) is None


PROGRAM = """
import sys, time
import archwright as aw
from tests.execute.helpers import write
from tests.study.helpers import SPACE

folder = sys.argv[1]

def evaluate(candidate):
    print("begun")
    write(f"{folder}/{candidate.seed}", __import__("os").getpid())
    time.sleep(600)

aw.search(SPACE, evaluate, budget=aw.Budget(trials=9), path=f"{folder}/run", workers=2)
"""


def test_logs_outlive_a_search_that_is_killed(tmp_path):
    driver = start("-c", PROGRAM, tmp_path, cwd=".")
    while len(pids := [path for path in tmp_path.iterdir() if path.name.isdecimal()]) < 2:
        assert driver.returncode is None, driver.communicate()
        time.sleep(0.01)
    logs = [tmp_path / "run" / "trials" / f"{number}.log" for number in (0, 1)]
    while not all(log.exists() and log.read_text() for log in logs):  # another thread writes them
        time.sleep(0.01)
    driver.kill()
    driver.wait()
    for pid in pids:
        wait_for_the_end(int(pid.read_text()))
    assert [log.read_text() for log in logs] == ["begun\n"] * 2
