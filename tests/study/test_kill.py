"""Processes that are really killed, and what their studies come to."""

from __future__ import annotations

import signal

import pytest
from tests import processes
from tests.study.helpers import SPACE, record, value
from tests.study.killed import search

import archwright as aw


def start(folder, *place, strategy="evolution"):
    return processes.start("-m", "tests.study.killed", folder, strategy, *place)


def kill(process, how=signal.SIGKILL):
    assert process.stdout.readline() == "waiting\n"
    process.send_signal(how)
    return process.communicate()[0]


@pytest.mark.parametrize(
    ("strategy", "places"),
    [
        ("evolution", [("evaluation", 0)]),
        ("evolution", [("start", 8), ("report", 8), ("untold", 8), ("end", 8)]),
        ("local-search", [("kept", 0), ("transaction", 12), ("evaluation", 19)]),
        ("evolution", [("transaction", 20), ("end", 19)]),
        ("random", [("final", 0), ("after", 0)]),
    ],
    ids=lambda value: value if isinstance(value, str) else "-".join(f"{p}{n}" for p, n in value),
)
def test_a_search_killed_at_any_moment_goes_on_as_if_it_had_not_been(tmp_path, strategy, places):
    unbroken, complete = search(strategy), {}
    for place in places:
        kill(start(tmp_path, *place, strategy=strategy))
        now = {t.number: record(t) for t in aw.load(tmp_path).trials if t.ended}
        assert now.items() >= complete.items()  # nothing that was on record is lost
        complete = now
    assert start(tmp_path, strategy=strategy).communicate()[0] == "done\n"
    study = aw.load(tmp_path)
    assert [record(t) for t in study.trials] == [record(t) for t in unbroken.trials]
    assert [t.number for t in study.history.finished] == list(range(20))
    assert study.best.trial.number == unbroken.best.trial.number
    assert study.test == unbroken.test == {"test_value": value(study.best.architecture)}
    assert max(t.attempts for t in study.trials) <= 1 + len(places)


def test_a_killed_trial_is_run_again_first_with_the_same_seed(tmp_path):
    kill(start(tmp_path, "evaluation", 2))
    with aw.load(tmp_path) as study:
        before = study.trials[2]
        assert (before.state, before.attempts) == ("running", 1)
        trial = study.ask()
        assert (trial.number, trial.attempts) == (2, 2)
        assert (trial.architecture, trial.seed) == (before.architecture, before.seed)
        assert study.ask().number == 3


def test_a_trial_in_which_processes_keep_dying_is_given_up(tmp_path):
    with aw.Study(SPACE, path=tmp_path) as study:
        study.ask()
    for attempt in range(2, 6):
        with aw.load(tmp_path) as study:
            assert (study.ask().number, study.trials[0].attempts) == (0, attempt)
    with aw.load(tmp_path) as study:
        assert study.ask().number == 1
        assert study.trials[0].state == "failed"
        assert "the process died 5 times in this trial" in study.trials[0].error


def test_ctrl_c_in_a_process_of_its_own(tmp_path):
    process = start(tmp_path, "evaluation", 4)
    assert kill(process, signal.SIGINT) == "done\n"
    assert process.returncode == 0
    study = aw.load(tmp_path)
    assert study.trials[4].state == "running"
    assert "search ends (interrupt)" in (tmp_path / "log.txt").read_text()
    assert start(tmp_path).communicate()[0] == "done\n"
    assert [record(t) for t in aw.load(tmp_path).trials] == [record(t) for t in search("evolution").trials]
