"""The best epoch of a training."""

from __future__ import annotations

import math
import warnings

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from tests.evaluate.stubs import candidate, convnet, images, table
from torch import nn

from archwright.evaluate import Stopped, Training
from archwright.evaluate._best_epoch import BestEpoch
from archwright.tasks import as_task

TASK = as_task(table())


def epochs(samples: int, rows: list[tuple[float, float]]) -> tuple[BestEpoch, nn.Linear]:
    """Return what is kept of epochs with such accuracies and losses; the weight of each is its number."""
    best, model = BestEpoch(TASK, samples), nn.Linear(1, 1, bias=False)
    for number, (accuracy, loss) in enumerate(rows):
        nn.init.constant_(model.weight, number)
        best.offer(model, {"accuracy": accuracy, "loss": loss}, (number + 1) / len(rows))
    best.restore(model)
    return best, model


ROWS = st.lists(st.tuples(st.sampled_from([0.5, 0.6, 0.61]), st.sampled_from([0.9, 1.0, 2.0])), min_size=1, max_size=8)


@given(ROWS, st.sampled_from([30, 120, 4000]))
def test_the_weights_are_those_of_the_last_epoch_unless_the_best_is_clearly_better(
    rows: list[tuple[float, float]], samples: int
) -> None:
    best, model = epochs(samples, rows)
    number = int(model.weight.item())
    assert best.metrics == {"accuracy": rows[number][0], "loss": rows[number][1]}
    if samples == 30:  # too few for anything
        assert number == len(rows) - 1
    elif samples == 120:  # too few for accuracies: 18 % of a loss are chance
        lowest = min(loss for _, loss in rows)
        last_of_them = max(place for place, (_, loss) in enumerate(rows) if loss == lowest)
        is_kept = rows[-1][1] == 2.0 and lowest < 2.0 and rows[last_of_them][0] >= rows[-1][0]
        assert number == (last_of_them if is_kept else len(rows) - 1)
    else:  # 3 % of an accuracy are
        top = max(accuracy for accuracy, _ in rows)
        is_ahead = rows[-1][0] == 0.5 and top > 0.5
        assert (rows[number] == max(rows, key=lambda row: (row[0], -row[1]))) if is_ahead else number == len(rows) - 1


def test_a_loss_that_is_not_a_number_is_never_the_best() -> None:
    best, _ = epochs(40, [(0.5, 1.0), (0.9, math.nan)])
    assert best.metrics["loss"] == 1.0


@pytest.mark.parametrize(
    ("losses", "ends"),
    [
        ([2.0, 1.0, 1.2, 1.3, 1.4, 1.5, 1.6, 1.7], True),
        ([2.0, 1.0, 1.05, 1.05, 1.05, 1.05, 1.05, 1.05], False),  # it hardly gets worse
        ([2.0, 1.9, 1.8, 1.7, 1.6, 1.0, 1.2, 1.3], False),  # not for long
    ],
)
def test_it_has_stalled_where_the_loss_rises_for_long(losses: list[float], ends: bool) -> None:
    best, model = BestEpoch(TASK, 120), nn.Linear(1, 1)
    stalled = []
    for number, loss in enumerate(losses):
        best.offer(model, {"accuracy": 0.5, "loss": loss}, (number + 1) / len(losses))
        stalled.append(best.stalled())
    assert any(stalled) == ends
    assert not any(stalled[:5])  # the first three quarters


def test_a_trial_has_the_metrics_of_its_network() -> None:
    data = images()
    one = candidate(convnet, seed=3)
    metrics = Training(data, epochs=8).evaluate(one)
    assert metrics["loss"] in [row["loss"] for row in one.curve]
    with torch.no_grad():
        scores = one.model(data.normalise(data.validation.inputs))
    assert nn.functional.cross_entropy(scores, data.validation.targets).item() == pytest.approx(metrics["loss"], 1e-4)


def test_the_network_of_the_search_is_kept_where_the_final_training_is_behind() -> None:
    told: list[str] = []
    data = images()
    good = candidate(convnet)
    training = Training(data, epochs=12)
    training.evaluate(good)
    one = candidate(convnet)
    one.searched, one.problem = lambda: good.model, told.append
    tested = Training(data, epochs=12, lr=1e-6, final_epochs=1).retrain(one)
    assert "the final training is behind the search: loss" in told[0]
    for first, second in zip(one.model.state_dict().values(), good.model.state_dict().values(), strict=True):
        assert torch.equal(first, second)
    assert tested["test_accuracy"] == training.held_out(good, good.model)["test_accuracy"]


def test_a_better_final_training_replaces_the_network_of_the_search() -> None:
    data = images()
    poor, one = candidate(convnet), candidate(convnet)
    one.searched = lambda: poor.model  # untrained
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        Training(data, epochs=6).retrain(one)
    assert not torch.equal(next(one.model.parameters()), next(poor.model.parameters()))


def test_a_listener_that_ends_the_final_training_leaves_a_tested_network() -> None:
    def stop(step: float, metrics: object) -> None:
        raise Stopped("enough")

    one = candidate(convnet, listener=stop)
    metrics = Training(images(), epochs=6).retrain(one)
    assert metrics["epochs"] == 1
    assert "test_accuracy" in metrics


def test_a_surer_network_that_errs_less_is_kept_for_its_accuracy() -> None:
    best, _ = epochs(120, [(0.7, 0.4), (0.8, 0.9)])
    assert best.metrics == {"accuracy": 0.8, "loss": 0.9}
    best, _ = epochs(120, [(0.8, 0.4), (0.8, 0.9)])
    assert best.metrics == {"accuracy": 0.8, "loss": 0.4}
