"""What comes of odd outcomes: the trial ends, and what is told of it can be written and printed."""

from __future__ import annotations

import pytest
from tests.study.helpers import SMALL

import archwright as aw
from archwright.cli._render import Display
from archwright.errors import EvaluationError
from archwright.evaluate import Infeasible


class Mute(Exception):
    def __str__(self):
        raise ValueError("no text")


class MuteStop(aw.Stopped):
    __str__ = Mute.__str__


def throw(error):
    def evaluate(candidate):
        raise error

    return evaluate


def spoil(candidate):
    candidate.curve.append({"step": "late"})
    return 0.5


def lose(candidate):
    candidate.curve = None
    return 0.5


def named(candidate):
    candidate.report(1, **{"caf\udc80": 0.1})
    return {"value": 0.5, "caf\udc80": 1.0}


@pytest.mark.parametrize(
    ("evaluate", "state", "cause"),
    [
        (throw(RuntimeError("caf\udc80")), "failed", r"RuntimeError: caf\udc80"),
        (throw(Infeasible("caf\udc80", {"caf\udc80": 1.0})), "infeasible", r"caf\udc80"),
        (throw(aw.Stopped(" \n caf\udc80")), "pruned", r"caf\udc80"),
        (throw(aw.Stopped(" ")), "pruned", ""),
        (throw(Mute()), "failed", "Mute: <exception str() failed>"),
        (throw(MuteStop()), "pruned", "MuteStop, whose text cannot be told"),
        (throw(RuntimeError("a\0b\x1b[31m\rc")), "failed", "c"),
        (
            lambda candidate: Infeasible("too large", {"x": "abc"}),
            "failed",
            "metric 'x' must be a number, not 'abc' (str)",
        ),
        (spoil, "failed", "metric 'step' must be a number, not 'late' (str)"),
        (lose, "failed", "'NoneType' object is not iterable"),
        (named, "complete", ""),
    ],
    ids=range(11),
)
@pytest.mark.parametrize("kept", [False, True], ids=["memory", "folder"])
@pytest.mark.filterwarnings("ignore:no trial of")
def test_what_is_told_can_be_written_and_printed(evaluate, state, cause, kept, tmp_path, capsys):
    study = aw.Study(SMALL, path=tmp_path if kept else None)
    study.run(evaluate, aw.Budget(trials=2), callbacks=Display(quiet=False).callbacks)
    assert [trial.state for trial in study.trials] == [state] * 2
    assert study.trials[0].cause.endswith(cause)
    (study.trials[0].error or "").encode()
    if kept:
        assert aw.load(tmp_path).trials == study.trials
    assert "\x1b" not in capsys.readouterr().err


def test_metrics_of_what_is_infeasible_are_numbers():
    with pytest.raises(EvaluationError, match="metric 'x' must be a number"):
        Infeasible("too large", {"x": "abc"})
    assert Infeasible("too large", {"x": True}).metrics == {"x": 1.0}
