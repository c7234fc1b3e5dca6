"""Metrics of a part of the data, computed batch by batch."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Mapping
from typing import Any, Protocol

import torch
from torch import Tensor

from archwright.errors import EvaluationError
from archwright.tasks._tensors import map_tensors


class Metric(Protocol):
    """One metric that is computed batch by batch, such as those of torchmetrics."""

    def update(self, outputs: Any, targets: Any, /) -> object:
        """Take in a batch."""

    def compute(self) -> Any:
        """Return the metric of all batches: a number or a tensor of one."""


class Metrics(Protocol):
    """Several metrics that are computed together."""

    def update(self, outputs: Any, targets: Any, /) -> object:
        """Take in a batch."""

    def compute(self) -> Mapping[str, float]:
        """Return the metrics of all batches by name."""


class MetricsByName:
    """Metrics that were given one by one.

    Args:
        metrics: By name, functions `f(outputs, targets)` of a whole part, or objects with `update` and `compute`, which
            are copied.
        device: Where objects with a method `to` compute.
    """

    def __init__(self, metrics: Mapping[str, Callable[[Any, Any], Any] | Metric], device: str) -> None:
        self._functions: dict[str, Callable[[Any, Any], Any]] = {}
        self._objects: dict[str, Any] = {}
        for name, metric in metrics.items():
            if not hasattr(metric, "compute"):
                self._functions[name] = metric
                continue
            own: Any = copy.deepcopy(metric)
            self._objects[name] = own.to(device) if hasattr(own, "to") else own
        self._names = list(metrics)
        self._outputs: list[Any] = []
        self._targets: list[Any] = []

    def update(self, outputs: Any, targets: Any) -> None:
        """Take in a batch."""
        for metric in self._objects.values():
            metric.update(outputs, targets)
        if self._functions:
            self._outputs.append(map_tensors(_kept, outputs))
            self._targets.append(map_tensors(_kept, targets))

    def compute(self) -> dict[str, float]:
        """Return the metrics by name.

        Raises:
            EvaluationError: One is not a number.
        """
        found: dict[str, Any] = {name: metric.compute() for name, metric in self._objects.items()}
        if self._functions:
            outputs, targets = concatenate(self._outputs), concatenate(self._targets)
            found |= {name: function(outputs, targets) for name, function in self._functions.items()}
        numbers = {}
        for name in self._names:
            try:
                if isinstance(found[name], str):
                    raise TypeError("text is no number")
                numbers[name] = float(found[name])
            except (TypeError, ValueError, RuntimeError) as error:
                given = found[name]
                told = f"a tensor of shape {tuple(given.shape)}" if isinstance(given, Tensor) else repr(given)
                raise EvaluationError(f"metric {name!r} must be a number, not {told}") from error
        return numbers


def concatenate(batches: list[Any]) -> Any:
    """Return batches as one: tensors are joined along their first axis, in tuples, lists and dicts too.

    Raises:
        EvaluationError: Tensors differ in more than the first axis, or there is something else than tensors.
    """
    first = batches[0]
    if isinstance(first, Tensor):
        try:
            return torch.cat(batches)
        except RuntimeError as error:
            raise EvaluationError(
                f"batches of different shapes cannot be joined for a metric that is a function ({error}): give an "
                "object with update(outputs, targets) and compute() in its place"
            ) from error
    if isinstance(first, Mapping):
        return {name: concatenate([each[name] for each in batches]) for name in first}
    if isinstance(first, tuple) and hasattr(first, "_fields"):
        return type(first)(*map(concatenate, map(list, zip(*batches, strict=True))))
    if isinstance(first, tuple):
        return tuple(map(concatenate, map(list, zip(*batches, strict=True))))
    if isinstance(first, list):
        return [one for each in batches for one in each]
    raise EvaluationError(
        f"a batch holds tensors, and tuples, lists and dicts of them; {type(first).__name__} was given"
    )


def area_under_curve(scores: Tensor, positive: Tensor) -> float:
    """Return the area under the receiver operating characteristic, with ties counted by half.

    It is the share of the pairs of a positive and a negative sample in which the positive one has the higher score:
    (R - p (p + 1) / 2) / (p n), where R is the sum of the ranks of the p positive samples among all p + n. NaN where
    there are no samples of one kind.

    Args:
        scores: Shape (n,).
        positive: Which samples are positive, bool of shape (n,).
    """
    _, inverse, counts = torch.unique(scores, return_inverse=True, return_counts=True)
    ranks = counts.cumsum(0) - (counts - 1) / 2.0  # the mean of those that are tied
    total = ranks.double()[inverse][positive].sum().item()
    hits = int(positive.sum())
    pairs = hits * (len(positive) - hits)
    return (total - hits * (hits + 1) / 2) / pairs if pairs else math.nan


def _kept(tensor: Tensor) -> Tensor:
    return tensor.detach().cpu()
