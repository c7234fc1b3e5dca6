"""Classical baselines are fitted before the first trial, kept on record, and compared with the best network."""

from __future__ import annotations

import json
import re

import pytest
import torch
from tests.evaluate.stubs import table

import archwright as aw
from archwright import nn
from archwright.cli._render import Display
from archwright.errors import StudyError
from archwright.study._baseline import Baseline, _baseline, ahead
from archwright.tasks import ClassicalMethod, Classification, Fitted
from archwright.trials import parse_objectives

SPACE = aw.Space(model=nn.Sequential(nn.LazyLinear(aw.ordinal(2, 4)), nn.ReLU(), nn.LazyLinear(3)))
OPTIONS = {"budget": aw.Budget(trials=2), "scheduler": "full"}


class Compared(Classification):
    """A task whose methods are counted, and may fail."""

    def __init__(self, *names: str, broken: tuple[str, ...] = ()) -> None:
        super().__init__(table())
        self.names, self.broken = names, broken
        self.fits: list[str] = []

    @property
    def baselines(self):
        def method(name):
            def fit(samples, share):
                self.fits.append(name)
                if name in self.broken:
                    raise ZeroDivisionError(f"in {name}")
                return lambda inputs: torch.nn.functional.one_hot(torch.zeros(len(inputs), dtype=int), 3).float()

            return ClassicalMethod(name, fit, note="always the first class")

        return list(map(method, self.names))


class Diary(aw.Callback):
    def __init__(self) -> None:
        self.lines: list[str] = []

    def on_baseline(self, study, baseline):
        assert study.baselines[-1] == baseline
        self.lines.append(baseline.name)

    def on_trial_start(self, study, trial):
        self.lines.append(f"trial {trial.number}")

    def on_problem(self, study, message):
        self.lines.append(message)


def evaluator(task) -> aw.Training:
    return aw.Training(task, epochs=1)


# --------------------------------------------------------------------------- when


def test_they_come_before_the_first_trial() -> None:
    task, diary = Compared("a", "b"), Diary()
    study = aw.search(SPACE, evaluator(task), callbacks=[diary], **OPTIONS)
    assert diary.lines[:3] == ["a", "b", "trial 0"]
    first = (task.validation.targets == 0).double().mean().item()
    assert [(each.name, each.samples, each.note) for each in study.baselines] == [
        (name, 60, "always the first class") for name in ("a", "b")
    ]
    assert study.baselines[0].metrics["accuracy"] == pytest.approx(first)
    assert study.baselines[0].metrics["test_accuracy"] == pytest.approx((task.test.targets == 0).double().mean().item())


@pytest.mark.parametrize(
    ("options", "wanted"),
    [
        ({}, True),
        ({"baseline": False}, False),
        ({"strategy": "random"}, False),
        ({"strategy": "random", "baseline": True}, True),
    ],
)
def test_they_belong_to_the_automatic_strategy(options, wanted) -> None:
    task = Compared("a")
    study = aw.search(SPACE, evaluator(task), final=False, **OPTIONS, **options)
    assert bool(task.fits) == bool(study.baselines) == wanted


def test_the_end_of_a_search_says_what_they_were_fitted_on(capsys) -> None:
    task = Compared("a")
    study = aw.search(SPACE, evaluator(task), final=False, **OPTIONS)
    Display(quiet=False).conclude(study, as_json=False)
    told = r"^baseline     a: .*accuracy .* \(always the first class\)$"
    assert re.search(told, capsys.readouterr().out, re.MULTILINE)
    found = _baseline(task, task.baselines[0], Fitted({}, 10, 0.1))
    assert found.note == "fitted on 10 of 60 samples, always the first class"


def test_where_there_are_none_they_cannot_be_asked_for(tmp_path) -> None:
    for task in (evaluator(Compared()), lambda candidate: 1.0):
        with pytest.raises(StudyError, match="there is no classical method"):
            aw.search(SPACE, task, baseline=True, path=tmp_path / "run", **OPTIONS)
    assert not (tmp_path / "run").exists()
    assert aw.search(SPACE, evaluator(Compared()), final=False, **OPTIONS).baselines == ()


# --------------------------------------------------------------------------- on record


