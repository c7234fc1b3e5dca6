"""What stands on the command line, read."""

from __future__ import annotations

import json
import os

import numpy as np
import pytest

import archwright as aw
from archwright.cli._named import (
    default_trials,
    evaluator_for,
    parse_executor,
    parse_fidelity,
    parse_options,
    parse_scheduler,
    parse_start,
)
from archwright.errors import ArchitectureError, EvaluationError, SchedulerError, StudyError, UnknownName
from archwright.schedulers import ASHA, Hyperband
from archwright.strategies import DARTS, Random


def test_schedulers_with_settings():
    assert parse_scheduler("asha") == ASHA()
    assert parse_scheduler("asha:eta=4") == ASHA(eta=4)
    assert parse_scheduler(" hyperband : eta = 2 ") == Hyperband(eta=2)
    with pytest.raises(SchedulerError, match="depth"):
        parse_scheduler("asha:depth=4")
    with pytest.raises(UnknownName, match="asha"):
        parse_scheduler("ash")


def test_executors_with_settings():
    assert parse_executor("processes") == "processes"
    assert parse_executor("ray") == aw.Ray()
    assert parse_executor("ray:address=10.0.0.1:6379,cpus=2,gpus=0.5") == aw.Ray("10.0.0.1:6379", cpus=2, gpus=0.5)
    options = {"slurm_partition": "gpu", "mem_gb": 16}
    assert parse_executor(f"slurm:cpus=4,options={json.dumps(options)}") == aw.Slurm(cpus=4, options=options)
    for text in ("ray:cpu=1", "processes:cpus=2", "ray:cpus"):
        with pytest.raises(StudyError):
            parse_executor(text)


def test_options():
    assert parse_options(["horizon=3", "unit=words"]) == {"horizon": 3, "unit": "words"}
    for text in ("source=x", "task=x", "horizon"):
        with pytest.raises(EvaluationError, match=f"^--option {text}: "):
            parse_options([text])


def test_fidelities():
    assert parse_fidelity("epochs=1:9") == {"epochs": (1, 9)}
    found = parse_fidelity(" epochs = 0.5 : 9 ,data=0.25:1,*.width=0.25:1")
    assert found == {"epochs": (0.5, 9), "data": (0.25, 1), "*.width": (0.25, 1)}
    assert [type(end) for end in found["epochs"]] == [float, int]  # whole numbers stay whole


@pytest.mark.parametrize(
    "text",
    ["", "epochs", "epochs=", "epochs=1", "epochs=1:", "=1:9", "epochs=a:b", "epochs=true:9", "n=1:9,n=1:3", "n=1:9,"],
)
def test_what_does_not_read_as_one(text):
    with pytest.raises(SchedulerError, match=r"name=least:full, each name once, such as epochs=1:9"):
        parse_fidelity(text)


def test_a_start_is_the_best_of_a_run_or_a_file(tmp_path, in_process):
    first, second = tmp_path / "first", tmp_path / "second"
    options = ("search", "digits", "--space", "mlp", "--epochs", 1, "--trials", 2, "--no-final", "--json")
    assert in_process(*options, "--strategy", "random", "--seed", 3, "--out", first)[0] == 0
    best = aw.load(first).best.architecture
    file = tmp_path / "mine.json"
    other = aw.load(first).space.sample(np.random.default_rng(8))
    file.write_text(json.dumps(other.to_json()))
    assert aw.space.Architecture(parse_start(str(first / "best" / "architecture.json"))) == best
    status, out, _ = in_process(*options, "--start", first, "--start", file, "--out", second)
    assert status == 0, out
    assert [trial.architecture for trial in aw.load(second).trials] == [best, other]
    for given, told in ((tmp_path / "none.json", "a run folder, or a JSON file"), (tmp_path, "no study")):
        status, out, err = in_process(*options, "--start", given, "--out", tmp_path / "third")
        assert status != 0
        assert told in " ".join((out + err).split())


@pytest.mark.parametrize(
    ("strategy", "evaluator", "trials"),
    [("auto", "training", 20), ("auto", "supernet", 100), (Random(), "training", 20), (DARTS(), "training", 3)],
)
def test_the_number_of_trials_of_a_search_that_is_given_no_budget(strategy, evaluator, trials):
    assert default_trials(strategy, evaluator) == trials


def test_evaluators():
    training = aw.Training(aw.data("digits"), epochs=1)
    assert evaluator_for("training", training, "auto", 1) is training
    repeated = evaluator_for("supernet", training, DARTS(order=2, epochs=3), 2)
    assert isinstance(repeated, aw.Repeats)
    assert (repeated.repeats, repeated.evaluator.epochs, repeated.evaluator.relaxation.order) == (2, 3, 2)
    with pytest.raises(UnknownName, match=r"supernett.*Did you mean .supernet."):
        evaluator_for("supernett", training, "auto", 1)


@pytest.mark.parametrize("make", [os.mkfifo, lambda path: path.symlink_to("/dev/zero")])
def test_a_start_that_is_no_file_is_not_opened(tmp_path, make):
    make(tmp_path / "start.json")
    with pytest.raises(ArchitectureError, match="it is a pipe or a device"):
        parse_start(str(tmp_path / "start.json"))
