"""Metrics of a network on held-out samples."""

from __future__ import annotations

import math
import time
from itertools import islice
from typing import TYPE_CHECKING

import torch

from archwright.errors import EvaluationError
from archwright.tasks import leaves, size_of

if TYPE_CHECKING:
    from archwright.evaluate._feed import Feed
    from archwright.evaluate._setup import Setup

BATCH = 256
LEAST = 512
TIMED_BATCHES = 4


# Not `inference_mode`: a network that caches a tensor meanwhile could not train with it afterwards.
@torch.no_grad()
def compute_metrics(model: torch.nn.Module, feed: Feed, setup: Setup, *, seconds: float = math.inf) -> dict[str, float]:
    """Return the metrics of a network on a part of the data; the network is set to evaluation mode.

    Args:
        model: The network.
        feed: The batches.
        setup: Device, memory format and precision.
        seconds: Time limit, after which the remaining batches are skipped; at least 512 samples are used.

    Returns:
        "loss", the mean over the samples, and the other metrics of the task.

    Raises:
        EvaluationError: The loss is NaN or infinite.

    Example:
        >>> from archwright.evaluate import Feed, Setup, compute_metrics
        >>> task = aw.Training(aw.data((torch.rand(40, 4), torch.arange(40) % 2))).task
        >>> metrics = compute_metrics(torch.nn.Linear(4, 2), Feed(task, task.validation, Setup("cpu")), Setup("cpu"))
        >>> sorted(metrics)
        ['accuracy', 'f1', 'loss', 'precision', 'recall']
    """
    model.eval()
    task = feed.task
    # Sums stay on the device, so that the loop never waits for it.
    loss = torch.zeros((), device=setup.device)
    seen, end = 0, time.monotonic() + seconds
    meter = task.meter(setup.device)
    for inputs, targets in feed.in_order(BATCH):
        outputs, size = feed.run(model, inputs), size_of(inputs)
        loss += task.loss(outputs, targets) * size
        meter.update(outputs, targets)
        seen += size
        if seen >= LEAST and time.monotonic() >= end:
            break
    mean = loss.item() / seen
    if not math.isfinite(mean):
        raise EvaluationError(f"loss became {mean} on held-out data: the training has diverged")
    return {"loss": mean, **meter.compute()}


@torch.no_grad()
def seconds_to_judge(model: torch.nn.Module, feed: Feed, setup: Setup, *, samples: int) -> float:
    """Return about how many seconds `compute_metrics` takes for so many samples of the kind of those of a feed.

    The network is left in evaluation mode.
    """
    model.eval()
    batches = [inputs for inputs, _ in islice(feed.in_order(BATCH), TIMED_BATCHES)]
    feed.run(model, batches[0])  # the first call of each shape prepares the kernels
    start = time.monotonic()
    for inputs in batches:
        outputs = feed.run(model, inputs)
        next(leaves(outputs)).sum().item()  # waits until the device is done
    return (time.monotonic() - start) / sum(map(size_of, batches)) * samples
