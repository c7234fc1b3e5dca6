from __future__ import annotations

import os
import signal

import pytest
from tests import processes
from tests.study.helpers import SPACE, function, walk

import archwright as aw
from archwright.errors import StudyLocked

HOLD = """
import sys
import archwright as aw
from tests.study.helpers import SPACE
study = aw.Study(SPACE, path=sys.argv[1])
study.tell(study.ask(), 0.5)
print("held", flush=True)
sys.stdin.read()
"""


@pytest.fixture
def holder(tmp_path):
    process = processes.start("-c", HOLD, tmp_path / "run")
    assert process.stdout.readline() == "held\n"
    yield process
    process.kill()
    process.communicate()


def test_a_second_process_is_told_who_holds_the_study(holder, tmp_path):
    run, who = tmp_path / "run", f"process {holder.pid} on "
    with pytest.raises(StudyLocked, match=who):
        aw.Study(SPACE, path=run, resume=True)
    with pytest.raises(StudyLocked, match=who):
        aw.search(SPACE, function, budget=aw.Budget(trials=3), path=run)
    study = aw.load(run, evaluator=function)
    assert study.best.metrics == {"value": 0.5}
    assert study.summary()["trials"]["complete"] == 1
    for use in (study.ask, lambda: study.resume(aw.Budget(trials=3)), lambda: study.tell(study.trials[0], 1)):
        with pytest.raises(StudyLocked, match=rf"{who}.*since .*load"):
            use()


def test_death_frees_it(holder, tmp_path):
    study = aw.load(tmp_path / "run")
    holder.send_signal(signal.SIGKILL)
    holder.wait()
    with study:
        walk(study, 2)
    assert len(aw.load(tmp_path / "run").trials) == 3


def test_two_studies_of_one_process(tmp_path):
    with aw.Study(SPACE, path=tmp_path) as first:
        second = aw.load(tmp_path)
        with pytest.raises(StudyLocked, match=f"process {os.getpid()} on"):
            second.ask()
        walk(first, 3)
    with second:
        assert second.ask().number == 3  # it has read what happened meanwhile
    walk(first, 1)
    with pytest.raises(StudyLocked):
        second.ask()
    first.close()
    assert not (tmp_path / "study.lock.json").exists()


def test_a_run_frees_it_at_its_end(tmp_path):
    study = aw.search(SPACE, function, budget=aw.Budget(trials=3), path=tmp_path)
    aw.load(tmp_path, evaluator=function).resume(aw.Budget(trials=5))
    assert len(study.trials) == 3
    assert study.ask().number == 5
    study.close()
