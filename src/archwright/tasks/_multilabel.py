"""Multi-label classification: any number of labels for each sample."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from archwright.datasets import Data
from archwright.tasks._baseline import ClassicalMethod
from archwright.tasks._classification import check_floats
from archwright.tasks._metrics import area_under_curve
from archwright.tasks._task import DataTask


class MultiLabel(DataTask):
    """Multi-label classification of table rows: each label applies or not.

    A network gives a score for each label, shape (n, labels), the logit of its probability. The loss is the binary
    cross-entropy in nats, the mean over the labels. A label is predicted where its probability is above 0.5. Metrics
    are "f1", the unweighted mean of the F1 scores of the labels (those that are neither targets nor predicted are left
    out); "micro_f1", the F1 score of all pairs of samples and labels; "subset_accuracy", the share of samples with all
    labels right; and "auc", the mean of the areas under the ROC curves of the labels that some samples have and others
    have not. All are in 0..1.

    Args:
        data: The data; `aw.data(..., target=["a", "b"])` loads them.

    Example:
        >>> marks = torch.arange(40)[:, None] // torch.tensor([1, 2, 4]) % 2
        >>> aw.tasks.as_task(aw.data((torch.rand(40, 4), marks), task="multilabel")).objective
        'max f1'
    """

    metrics = frozenset(("loss", "f1", "micro_f1", "subset_accuracy", "auc"))

    def __init__(self, data: Data) -> None:
        loss = F.binary_cross_entropy_with_logits
        super().__init__(data, loss=loss, objective="max f1", outputs=len(data.classes))
        self.classes = data.classes

    @property
    def baselines(self) -> Sequence[ClassicalMethod]:
        """Logistic regression and gradient boosting of scikit-learn for each label, which is loaded for them."""
        from archwright.tasks._classical import labellers

        return labellers(self)

    def check_outputs(self, outputs: Any, size: int) -> None:
        """Check that the outputs are floating-point scores for each label.

        Raises:
            EvaluationError: The shape or type is wrong.
        """
        meaning = f"one score, a floating-point number, for each of the {len(self.classes)} labels"
        check_floats(outputs, (size, len(self.classes)), meaning)

    def distillation(self, outputs: Tensor, teacher_outputs: Tensor) -> Tensor:
        """Return the mean cross-entropy against the probabilities of another network, a scalar."""
        return F.binary_cross_entropy_with_logits(outputs, teacher_outputs.sigmoid())

    def meter(self, device: str = "cpu") -> LabelCounts:
        """Return the metrics of a part, computed from counts for each label and from the scores."""
        return LabelCounts(len(self.classes), device)

    def decode(self, outputs: Tensor) -> list[list[str]]:
        """Return the names of the labels of each sample."""
        return [
            [name for name, chosen in zip(self.classes, row, strict=True) if chosen] for row in (outputs > 0).tolist()
        ]


class LabelCounts:
    """The metrics of a multi-label classification.

    Args:
        labels: The number of labels.
        device: Where counts and scores are kept.
    """

    def __init__(self, labels: int, device: str = "cpu") -> None:
        self._counts = torch.zeros((3, labels), dtype=torch.int64, device=device)  # right, predicted, true
        self._exact = torch.zeros((), dtype=torch.int64, device=device)
        self._seen: list[tuple[Tensor, Tensor]] = []

    def update(self, outputs: Tensor, targets: Tensor) -> None:
        """Take in scores and targets of 0 and 1, both of shape (n, labels)."""
        predicted, true = outputs.detach() > 0, targets > 0.5
        self._counts += torch.stack([(predicted & true).sum(0), predicted.sum(0), true.sum(0)])
        self._exact += (predicted == true).all(1).sum()
        self._seen.append((outputs.detach(), true))

    def compute(self) -> dict[str, float]:
        """Return "f1", "micro_f1", "subset_accuracy" and "auc", which is NaN where no label has both kinds of samples.

        A ratio without cases is 0.
        """
        right, *others = self._counts.cpu().double()
        total = others[0] + others[1]
        f1 = (2 * right / total.clamp(min=1))[total > 0]
        scores, true = (torch.cat(each).cpu() for each in zip(*self._seen, strict=True))
        areas = [area_under_curve(*pair) for pair in zip(scores.T, true.T, strict=True)]
        known = [area for area in areas if not math.isnan(area)]
        return {
            "f1": f1.mean().item() if len(f1) else 0.0,
            "micro_f1": (2 * right.sum() / total.sum().clamp(min=1)).item(),
            "subset_accuracy": self._exact.item() / len(true),
            "auc": sum(known) / len(known) if known else math.nan,
        }
