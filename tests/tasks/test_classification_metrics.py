"""Metrics of classification, with scikit-learn as the referee."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import accuracy_score, precision_recall_fscore_support

from archwright.tasks._classification import Confusion


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
