"""The final training."""

from __future__ import annotations

import dataclasses
import functools
import time

import pytest
import torch
import torch.nn.functional as F
from sklearn.metrics import accuracy_score, precision_recall_fscore_support
from tests.evaluate.stubs import Clock, Recorder, candidate, convnet, images, linear

from archwright.datasets import Data
from archwright.errors import EvaluationError
from archwright.evaluate import SCHEDULES, Stopped, Training
from archwright.evaluate._stages import keep_back

SEEN = list[tuple[float, float]]


def recorded(data: Data, seen: SEEN, **options: object) -> Training:
    return Training(data, optimizer=functools.partial(Recorder, lr=0.1, seen=seen), **options)


def test_the_network_is_tested_on_the_test_part() -> None:
    data = images(classes=4)
    one = candidate(lambda: convnet(classes=4))
    training = Training(data, epochs=1)
    metrics = training.retrain(one)
    assert not one.model.training
    tested = {name: value for name, value in metrics.items() if name.startswith("test_")}
    assert training.held_out(one, one.model) == {**tested, "parameters": metrics["parameters"]}
    with torch.no_grad():
        scores = one.model(data.normalise(data.test.inputs))
    true, predicted = data.test.targets, scores.argmax(1)
    precision, recall, f1, _ = precision_recall_fscore_support(true, predicted, average="macro", zero_division=0)
    assert metrics["test_accuracy"] == pytest.approx(accuracy_score(true, predicted))
    assert metrics["test_loss"] == pytest.approx(F.cross_entropy(scores, true).item(), rel=1e-4)
    assert [metrics["test_precision"], metrics["test_recall"], metrics["test_f1"]] == pytest.approx(
        [precision, recall, f1]
    )
    assert set(metrics) == {
        *("test_accuracy", "test_precision", "test_recall", "test_f1", "test_loss"),
        *("train_loss", "epochs", "parameters"),
    }


def test_it_learns_from_the_training_and_half_of_the_validation_part() -> None:
    data = images((60, 40, 20))
    still = functools.partial(torch.optim.SGD, lr=0.0)
    one = candidate(linear)
    metrics = Training(data, optimizer=still, label_smoothing=0.0, final_epochs=1, augment=()).retrain(one)
    whole = data.train + keep_back(data.validation)[1]
    assert len(whole) == 80
    wanted = F.cross_entropy(one.model(data.normalise(whole.inputs)), whole.targets).item()
    assert metrics["train_loss"] == pytest.approx(wanted, rel=1e-5)


def test_it_starts_from_scratch() -> None:
    training = Training(images(), epochs=2)
    used, fresh = candidate(convnet, seed=4), candidate(convnet, seed=4)
    training.evaluate(used)
    assert training.retrain(used) == training.retrain(fresh)
    for first, second in zip(used.model.parameters(), fresh.model.parameters(), strict=True):
        assert torch.equal(first, second)


@pytest.mark.parametrize(("final_epochs", "wanted"), [(None, 6), (4, 4)])
def test_it_is_longer_than_the_search(final_epochs: int | None, wanted: int) -> None:
    one = candidate(linear, settings={"epochs": 2})
    metrics = Training(images(), epochs=5, final_epochs=final_epochs).retrain(one)
    assert metrics["epochs"] == wanted
    assert [row["step"] for row in one.curve] == list(range(1, wanted + 1))
    assert all(set(row) == {"step", "train_loss"} for row in one.curve)


def test_fidelity_does_not_shorten_it() -> None:
    assert Training(images(), epochs=2).retrain(candidate(linear, fidelity={"epochs": 1}))["epochs"] == 6


def test_with_much_time_it_ends_after_twice_the_epochs_of_a_full_training() -> None:
    seen: SEEN = []
    one = candidate(linear, deadline=time.monotonic() + 3.6e6)  # the steps lead, however slow the machine is
    metrics = recorded(images(), seen, epochs=1, batch_size=34).retrain(one)  # four steps an epoch
    assert metrics["epochs"] == 2 * 90
    steps = len(seen)
    assert [rate for rate, _ in seen] == pytest.approx(
        [0.1 * SCHEDULES["one-cycle"](step / steps) for step in range(steps)], rel=1e-3
    )


def test_with_little_time_the_rate_comes_to_its_end_with_the_time(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: SEEN = []
    clock = Clock()
    for room in ("_loop", "_candidate"):
        monkeypatch.setattr(f"archwright.evaluate.{room}.time", clock)
    monkeypatch.setattr("archwright.evaluate._training.seconds_to_validate", lambda *args, samples: 10.0)
    one = candidate(linear, deadline=121.0)  # nine looks at the clock in four steps
    metrics = recorded(images(), seen, epochs=100, batch_size=34).retrain(one)
    rates = [rate for rate, _ in seen]
    assert 35 < len(rates) < 46
    assert rates[-1] < 0.001 < 0.05 < max(rates)
    assert rates.index(max(rates)) == pytest.approx(len(rates) / 4, abs=2)
    assert clock.now < 121
    assert metrics["epochs"] == len(seen) / 4
    assert "test_accuracy" in metrics


def test_no_time_at_all_is_told_and_not_half_done() -> None:
    with pytest.raises(EvaluationError, match="too few for a final training"):
        Training(images()).retrain(candidate(linear, deadline=time.monotonic()))


def test_without_time_the_network_of_the_search_is_tested_as_it_is() -> None:
    one, told, network = candidate(linear, deadline=time.monotonic()), [], linear()
    one.searched, one.problem = lambda: network, told.append
    metrics = Training(images()).retrain(one)
    assert "the network of the search is kept" in told[0]
    assert "epochs" not in metrics
    assert torch.equal(one.model.state_dict()["1.weight"], network.state_dict()["1.weight"])


def test_a_listener_that_stops_does_not_lose_the_network() -> None:
    def stop(step: int, metrics: object) -> None:
        if step == 2:
            raise Stopped("enough")

    metrics = Training(images(), epochs=5).retrain(candidate(convnet, listener=stop))
    assert metrics["epochs"] == 2
    assert 0 <= metrics["test_accuracy"] <= 1


def test_the_test_part_is_not_needed_before() -> None:
    data = images()
    data = dataclasses.replace(data, test=data.test.select(torch.arange(0)))
    training = Training(data, epochs=1)
    assert "accuracy" in training.evaluate(candidate(convnet))
    assert set(training.retrain(candidate(convnet))) == {"train_loss", "epochs", "parameters"}


def test_divergence_is_an_error_here_too() -> None:
    with pytest.raises(EvaluationError, match="loss became"):
        Training(images(), optimizer="sgd", lr=1e30).retrain(candidate(linear))
