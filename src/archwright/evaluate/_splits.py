"""Validation on several splits of the data, for validation sets that are too small to tell networks apart."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

import numpy as np
import torch

from archwright.datasets import choose
from archwright.evaluate._candidate import Candidate, Stopped

if TYPE_CHECKING:
    from archwright.tasks import Task

_APART = 104_729  # between the seeds of the trainings of one candidate


def split_again(task: Task, number: int) -> Task:
    """Return a task with another split into training and validation samples; that of number 0 is its own.

    The sizes stay, and so does the preprocessing. Classes are split in proportion.
    """
    if not number:
        return task
    whole = task.train + task.validation
    targets = whole.targets.numpy()
    classes = targets if targets.dtype.kind == "i" and targets.ndim == 1 else np.zeros(len(targets), dtype=np.int64)
    held = torch.from_numpy(choose(classes, len(task.validation), np.random.default_rng(number)))
    other = copy.copy(task)
    other.train, other.validation = whole.select(torch.nonzero(~held)[:, 0]), whole.select(torch.nonzero(held)[:, 0])
    return other


def evaluate_on_splits(
    candidate: Candidate, evaluate: Callable[[int, Candidate], Mapping[str, float]]
) -> dict[str, float]:
    """Return the mean metrics of a candidate over as many splits as its fidelity says.

    One that goes on from a checkpoint trains on the further splits only. The network of the first split is kept.

    Args:
        candidate: The candidate.
        evaluate: Trains a candidate on the split of a number, and returns its metrics.

    Raises:
        Stopped: The candidate was stopped; what was reported is the mean over the splits so far, or the last metrics of
            the first one.
    """
    stages = tuple({name: value for name, value in each.items() if name != "splits"} for each in candidate.stages[-1:])
    wanted = int(candidate.stages[-1]["splits"])
    others = [candidate.again(seed=candidate.seed + _APART * number, stages=stages) for number in range(wanted)]
    given = dict(stages[0])
    state = candidate.restore()
    if state is None or state["given"] != given:
        state = {"splits": 0, "sums": {}}  # what was measured with less of something else is not comparable
    done, sums = int(state["splits"]), dict(state["sums"])
    for number in range(done, wanted):
        try:
            found = evaluate(number, others[number])
        except Stopped:
            if not number and others[0].curve:  # a network that has learned something is better than none
                candidate.adopt(others[0].model)
                candidate.record(1, **{name: value for name, value in others[0].curve[-1].items() if name != "step"})
            raise
        if not number:
            candidate.adopt(others[0].model)
        sums = {name: sums.get(name, 0.0) + value for name, value in found.items()}
        means = {name: value / (number + 1) for name, value in sums.items()}
        (candidate.record if number == wanted - 1 else candidate.report)(number + 1, **means)
    candidate.save({"splits": wanted, "sums": sums, "given": given})
    return means
