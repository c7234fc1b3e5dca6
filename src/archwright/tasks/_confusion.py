"""Metrics of classification, all from one confusion matrix."""

from __future__ import annotations

import torch
from torch import Tensor

__all__ = ["classification_metrics", "confusion_matrix"]


def confusion_matrix(predicted: Tensor, targets: Tensor, classes: int) -> Tensor:
    """Count how often each class was taken for each.

    Args:
        predicted: Class numbers, int64, shape `(n,)`.
        targets: The true ones, likewise.
        classes: How many classes there are.

    Returns:
        Counts, int64, shape `(classes, classes)`: true classes in rows, predicted ones in columns.
    """
    pairs = torch.bincount(targets * classes + predicted, minlength=classes * classes)
    return pairs.view(classes, classes)


def classification_metrics(confusion: Tensor) -> dict[str, float]:
    """Return accuracy, and precision, recall and F1 averaged over the classes, all in 0..1.

    Each class counts the same ("macro"). A class that is neither true nor predicted anywhere is
    left out of the averages; a ratio without cases is 0.

    Args:
        confusion: Counts, shape `(classes, classes)`, true classes in rows.
    """
    counts = confusion.cpu().double()
    hits, true, predicted = counts.diagonal(), counts.sum(1), counts.sum(0)
    present = true + predicted > 0
    # A hit needs a case, so a denominator of 0 comes with a numerator of 0.
    precision = hits / predicted.clamp(min=1)
    recall = hits / true.clamp(min=1)
    f1 = 2 * hits / (true + predicted).clamp(min=1)
    return {
        "accuracy": (hits.sum() / counts.sum()).item(),
        "precision": precision[present].mean().item(),
        "recall": recall[present].mean().item(),
        "f1": f1[present].mean().item(),
    }
