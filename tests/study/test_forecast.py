"""What is said of a search before and while it goes: how many networks, and what stands in its way."""

from __future__ import annotations

import pytest
import torch
from tests.study.helpers import SPACE

import archwright as aw
from archwright.study._cautions import cautions
from archwright.study._forecast import Forecast
from archwright.tasks import as_task


def test_a_forecast_that_is_far_off_is_corrected_once() -> None:
    forecast = Forecast(24, 100.0)
    assert forecast.correct(3, 50.0) is None  # few networks tell nothing: the first is a full evaluation
    assert forecast.correct(4, 10.0) is None  # too early
    assert forecast.correct(4, 50.0) == 8.0
    assert forecast.correct(4, 52.0) is None  # known by now
    assert forecast.correct(9, 60.0) == 15.0
    assert Forecast(12, 100.0).correct(5, 50.0) is None  # near enough


def data(targets, *, features=3, **options):
    return as_task(aw.data((torch.randn(len(targets), features), targets), **options))


@pytest.mark.parametrize(
    ("task", "said"),
    [
        (lambda: data(torch.arange(400) % 2), []),
        (lambda: data(torch.arange(60) % 2), ["6 validation samples, too few to tell networks apart"]),
        (lambda: data((torch.arange(400) >= 397).long()), ["class '1' has", "of class '0'"]),
        (lambda: data(torch.arange(800) // 2), ["class '0' has 1 training sample (of 400 classes"]),
        (lambda: data((torch.arange(400) >= 390).long()), ["97.5% of the training samples are of class '0'"]),
        (lambda: data(torch.cat([torch.randn(399), torch.tensor([1e9])]), task="regression"), ["a target is 1e+09"]),
        (lambda: data(torch.randn(400), task="regression"), []),
        (lambda: data(torch.arange(400) % 2, features=1), ["a single feature"]),
        (lambda: data(torch.ones(400), task="regression"), ["all targets are equal"]),
    ],
)
def test_what_limits_a_search_is_said(task, said) -> None:
    found = cautions(task())
    assert len(found) == len(said)
    assert all(wanted in line and line.startswith("caution: ") for wanted, line in zip(said, found, strict=True))


def test_a_test_of_training_samples_is_warned_of(tmp_path) -> None:
    (tmp_path / "a.csv").write_text("x,y\n" + "".join(f"{n / 7:.3f},{'ab'[n % 2]}\n" for n in range(400)))
    (tmp_path / "b.csv").write_text("x,y\n" + "".join(f"{n / 7:.3f},{'ab'[n % 2]}\n" for n in range(300, 700, 2)))
    said = [" ".join(cautions(aw.task(tmp_path / "a.csv", test_file=tmp_path / name))) for name in ("a.csv", "b.csv")]
    assert ["the test samples are training" in each for each in said] == [True, False]


def test_a_task_of_ones_own_has_no_cautions_of_classes() -> None:
    parts = {part: (torch.rand(40, 2), torch.rand(40, 1)) for part in ("train", "validation")}
    assert cautions(aw.Task(**parts, loss=torch.nn.functional.mse_loss)) == []
    assert cautions(None) == []


@pytest.mark.parametrize("starts", [True, False])
def test_the_first_start_is_a_full_evaluation(starts) -> None:
    def evaluate(candidate):
        return float(candidate.fidelity["n"])

    known = [next(SPACE.enumerate())] if starts else []
    study = aw.search(
        SPACE, evaluate, starts=known, scheduler="asha", fidelity={"n": (1, 9)}, budget=aw.Budget(trials=3)
    )
    assert study.trials[0].fidelity == {"n": 9 if starts else 1}
    assert study.trials[1].fidelity == {"n": 1}
    assert study.best.metrics["value"] == 9.0


@pytest.mark.parametrize(
    ("samples", "options", "wanted"),
    [
        (400, {}, "min loss"),
        (400, {"strategy": "random"}, "max accuracy"),
        (400, {"objective": "max f1"}, "max f1"),
        (400, {"budget": aw.Budget(trials=1, target=0.9)}, "max accuracy"),
        (5_000, {}, "max accuracy"),
    ],
)
def test_with_few_validation_samples_networks_are_compared_by_their_loss(tmp_path, samples, options, wanted) -> None:
    training = aw.Training(aw.data((torch.randn(samples, 3), torch.arange(samples) % 2)), epochs=1)
    options = {"budget": aw.Budget(trials=1), "final": False, "baseline": False, "path": tmp_path, **options}
    study = aw.search("mlp", training, **options)
    assert str(study.objective) == wanted
    assert any(line.startswith("objective loss: 40 validation samples") for line in study.why) == (wanted == "min loss")
    again = aw.search("mlp", training, **{**options, "budget": aw.Budget(trials=2)}, resume=True)
    assert str(again.objective) == wanted


def test_a_budget_of_a_moment_still_has_a_network() -> None:
    """All the time is for the first trial, as long as there is no network."""
    training = aw.Training(aw.data((torch.randn(400, 3), torch.arange(400) % 2)))
    study = aw.search("mlp", training, budget=aw.Budget(seconds=1), baseline=False)
    assert study.best is not None
    assert study.best.load()(torch.zeros(1, 3)).shape == (1, 2)
