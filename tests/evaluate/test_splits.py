"""Several splits of few data."""

from __future__ import annotations

import math
import time

import pytest
import torch
from tests.evaluate.stubs import candidate, convnet, images, table

import archwright as aw
from archwright.evaluate import Stopped, Training, standard_error
from archwright.evaluate._splits import split_again
from archwright.tasks import as_task


def test_another_split_has_the_same_samples_and_sizes_and_each_class_in_proportion() -> None:
    task = as_task(images((96, 42, 20)))
    whole = sorted(tuple(each.flatten().tolist()) for each in (task.train + task.validation).inputs)
    assert split_again(task, 0) is task
    seen = []
    for number in (1, 2):
        other = split_again(task, number)
        assert (len(other.train), len(other.validation), len(other.test)) == (96, 42, 20)
        assert sorted(tuple(each.flatten().tolist()) for each in (other.train + other.validation).inputs) == whole
        both = torch.bincount(torch.cat([task.train.targets, task.validation.targets]))
        held = torch.bincount(other.validation.targets, minlength=3)
        assert ((held - both * 42 / 138).abs() <= 1).all()
        seen.append(other.validation.inputs)
    assert not torch.equal(*seen)
    assert torch.equal(split_again(task, 1).validation.inputs, seen[0])
    assert len(task.validation) == 42  # the task stays what it was


def test_the_metrics_are_means_over_the_splits_and_the_network_is_that_of_the_first() -> None:
    training = Training(images(), epochs=2)
    one = candidate(convnet, seed=5, fidelity={"splits": 3})
    metrics = training.evaluate(one)
    first = candidate(convnet, seed=5)
    alone = training.evaluate(first)
    assert [row["step"] for row in one.curve] == [1, 2, 3]
    assert one.curve[0]["loss"] == alone["loss"]
    assert metrics == {name: value for name, value in one.curve[-1].items() if name != "step"}
    assert all(torch.equal(a, b) for a, b in zip(one.model.parameters(), first.model.parameters(), strict=True))
    assert metrics["loss"] != alone["loss"]


def test_a_candidate_that_goes_on_trains_on_the_further_splits_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    space = aw.Space(model=aw.nn.Sequential(aw.nn.Flatten(), aw.nn.LazyLinear(3)), lr=aw.real(0.001, 0.1, log=True))
    training, trained = Training(images(), epochs=1), []
    original = Training._on_split
    monkeypatch.setattr(Training, "_on_split", lambda self, number: trained.append(number) or original(self, number))
    study = aw.search(
        space,
        training,
        scheduler="asha",
        fidelity={"splits": (1, 3)},
        strategy="random",
        budget=aw.Budget(trials=2),
        final=False,
    )
    top = [trial for trial in study.trials if trial.share == 1]
    assert top
    assert len(trained) == sum(1 if trial.origin is None else 2 for trial in study.trials)
    again = candidate(
        lambda: space.build(top[0].architecture),
        seed=top[0].seed,
        fidelity={"splits": 3},
        settings={"lr": top[0].architecture["lr"]},
    )
    assert set(top[0].metrics) == set(training.evaluate(again))
    assert math.isclose(study.trials[top[0].origin].metrics["loss"], top[0].curve[0]["loss"])


def test_a_deadline_leaves_the_mean_over_the_splits_so_far() -> None:
    one = candidate(convnet, fidelity={"splits": 3})
    calls = iter([0.0] * 2)

    def listen(step: float, metrics: object) -> None:
        if next(calls, None) is None:
            raise Stopped("enough")

    one._listener = listen
    with pytest.raises(Stopped):
        Training(images(), epochs=1).evaluate(one)
    assert [row["step"] for row in one.curve] == [1, 2, 3]


def test_a_deadline_in_the_first_split_leaves_its_network_and_metrics() -> None:
    one = candidate(convnet, fidelity={"splits": 3}, deadline=time.monotonic())
    with pytest.raises(Stopped, match="out of time"):
        Training(images(), epochs=30).evaluate(one)
    assert [row["step"] for row in one.curve] == [1]
    assert one.built is not None
    assert 0 <= one.curve[0]["accuracy"] <= 1


@pytest.mark.parametrize(("samples", "known"), [(40, True), (499, True), (500, False)])
def test_only_few_validation_samples_have_splits(samples: int, known: bool) -> None:
    assert ("splits" in Training(table((60, samples, 5))).fidelities) == known


def test_the_standard_error_is_that_of_a_binomial() -> None:
    draws = torch.rand(4000, 50, generator=torch.Generator().manual_seed(0)) < 0.8
    assert standard_error(0.8, 50) == pytest.approx(draws.float().mean(1).std().item(), rel=0.05)
    assert 0 < standard_error(1.0, 10) < 0.1
    assert standard_error(0.0, 10) == pytest.approx(standard_error(1.0, 10))
