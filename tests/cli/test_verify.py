"""`archwright verify` and `archwright show --trial`."""

from __future__ import annotations

import json
import os

import pytest
from tests.study.helpers import SPACE, function
from tests.study.test_verify import change, other

import archwright as aw


@pytest.fixture
def run(tmp_path):
    """A search of two workers, in which each trial printed control sequences and markup, and some failed."""

    def evaluate(candidate):
        print("[bold]line[/]\n\x1b[31mred\x1b[0m \x1b]0;title\x07\x9b31m\n  1 %\r 50 %\r100 %\r\n\u202elast")  # noqa: T201
        if candidate.architecture["e0"] == "a":
            raise ValueError("\x1b[1mnot\x1b[0m [red]this[/] one")
        return function(candidate)

    aw.Study(SPACE, strategy="random", path=tmp_path / "run").run(evaluate, aw.Budget(trials=12), workers=2)
    return tmp_path / "run"


def test_a_record_that_was_not_changed_agrees(run, in_process):
    status, out, err = in_process("verify", run)
    assert (status, err) == (0, "")
    assert out.split(maxsplit=1) == ["proposals", "12 of 12 are proposed again from the record\n"]


def test_a_record_that_was_changed_does_not(run, in_process):
    was = aw.load(run).trials[5].architecture["e0"]
    change(run, 5, architecture=other)
    status, out, err = in_process("verify", run)
    assert (status, err) == (1, "")
    now = other({"e0": was})["e0"]
    assert "11 of 12 are proposed again from the record" in out
    assert f"trial 5: e0 is {now!r}, and {was!r} is proposed" in out
    status, out, _ = in_process("verify", run, "--json")
    found = json.loads(out)
    assert status == 1
    assert found["agrees"] is False
    assert [number for number, told in found["proposals"].items() if told] == ["5"]


def test_trials_of_a_search_on_data(tmp_path, in_process):
    small = "--epochs", 1, "--strategy", "random", "--scheduler", "full", "--no-final", "--trials", 3
    pytest.importorskip("tensorboard")
    track = "--track", f"tensorboard:{tmp_path / 'board'}"
    assert in_process("search", "iris", *small, *track, "--out", tmp_path / "run")[0] == 0
    assert sorted(path.name for path in (tmp_path / "board").iterdir()) == ["trial-0", "trial-1", "trial-2"]
    status, out, _ = in_process("verify", tmp_path / "run", "--trials", 2)
    assert status == 0
    assert "2 of 2 have the metrics on record again" in out
    change(tmp_path / "run", 1, metrics=lambda metrics: {**metrics, "accuracy": 0.125})
    status, out, _ = in_process("verify", tmp_path / "run", "--trials", 3)
    assert status == 1
    assert "2 of 3 have the metrics on record again" in out
    assert "trial 1: accuracy is 0.125, and " in out


def test_what_cannot_be_run_again_is_an_error(run, in_process):
    status, out, err = in_process("verify", run, "--trials", 1)
    assert (status, out) == (2, "")
    assert "the study's evaluator cannot be restored from its record" in err


# --------------------------------------------------------------------------- one trial


def test_a_trial_is_shown_with_its_log(run, in_process):
    study = aw.load(run)
    for trial in study.trials:
        status, out, _ = in_process("show", run, "--trial", trial.number)
        assert status == 0
        assert "\x1b" not in out
        assert str(run / "trials" / f"{trial.number}.log") in out
        told = [line.strip() for line in out.splitlines()]
        assert told[-4:] == ["[bold]line[/]", r"red \x9b31m", "100 %", r"\u202elast"]
        assert f"e3 = {trial.architecture['e3']}" in told
        if trial.state == "failed":
            assert r"ValueError: \x1b[1mnot\x1b[0m [red]this[/] one" in out
        else:
            assert f"value {trial.metrics['value']:.6g}" in out
    assert {trial.state for trial in study.trials} == {"complete", "failed"}
    told = json.loads(in_process("show", run, "--trial", 3, "--json")[1])
    assert told == {**study.trials[3].to_json(), "log": str(run / "trials" / "3.log")}


def test_a_log_of_any_length_is_shown_by_its_end(run, in_process):
    with (run / "trials" / "0.log").open("r+b") as file:
        file.truncate(1 << 40)  # of which the disk holds nothing
        file.seek(0, 2)
        file.write(b"\n" + b"x" * 100_000 + b"\n\xff the end")
    status, out, _ = in_process("show", run, "--trial", 0)
    assert status == 0
    assert out.rstrip().endswith("\ufffd the end")
    assert len(out) < 200_000


def test_a_log_that_leads_elsewhere_is_not_shown(run, in_process, tmp_path):
    secret = tmp_path / "secret"
    secret.write_text("a password")
    log = run / "trials" / "0.log"
    log.unlink()
    log.symlink_to(secret)
    status, out, _ = in_process("show", run, "--trial", 0)
    assert status == 0
    assert "password" not in out
    assert "log " not in out
    pipe = run / "trials" / "2.log"
    pipe.unlink()
    os.mkfifo(pipe)
    status, out, _ = in_process("show", run, "--trial", 2)
    assert (status, "log " in out) == (0, False)
    (run / "trials").rename(run / "elsewhere")
    (run / "trials").symlink_to(run / "elsewhere")
    assert "line" not in in_process("show", run, "--trial", 1)[1]


@pytest.mark.parametrize("number", [-1, 12])
def test_a_trial_that_there_is_not_is_an_error(run, in_process, number):
    status, _, err = in_process("show", run, f"--trial={number}")
    assert status == 2
    assert f"there is no trial {number}: the study has 12 trials" in err
