"""Metrics of classification, with scikit-learn as the referee."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import accuracy_score, confusion_matrix, precision_recall_fscore_support

from archwright.tasks import _confusion


@st.composite
def outcomes(draw: st.DrawFn) -> tuple[list[int], list[int], int]:
    classes = draw(st.integers(2, 6))
    pairs = draw(st.lists(st.tuples(st.integers(0, classes - 1), st.integers(0, classes - 1)), min_size=1, max_size=40))
    return [true for true, _ in pairs], [predicted for _, predicted in pairs], classes


@given(outcomes())
def test_metrics_agree_with_scikit_learn(outcome: tuple[list[int], list[int], int]) -> None:
    true, predicted, classes = outcome
    confusion = _confusion.confusion_matrix(torch.tensor(predicted), torch.tensor(true), classes)
    assert confusion.tolist() == confusion_matrix(true, predicted, labels=range(classes)).tolist()
    precision, recall, f1, _ = precision_recall_fscore_support(true, predicted, average="macro", zero_division=0)
    assert _confusion.classification_metrics(confusion) == pytest.approx(
        {
            "accuracy": accuracy_score(true, predicted),
            "precision": precision,
            "recall": recall,
            "f1": f1,
        }
    )


def test_a_known_answer() -> None:
    # Class 0: 2 of 3 found, 2 of 2 right. Class 1: 1 of 1 found, 1 of 2 right. Class 2: nowhere.
    confusion = torch.tensor([[2, 1, 0], [0, 1, 0], [0, 0, 0]])
    assert _confusion.classification_metrics(confusion) == pytest.approx(
        {"accuracy": 3 / 4, "precision": 3 / 4, "recall": 5 / 6, "f1": (4 / 5 + 2 / 3) / 2}
    )
