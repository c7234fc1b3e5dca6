"""Regression: one or several numbers for each sample."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from archwright.datasets import Data
from archwright.errors import EvaluationError
from archwright.tasks._baseline import ClassicalMethod
from archwright.tasks._classification import described
from archwright.tasks._task import DataTask


class Regression(DataTask):
    """Regression on images or table rows.

    A network gives k numbers for each sample, shape (n, k), or (n,) where k is 1: the target values, standardised by
    their mean and standard deviation over the training part. The loss is the mean squared error of these. Metrics are
    in the units of the targets: "rmse", the root of the mean squared error; "mae", the mean absolute error; and "r2",
    the coefficient of determination 1 - SSE / SST, at most 1. With several targets they are means over the targets.

    Args:
        data: The data; `aw.data(..., task="regression")` loads them.

    Example:
        >>> import archwright as aw
        >>> aw.Training(aw.data("diabetes"), epochs=4).task.objective
        'min rmse'
    """

    metrics = frozenset(("loss", "rmse", "mae", "r2"))

    def __init__(self, data: Data) -> None:
        super().__init__(data, loss=F.mse_loss, objective="min rmse", outputs=len(data.targets))
        # In double precision: targets may be far from zero, such as a time in seconds.
        self.mean = torch.tensor([each.mean for each in data.targets], dtype=torch.float64)
        self.std = torch.tensor([each.std for each in data.targets], dtype=torch.float64)

    @property
    def baselines(self) -> Sequence[ClassicalMethod]:
        """Ridge regression and, for tables, gradient boosting; both of scikit-learn, which is loaded for them."""
        from archwright.tasks._classical import regressors

        return regressors(self)

    def check_outputs(self, outputs: Any, size: int) -> None:
        """Check that the outputs are floating-point numbers for each target value.

        Raises:
            EvaluationError: Their shape or type is another.
        """
        wanted = (size, len(self.std))
        shapes = [wanted, (size,)] if len(self.std) == 1 else [wanted]
        if not isinstance(outputs, Tensor) or outputs.shape not in shapes or not outputs.is_floating_point():
            raise EvaluationError(
                f"the network's output for a batch of {size} is of {described(outputs)}; expected is shape {wanted}: a "
                "floating-point number for each target value"
            )

    def loss(self, outputs: Tensor, targets: Tensor, *, label_smoothing: float | None = None) -> Tensor:
        """Return the mean squared error of standardised values, a scalar.

        Args:
            outputs: Shape (n, k) or (n,).
            targets: In their own units, shape (n, k).
            label_smoothing: Not used: there are no labels.
        """
        standardised = _standardised(targets, self.mean, self.std).to(outputs.dtype)
        return F.mse_loss(outputs.reshape(targets.shape), standardised)

    def distillation(self, outputs: Tensor, teacher_outputs: Tensor) -> Tensor:
        """Return the mean squared difference from the outputs of another network, a scalar."""
        return F.mse_loss(outputs, teacher_outputs)

    def meter(self, device: str = "cpu") -> Errors:
        """Return the metrics of a part, computed from sums over it."""
        return Errors(self.mean, self.std, device)

    def decode(self, outputs: Tensor) -> list[list[float]]:
        """Return the values of each sample in the units of the targets."""
        values: list[list[float]] = (outputs.reshape(len(outputs), -1).double() * self.std + self.mean).tolist()
        return values


class Errors:
    """The metrics of a regression, computed batch by batch in float64.

    Args:
        mean: Of each target over the training part, shape (k,).
        std: Standard deviation likewise.
        device: Where outputs and targets are.
    """

    def __init__(self, mean: Tensor, std: Tensor, device: str) -> None:
        self._mean, self._std = mean, std
        self._count = 0
        # Of standardised errors: of squares and of absolute values. Of standardised targets: of values and of squares.
        kind = torch.float32 if torch.device(device).type == "mps" else torch.float64
        self._sums = torch.zeros((4, len(mean)), dtype=kind, device=device)

    def update(self, outputs: Tensor, targets: Tensor) -> None:
        """Take in standardised outputs of shape (n, k) or (n,), and targets of shape (n, k) in their own units."""
        wanted = _standardised(targets, self._mean, self._std).to(self._sums.dtype)
        error = outputs.reshape(targets.shape).to(self._sums.dtype) - wanted
        self._sums += torch.stack([error.square().sum(0), error.abs().sum(0), wanted.sum(0), wanted.square().sum(0)])
        self._count += len(targets)

    def compute(self) -> dict[str, float]:
        """Return "rmse", "mae" and "r2".

        A target that is constant over the part has no coefficient of determination: "r2" is 1 where it is met exactly,
        and else 0, as in scikit-learn.
        """
        squares, absolutes, total, total_squares = self._sums.cpu().double()
        spread = total_squares - total.square() / self._count
        constant = spread <= 1e-12 * (1 + total_squares)
        r2 = torch.where(constant, (squares == 0).double(), 1 - squares / torch.where(constant, 1.0, spread))
        return {
            "rmse": ((squares / self._count).sqrt() * self._std).mean().item(),
            "mae": (absolutes / self._count * self._std).mean().item(),
            "r2": r2.mean().item(),
        }


def _standardised(targets: Tensor, mean: Tensor, std: Tensor) -> Tensor:
    """Return (n, k) targets less their mean, over their deviation, computed in double precision where there is one."""
    if targets.device.type == "mps":
        return (targets.cpu().double() - mean).div(std).float().to(targets.device)
    return (targets.double() - mean.to(targets.device)) / std.to(targets.device)
