"""What there is to say of data from which little can be learned."""

from __future__ import annotations

from typing import TYPE_CHECKING

from archwright._words import counted
from archwright.evaluate import standard_error

if TYPE_CHECKING:
    from archwright.tasks import Task

_FEW_VALIDATED = 30
_FEW_OF_A_CLASS = 5


def cautions(task: Task | None) -> list[str]:
    """Return what limits a search on the data of a task, and what would help, as lines."""
    if task is None:
        return []
    import torch  # which a task has loaded

    from archwright.datasets import Part

    if not isinstance(task.train, Part):
        return []
    found, targets, samples = [], task.train.targets, len(task.validation)
    if samples < _FEW_VALIDATED:
        error = f" (an accuracy of 0.8 has a standard error of {standard_error(0.8, samples):.2f})"
        found.append(
            f"caution: {counted(samples, 'validation sample')}, too few to tell networks apart"
            f"{'' if targets.is_floating_point() else error}: more data, or a larger validation share, would help"
        )
    if targets.is_floating_point():
        if bool((targets == targets[:1]).all()):
            found.append("caution: all targets are equal: there is nothing to learn; check the target column")
    else:
        counts = torch.bincount(targets.flatten())
        names = getattr(task, "classes", range(len(counts)))
        rare = {str(name): int(count) for name, count in zip(names, counts, strict=False) if count < _FEW_OF_A_CLASS}
        for name, count in list(rare.items())[:3]:
            have = counted(count, "training sample")
            found.append(f"caution: class {name!r} has {have}: add samples, or merge it with another class")
    if task.kind == "table" and task.train.inputs.shape[1] == 1:
        found.append("caution: a single feature: a network can hardly be better than a classical method")
    return found
