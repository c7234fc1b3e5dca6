"""Meta-features of data sets, by which similar tasks are found."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from archwright.datasets import Part
from archwright.tasks._task import Task

_SAMPLES = 300  # that are looked at
_MOST = 3072  # numbers of a sample that are looked at


def meta_features(task: Task) -> dict[str, float]:
    """Return meta-features of a task, computed from at most 300 training samples.

    They are the logarithms (base 10) of the numbers of training samples, of inputs, of channels and of outputs or
    classes; the mean and the standard deviation of the inputs; and where targets are classes their balance (entropy of
    the classes over its maximum) and the accuracy of the nearest class mean on every second sample, learnt from the
    others (a landmarker). What does not apply is left out; of data that are not in memory all but the numbers of
    samples and classes.

    Example:
        >>> found = aw.tasks.meta_features(aw.task("iris"))
        >>> round(10 ** found["classes"]), found["nearest_mean"] > 0.8
        (3, True)
    """
    count = len(task.train)
    found = {"samples": math.log10(max(1, count))}
    options: Mapping[str, Any] = task.space_options
    if isinstance(options.get("classes"), int):
        found["classes"] = math.log10(max(1, options["classes"]))
    if not isinstance(task.train, Part):  # a data set that reads each sample from a file, say
        return found
    inputs, targets = task.train.at(torch.arange(0, count, max(1, count // _SAMPLES))[:_SAMPLES])
    if not isinstance(inputs, Tensor):
        return found
    found["inputs"] = math.log10(max(1, inputs[0].numel()))
    if inputs.ndim > 2:
        found["channels"] = math.log10(max(1, inputs.shape[1]))
    table = inputs.flatten(1)[:, :_MOST].double()
    if table.isfinite().all():
        found["mean"], found["deviation"] = float(table.mean()), float(table.std())
        if "classes" in found and targets.ndim == 1 and not targets.is_floating_point():
            found |= _of_classes(table, targets.long())
    return found


def _of_classes(table: Tensor, labels: Tensor) -> dict[str, float]:
    shares = labels.bincount() / len(labels)
    shares = shares[shares > 0]
    if len(shares) < 2:
        return {}
    balance = float(-(shares * shares.log()).sum()) / math.log(len(shares))
    learnt, known = table[::2], labels[::2]
    kinds = known.bincount().nonzero().flatten()
    centres = torch.stack([learnt[known == kind].mean(0) for kind in kinds])
    guessed = kinds[torch.cdist(table[1::2], centres).argmin(1)]
    return {"balance": balance, "nearest_mean": float((guessed == labels[1::2]).double().mean())}
