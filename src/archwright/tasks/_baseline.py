"""Classical methods that networks are compared with, fitted in a limited time."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from archwright.datasets import Part
from archwright.errors import EvaluationError
from archwright.tasks._tensors import leaves

if TYPE_CHECKING:
    from archwright.tasks._task import Task

_WARM_UP = 50  # samples of a fit that is not timed
_WARM_UPS = 4  # for which there has to be time, or a larger fit is not tried
_FIRST = 500  # samples of the first fit, from which the time of larger ones is estimated
_GROWTH = 4  # times as many samples the next fit has at most: from further away the estimate would be poor
_WORTH = 1.5  # times as many samples a larger fit has at least, unless it has all
_MARGIN = 1.5  # times the estimate that is allowed for: the time may grow faster than the number of samples
_SHARES = (0.02, 0.1)  # of the iterations, with which the time of the first fit is estimated
_BATCH, _VALUES = 10_000, 20_000_000  # samples that are predicted at a time, and their inputs' or outputs' values


@dataclass(frozen=True)
class ClassicalMethod:
    """A classical method of machine learning that networks are compared with.

    Args:
        name: The name.
        fit: `f(samples, share)`, which fits the method to a part of the task's data (`samples.inputs` and
            `samples.targets` of a `Part`), and returns a function from raw inputs to outputs as those of a network. A
            share below 1 asks for that fraction of the iterations, to estimate how long a fit takes; methods without
            iterations ignore it.
        note: What else there is to say, such as how inputs are reduced.
        limit: The maximum number of samples; `None` for no limit.

    Example:
        >>> from archwright.tasks import ClassicalMethod, as_task, fit_within
        >>> def fit(samples, share):
        ...     frequencies = samples.targets.bincount() / len(samples)
        ...     return lambda inputs: frequencies.log().expand(len(inputs), 2)
        >>> task = as_task(aw.data((torch.rand(40, 4), torch.arange(40) % 4 // 3)))
        >>> fit_within(task, ClassicalMethod("frequencies", fit), seconds=10).metrics["accuracy"]
        0.75
    """

    name: str
    fit: Callable[[Any, float], Callable[[Any], Any]]
    note: str = ""
    limit: int | None = None


@dataclass(frozen=True)
class Fitted:
    """The outcome of fitting a classical method.

    Args:
        metrics: Those of the task on the validation part; on the test part, named `test_...`, after a fit to training
            and validation samples.
        samples: The number of training samples that were used.
        seconds: The time it took in all.

    Example:
        >>> from archwright.tasks import as_task, fit_within
        >>> task = as_task(aw.data("iris"))
        >>> fit_within(task, task.baselines[0], seconds=10).samples == len(task.train)
        True
    """

    metrics: dict[str, float]
    samples: int
    seconds: float


def fit_within(task: Task, method: ClassicalMethod, *, seconds: float) -> Fitted | float:
    """Fit a classical method to as many samples as the time allows, and evaluate it.

    A fit cannot be interrupted, so its time is estimated beforehand: that of the first 500 samples from fits with few
    iterations, that of more samples from the fit to at most four times fewer.

    Args:
        task: The task.
        method: The method.
        seconds: The time limit.

    Returns:
        The outcome; or the seconds that a fit to 500 samples takes, about, if that is more than the limit.

    Raises:
        EvaluationError: The loss is NaN or infinite.

    Example:
        >>> from archwright.tasks import as_task, fit_within
        >>> task = as_task(aw.data("iris"))
        >>> {method.name: fit_within(task, method, seconds=10).samples for method in task.baselines}
        {'logistic regression': 105, 'gradient boosting': 105}
    """
    start = time.perf_counter()
    order = _order(task.train)
    total = len(order)
    most = total if method.limit is None else min(total, method.limit)
    size = min(most, _FIRST)
    rounds = 2 + len(task.validation) / total if len(task.test) else 1.0  # of the last fit, with that for the test

    def left() -> float:
        return seconds - (time.perf_counter() - start)

    def judge(share: float = 1.0) -> tuple[dict[str, float], float]:
        began = time.perf_counter()
        metrics = _metrics(task, task.validation, method.fit(task.train.select(order[:size]), share))
        return metrics, time.perf_counter() - began

    few, more = _SHARES
    method.fit(task.train.select(order[:_WARM_UP]), few)  # the first fit of a process takes longer
    took = time.perf_counter() - start
    if size > _WARM_UP and took > seconds / _WARM_UPS:
        return took * size / _WARM_UP / few * rounds
    first = judge(few)[1]
    if first * more / few > left():
        return first / few * rounds
    second = judge(more)[1]
    estimate = rounds * (second + max(0.0, second - first) / (more - few) * (1 - more))
    if estimate > left():
        return estimate
    metrics, took = judge()
    per_sample = took / size
    while size < most:
        affordable = size + (left() / (_MARGIN * rounds) - took) / per_sample
        larger = int(min(most, _GROWTH * size, affordable))
        if larger < min(most, _WORTH * size):
            break
        before, size = (size, took), larger
        metrics, took = judge()
        per_sample = max((took - before[1]) / (size - before[0]), took / size / _GROWTH)
    if len(task.test):
        kept = task.validation.select(_order(task.validation)[: math.ceil(size / total * len(task.validation))])
        predict = method.fit(task.train.select(order[:size]) + kept, 1.0)
        metrics |= {f"test_{name}": value for name, value in _metrics(task, task.test, predict).items()}
    return Fitted(metrics, size, time.perf_counter() - start)


def _order(part: Any) -> Tensor:
    """Return the places of samples in random order; of classes such that each has its share of the first ones too."""
    generator = torch.Generator().manual_seed(0)
    order = torch.randperm(len(part), generator=generator)
    if not isinstance(part, Part) or part.targets.ndim != 1 or part.targets.is_floating_point():
        return order
    _, classes, counts = np.unique(part.targets[order].numpy(), return_inverse=True, return_counts=True)
    by_class = np.argsort(classes, kind="stable")
    ranks = np.empty(len(classes))
    ranks[by_class] = np.arange(len(classes)) - (np.cumsum(counts) - counts)[classes[by_class]]
    return order[torch.from_numpy(np.argsort(ranks / counts[classes], kind="stable"))]


def _metrics(task: Task, part: Any, predict: Callable[[Any], Any]) -> dict[str, float]:
    """Return the loss and the metrics of the task on a part of its data, as for a network."""
    meter, loss = task.meter(), 0.0
    sample, _ = next(iter(part.batches([torch.arange(1)])))
    values = max(sum(each.numel() for each in leaves(of_one)) for of_one in (sample, predict(sample)))
    size = max(1, min(_BATCH, _VALUES // max(1, values)))
    for inputs, targets in part.batches(torch.split(torch.arange(len(part)), size)):
        outputs = predict(inputs)
        task.check_outputs(outputs, len(targets))
        loss += task.loss(outputs, targets).item() * len(targets)
        meter.update(outputs, targets)
    mean = loss / len(part)
    if not math.isfinite(mean):
        raise EvaluationError(f"the loss became {mean}")
    return {"loss": mean, **meter.compute()}
