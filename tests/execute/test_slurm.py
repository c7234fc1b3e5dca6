"""Searches in jobs that submitit starts: its executor "local" stands for Slurm."""

from __future__ import annotations

import hashlib
import shutil
import stat

import pytest
from tests.study.faults import assert_died, dying
from tests.study.helpers import SPACE, function, record
from tests.study.killed import Growing

import archwright as aw
from archwright.errors import StudyError

pytest.importorskip("submitit")


def search(folder, evaluate=function, **options):
    executor = aw.Slurm(folder, host="127.0.0.1", cluster="local", minutes=5)
    study = aw.Study(SPACE, strategy="random", seed=3)
    return study.run(evaluate, aw.Budget(trials=6), executor=executor, workers=2, **options)


def test_trials_are_those_of_this_process(tmp_path):
    here = aw.Study(SPACE, strategy="random", seed=3).run(function, aw.Budget(trials=6))
    there = search(tmp_path / "jobs")
    assert list(map(record, there.trials)) == list(map(record, here.trials))
    (folder,) = (tmp_path / "jobs").iterdir()
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert list(folder.glob("*.out"))
    assert not (folder / "content").exists()


@pytest.mark.filterwarnings("ignore:the process of the trial")
def test_a_job_that_is_killed_costs_one_attempt_and_is_replaced(tmp_path):
    here = aw.Study(SPACE, strategy="random", seed=3).run(function, aw.Budget(trials=6))
    there = search(tmp_path / "jobs", dying(tmp_path, "job"))
    assert list(map(record, there.trials)) == list(map(record, here.trials))
    assert_died(there, tmp_path, 1)


@pytest.mark.filterwarnings("error:the checkpoint of trial")
def test_promoted_trials_go_on_from_checkpoints_at_a_url(tmp_path):
    place = tmp_path / "shared"
    executor = aw.Slurm(tmp_path / "jobs", host="127.0.0.1", cluster="local", minutes=5, checkpoints=f"file://{place}")
    options = {"strategy": "random", "scheduler": "asha", "budget": aw.Budget(trials=3), "path": tmp_path / "run"}
    study = aw.search(SPACE, Growing(), executor=executor, workers=1, **options)
    promoted = [trial for trial in study.trials if trial.origin is not None]
    assert promoted
    assert all(len(trial.curve) == trial.fidelity["epochs"] for trial in promoted)
    document = aw.load(tmp_path / "run")._recorder.document
    digests = {path.stem: hashlib.sha256(path.read_bytes()).hexdigest() for path in place.iterdir()}
    assert document["digests"] == digests
    assert set(map(str, document["checkpoints"])) == digests.keys()
    assert not (tmp_path / "run" / "checkpoints").exists()
    assert "shared" not in str(document)  # it is given again, as the executor is


@pytest.mark.skipif(shutil.which("srun") is not None, reason="there is a Slurm here")
def test_a_machine_without_slurm_is_told(tmp_path):
    with pytest.raises(StudyError, match=r"slurm: .*srun"):
        aw.Study(SPACE).run(function, aw.Budget(trials=1), executor=aw.Slurm(tmp_path), workers=2)


def test_what_submitit_does_not_know_is_told(tmp_path):
    executor = aw.Slurm(tmp_path, cluster="local", options={"queue": "gpu"})
    with pytest.raises(StudyError, match=r"slurm: submitit does not take these settings: (?s:.*)queue"):
        aw.Study(SPACE).run(function, aw.Budget(trials=1), executor=executor, workers=2)
