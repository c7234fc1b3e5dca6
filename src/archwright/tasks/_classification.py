"""Classification: one of several classes for each sample."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from archwright.datasets import Data
from archwright.errors import EvaluationError
from archwright.tasks._baseline import ClassicalMethod
from archwright.tasks._combination import MeanProbabilities
from archwright.tasks._metrics import area_under_curve
from archwright.tasks._task import DataTask, Task


class ClassTask(Task):
    """Base class of tasks with one of several classes for each sample.

    A network gives a score for each class, shape (n, classes), and the metrics are those of `Classification`. A
    subclass sets `classes`, the names of the classes, and gives `Task` the loss `torch.nn.functional.cross_entropy`.

    Example:
        >>> from archwright.tasks import ClassTask, as_task
        >>> isinstance(as_task(aw.data("iris")), ClassTask)
        True
    """

    label_smoothing = 0.1
    combination = MeanProbabilities
    metrics = frozenset(("loss", "accuracy", "precision", "recall", "f1"))
    classes: tuple[str, ...]

    def check_outputs(self, outputs: Any, size: int) -> None:
        """Check that the outputs are floating-point scores for each class.

        Raises:
            EvaluationError: The shape or type is wrong.
        """
        meaning = f"one score, a floating-point number, for each of the {len(self.classes)} classes"
        check_floats(outputs, (size, len(self.classes)), meaning)

    def loss(self, outputs: Tensor, targets: Tensor, *, label_smoothing: float | None = None) -> Tensor:
        """Return the mean cross-entropy of a batch in nats, a scalar.

        Args:
            outputs: Scores, shape (n, classes).
            targets: Indices of the classes, int64 of shape (n,).
            label_smoothing: The label smoothing, from 0 to below 1.
        """
        return F.cross_entropy(outputs, targets, label_smoothing=label_smoothing or 0.0)

    def distillation(self, outputs: Tensor, teacher_outputs: Tensor) -> Tensor:
        """Return the mean cross-entropy against the probabilities of another network, a scalar."""
        return F.cross_entropy(outputs, teacher_outputs.softmax(dim=1))

    def meter(self, device: str = "cpu") -> Confusion:
        """Return the metrics of a part, computed from one confusion matrix, and the scores of two classes."""
        return Ranked(device) if "auc" in self.metrics else Confusion(len(self.classes), device)

    def decode(self, outputs: Tensor) -> list[str]:
        """Return the name of the most probable class of each sample."""
        return [self.classes[place] for place in outputs.argmax(1).tolist()]


class Classification(ClassTask, DataTask):
    """Classification of images or table rows.

    A network gives a score for each class, shape (n, classes). The loss is the cross-entropy in nats. Metrics are
    "accuracy", and "precision", "recall" and "f1" as unweighted means over the classes (macro averages), all in 0..1;
    and of two classes "auc", the area under the ROC curve of the second one, NaN where a part has one class alone.

    Args:
        data: The data; `aw.data(...)` loads them.

    Example:
        >>> import archwright as aw
        >>> aw.Training(aw.data("digits"), epochs=4).task.objective
        'max accuracy'
    """

    def __init__(self, data: Data) -> None:
        super().__init__(data, loss=F.cross_entropy, objective="max accuracy", outputs=len(data.classes))
        self.classes = data.classes
        if len(data.classes) == 2:
            self.metrics = self.metrics | {"auc"}

    @property
    def baselines(self) -> Sequence[ClassicalMethod]:
        """Logistic regression and, for tables, gradient boosting; both of scikit-learn, which is loaded for them."""
        from archwright.tasks._classical import classifiers

        return classifiers(self)


class Confusion:
    """The metrics of a classification, from one confusion matrix: true classes in rows, predicted ones in columns.

    Args:
        classes: The number of classes.
        device: Where the counts are kept, so that the loop over the batches never waits for it.
    """

    def __init__(self, classes: int, device: str = "cpu") -> None:
        self._counts = torch.zeros((classes, classes), dtype=torch.int64, device=device)

    def update(self, outputs: Tensor, targets: Tensor) -> None:
        """Count which classes were predicted, from scores of shape (n, classes) and targets of shape (n,)."""
        classes = len(self._counts)
        pairs = torch.bincount(targets * classes + outputs.argmax(1), minlength=classes * classes)
        self._counts += pairs.view(classes, classes)

    def compute(self) -> dict[str, float]:
        """Return accuracy, and precision, recall and F1 as means over the classes, all in 0..1.

        A class that is neither a target nor predicted anywhere is left out of the means; a ratio without cases is 0.
        """
        counts = self._counts.cpu().double()
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


class Ranked(Confusion):
    """The metrics of a classification of two classes: those of a confusion matrix, and the area under the ROC curve.

    Args:
        device: Where counts and scores are kept.
    """

    def __init__(self, device: str = "cpu") -> None:
        super().__init__(2, device)
        self._seen: list[tuple[Tensor, Tensor]] = []

    def update(self, outputs: Tensor, targets: Tensor) -> None:
        """Take in scores of shape (n, 2) and targets of shape (n,)."""
        super().update(outputs, targets)
        self._seen.append((outputs[:, 1].detach() - outputs[:, 0].detach(), targets == 1))

    def compute(self) -> dict[str, float]:
        """Return the metrics of `Confusion`, and "auc"."""
        scores, positive = (torch.cat(each).cpu() for each in zip(*self._seen, strict=True))
        return {**super().compute(), "auc": area_under_curve(scores, positive)}


def check_floats(outputs: Any, shape: Sequence[int | str], meaning: str) -> None:
    """Check that outputs are floating-point numbers of a shape, in which a word stands for any size.

    Raises:
        EvaluationError: The shape or type is wrong.
    """
    fits = isinstance(outputs, Tensor) and outputs.is_floating_point() and outputs.ndim == len(shape)
    if not fits or any(isinstance(n, int) and n != size for n, size in zip(shape, outputs.shape, strict=True)):
        raise EvaluationError(
            f"the network's output for a batch of {shape[0]} is of {described(outputs)}; expected is shape "
            f"({', '.join(map(str, shape))}): {meaning}"
        )


def described(outputs: Any) -> str:
    """Return the shape and type of outputs, for a message."""
    if not isinstance(outputs, Tensor):
        return type(outputs).__name__
    return f"shape {tuple(outputs.shape)}" + ("" if outputs.is_floating_point() else f" and type {outputs.dtype}")
