"""What there is to say of data from which little can be learned."""

from __future__ import annotations

import functools
import operator
from typing import TYPE_CHECKING

import numpy as np

from archwright._words import counted
from archwright.evaluate import standard_error

if TYPE_CHECKING:
    import torch

    from archwright.tasks import Task

_FEW_VALIDATED = 30
_FEW_OF_A_CLASS = 5
_MOSTLY = 0.9  # of the samples, that one class has
_COMPARED = 50  # test samples, at least, with those of the other parts; nearly always the first one is in neither
_FAR = 100  # times the middle half's range, that a target is from the median


def cautions(task: Task | None) -> list[str]:
    """Return what limits a search on the data of a task, and what would help, as lines."""
    if task is None:
        return []
    import torch  # which a task has loaded

    from archwright.tasks import ClassTask, Regression

    found, samples = [], len(task.validation)
    if _is_seen(task):
        found.append(
            "caution: the test samples are training or validation samples, too: is the test file one of these?"
        )
    if samples < _FEW_VALIDATED:
        error = f" (an accuracy of 0.8 has a standard error of {standard_error(0.8, samples):.2f})"
        found.append(
            f"caution: {counted(samples, 'validation sample')}, too few to tell networks apart"
            f"{error if isinstance(task, ClassTask) else ''}: more data, or a larger validation share, would help"
        )
    if not isinstance(task, ClassTask | Regression):
        return found
    targets = task.train.targets
    if targets.is_floating_point():
        if bool((targets == targets[:1]).all()):
            found.append("caution: all targets are equal: there is nothing to learn; check the target column")
        elif outlier := _outlier(torch.cat([part.targets for part in (task.train, task.validation, task.test)])):
            found.append(
                f"caution: {outlier}, far from all others: squared errors are those of such targets alone; check them, "
                "or take a logarithm"
            )
    else:
        counts = torch.bincount(targets.flatten())
        names = getattr(task, "classes", range(len(counts)))
        rare = {str(name): int(count) for name, count in zip(names, counts, strict=False) if count < _FEW_OF_A_CLASS}
        if rare:
            name, count = min(rare.items(), key=lambda item: item[1])
            more = f" (of {counted(len(rare), 'class', 'classes')} with fewer than {_FEW_OF_A_CLASS})"
            found.append(
                f"caution: class {name!r} has {counted(count, 'training sample')}{more if len(rare) > 1 else ''}: add "
                "samples, or merge it with another class"
            )
        share = float(counts.max() / counts.sum())
        if share >= _MOSTLY:
            found.append(
                f"caution: {share:.1%} of the training samples are of class {str(names[int(counts.argmax())])!r}: to "
                "answer it always has that accuracy; --objective 'max f1' (objective=) compares by all classes alike"
            )
    if task.kind == "table" and task.train.inputs.shape[1] == 1:
        found.append("caution: a single feature: a network can hardly be better than a classical method")
    return found


def _is_seen(task: Task) -> bool:
    """Return whether the test samples, or some all over them, are in the training or the validation part, too."""
    from archwright.datasets import Part
    from archwright.tasks import leaves

    if type(task.test) is not Part:  # its samples are made as they are asked for
        return False
    parts = [[*leaves(part.inputs), *leaves(part.targets)] for part in (task.train, task.validation)]
    tested = [*leaves(task.test.inputs), *leaves(task.test.targets)]

    def is_in(place: int, part: list[torch.Tensor]) -> bool:
        equal = [
            (tensor == given[place]).flatten(1).all(1) if tensor.ndim > 1 else tensor == given[place]
            for tensor, given in zip(part, tested, strict=True)
            if tensor.shape[1:] == given.shape[1:]
        ]
        return len(equal) == len(part) and bool(functools.reduce(operator.and_, equal).any())

    places = range(0, len(task.test), max(1, len(task.test) // _COMPARED))
    return bool(places) and all(any(is_in(place, part) for part in parts) for place in places)


def _outlier(targets: torch.Tensor) -> str | None:
    """Return the target that is farthest from the others, as text, if it is very far."""
    for column in targets.double().T:
        low, middle, high = np.quantile(column.numpy(), (0.25, 0.5, 0.75))
        farthest = column[int((column - middle).abs().argmax())].item()
        if high > low and abs(farthest - middle) > _FAR * (high - low):
            return f"a target is {farthest:g}, with a median of {middle:g}"
    return None