def test_a_resumed_study_knows_them_and_does_not_fit_them_again(tmp_path) -> None:
    task = Compared("a", "b")
    study = aw.search(SPACE, evaluator(task), path=tmp_path, **OPTIONS)
    fits = len(task.fits)
    again = aw.load(tmp_path, evaluator=evaluator(task))
    assert again.baselines == study.baselines
    again.resume(budget=aw.Budget(trials=3))
    assert len(task.fits) == fits
    assert again.baselines == study.baselines
    summary = json.loads(json.dumps(again.summary(), allow_nan=False))
    assert [each["name"] for each in summary["baselines"]] == ["a", "b"]
    assert summary["baselines"][0]["metrics"] == dict(study.baselines[0].metrics)
    assert "baseline a in" in (tmp_path / "log.txt").read_text()


def test_an_interrupted_search_goes_on_with_the_next_one(tmp_path) -> None:
    class Interrupt(aw.Callback):
        def on_baseline(self, study, baseline):
            raise KeyboardInterrupt

    task = Compared("a", "b")
    study = aw.search(SPACE, evaluator(task), path=tmp_path, callbacks=[Interrupt()], **OPTIONS)
    assert study.stopped_by == "interrupt"
    assert [each.name for each in study.baselines] == ["a"]
    task.fits.clear()
    again = aw.load(tmp_path, evaluator=evaluator(task)).resume()
    assert set(task.fits) == {"b"}
    assert [each.name for each in again.baselines] == ["a", "b"]


def test_one_that_fails_ends_no_search() -> None:
    diary = Diary()
    with pytest.warns(UserWarning, match="the baseline 'a' failed: ZeroDivisionError: in a"):
        study = aw.search(SPACE, evaluator(Compared("a", "b", broken=("a",))), callbacks=[diary], **OPTIONS)
    assert [each.name for each in study.baselines] == ["b"]
    assert len(study.history.complete) == 2
    assert "Traceback" in diary.lines[0]


@pytest.mark.parametrize(
    ("budget", "most"),
    [({"trials": 1}, 10.0), ({"trials": 1, "seconds": 100}, 10.0), ({"trials": 1, "minutes": 60}, 30.0)],
)
def test_those_that_take_too_long_are_left_out(budget, most, monkeypatch) -> None:
    limits = []

    def takes_long(task, method, *, seconds):
        limits.append(seconds)
        return 1234.0

    monkeypatch.setattr("archwright.tasks.fit_within", takes_long)
    with pytest.warns(UserWarning, match="the baseline 'a' is left out: it may take 1.23e\\+03 seconds"):
        study = aw.search(SPACE, evaluator(Compared("a", "b")), budget=aw.Budget(**budget), scheduler="full")
    assert study.baselines == ()
    assert most * 0.9 < limits[-1] <= most  # what the first one left
    assert limits[0] == pytest.approx(limits[-1] / 2, rel=0.1)


def test_a_search_of_seconds_has_no_time_for_them() -> None:
    task = Compared("a")
    aw.search(SPACE, evaluator(task), budget=aw.Budget(trials=1, seconds=19), final=False)
    assert not task.fits


# --------------------------------------------------------------------------- compared


def baseline(name: str, **metrics: float) -> Baseline:
    return Baseline(name, metrics, seconds=1.0, samples=10)


@pytest.mark.parametrize(
    ("objective", "validation", "test", "expected"),
    [
        ("max accuracy", {"accuracy": 0.8}, {}, ("b", "accuracy")),
        ("max accuracy", {"accuracy": 0.9}, {}, None),  # as good is not ahead
        ("max accuracy", {"accuracy": 0.8}, {"test_accuracy": 0.7}, ("a", "test_accuracy")),
        ("max accuracy", {"accuracy": 0.8}, {"test_accuracy": 0.95}, None),  # what counts is the test
        ("min loss", {"loss": 0.15, "accuracy": 0.1}, {}, ("a", "loss")),
        ("min loss", {"loss": 0.05}, {}, None),
        (["min flops", "max accuracy"], {"accuracy": 0.8, "flops": 1.0}, {}, ("b", "accuracy")),
        ("max accuracy * (flops / 5) ^ -0.07", {"accuracy": 0.8, "flops": 1.0}, {}, ("b", "accuracy")),
        ("max accuracy - 0.01*flops", {"accuracy": 0.8, "flops": 1.0}, {}, None),
        ("max accuracy", {"accuracy": float("nan")}, {}, None),
    ],
)
def test_the_best_one_that_beats_the_network_is_ahead(objective, validation, test, expected) -> None:
    listed = [
        baseline("a", accuracy=0.85, loss=0.1, test_accuracy=0.9),
        baseline("b", accuracy=0.9, loss=0.2, test_accuracy=0.8),
    ]
    found = ahead(listed, parse_objectives(objective), validation, test)
    assert (None if found is None else (found[0].name, found[1])) == expected
    assert ahead([], parse_objectives(objective), validation, test) is None
