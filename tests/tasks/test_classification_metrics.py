"""Metrics of classification, with scikit-learn as the referee."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import accuracy_score, precision_recall_fscore_support, roc_auc_score

import archwright as aw
from archwright.tasks import as_task
from archwright.tasks._classification import Confusion, Ranked


@st.composite
def outcomes(draw: st.DrawFn) -> tuple[list[int], list[int], int]:
    classes = draw(st.integers(2, 6))
    pairs = draw(st.lists(st.tuples(st.integers(0, classes - 1), st.integers(0, classes - 1)), min_size=1, max_size=40))
    return [true for true, _ in pairs], [predicted for _, predicted in pairs], classes


def metrics(true: list[int], predicted: list[int], classes: int) -> dict[str, float]:
    """Return the metrics of predictions, given in two batches."""
    confusion = Confusion(classes)
    scores = torch.nn.functional.one_hot(torch.tensor(predicted), classes).float()
    for batch in (slice(0, 7), slice(7, None)):
        confusion.update(scores[batch], torch.tensor(true)[batch])
    return confusion.compute()


@given(outcomes())
def test_metrics_agree_with_scikit_learn(outcome: tuple[list[int], list[int], int]) -> None:
    true, predicted, classes = outcome
    precision, recall, f1, _ = precision_recall_fscore_support(true, predicted, average="macro", zero_division=0)
    assert metrics(true, predicted, classes) == pytest.approx(
        {
            "accuracy": accuracy_score(true, predicted),
            "precision": precision,
            "recall": recall,
            "f1": f1,
        }
    )


def test_a_known_answer() -> None:
    # Class 0: 2 of 3 found, 2 of 2 right. Class 1: 1 of 1 found, 1 of 2 right. Class 2: nowhere.
    assert metrics([0, 0, 0, 1], [0, 0, 1, 1], 3) == pytest.approx(
        {"accuracy": 3 / 4, "precision": 3 / 4, "recall": 5 / 6, "f1": (4 / 5 + 2 / 3) / 2}
    )


@given(st.lists(st.tuples(st.integers(-3, 3), st.booleans()), min_size=2, max_size=60))
def test_the_area_under_the_curve_agrees_with_scikit_learn(pairs: list[tuple[int, bool]]) -> None:
    scores = torch.tensor([score for score, _ in pairs]) / 4  # few values, so that many are tied
    true = torch.tensor([int(positive) for _, positive in pairs])
    outputs = torch.stack([-scores / 2, scores / 2], 1)
    meter = Ranked()
    for batch in (slice(0, 5), slice(5, None)):
        meter.update(outputs[batch], true[batch])
    found = meter.compute()
    if 0 < true.sum() < len(true):
        assert found["auc"] == pytest.approx(roc_auc_score(true, scores))
    else:
        assert math.isnan(found["auc"])
    assert found["accuracy"] == pytest.approx(accuracy_score(true, scores > 0))


def test_two_classes_have_an_area_under_the_curve_and_more_have_none() -> None:
    task = as_task(aw.data("breast-cancer"))
    assert "auc" in task.metrics
    assert "auc" not in as_task(aw.data("iris")).metrics
    study = aw.search(
        "mlp",
        aw.Training(task, epochs=3, final_epochs=3),
        objective="max auc",
        strategy="random",
        budget=aw.Budget(trials=1),
    )
    outputs = study.predictor().scores(task.test.inputs)
    wanted = roc_auc_score(task.test.targets, outputs.softmax(1)[:, 1].numpy())
    assert study.test is not None
    assert study.test["test_auc"] == pytest.approx(wanted, abs=1e-6)
