"""Training in stages, at increasing fidelities."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
import torch.nn.functional as F

from archwright.datasets import Part
from archwright.evaluate._fidelity import ENOUGH, Fidelity, Spent
from archwright.evaluate._loop import TrainingProgress

if TYPE_CHECKING:
    from archwright.tasks import Task

_STEPS = 50  # a training of fewer says nothing
_LEAST_SHARE = 0.05  # of the data
_VALIDATION = 0.3  # of the time of a stage
_SECONDS = 60.0  # a training that is not told how long it may take
_LEAST_SIDE = 8  # pixels
SPLITS = 5  # on which a network of a small data set is trained in a full evaluation by splits
_KEPT = 1_000  # validation samples that a final training does not learn from, at most


@dataclass(frozen=True)
class Stage:
    """A part of a training, with a learning-rate schedule of its own."""

    epochs: float | None  # how many epochs it has; `None` where it is time that ends it
    seconds: float | None = None  # how long it lasts; `None` where it is epochs that end it
    share: float = 1.0  # the share of the training part that it sees
    side: int | None = None  # the height of the images, in pixels; `None` for what they are

    @property
    def seconds_to_validate(self) -> float:
        """How long its validation may take: a fraction of its own time, if time ends it."""
        return math.inf if self.seconds is None else _VALIDATION * self.seconds

    def pace(self, steps: int, deadline: float | None) -> TrainingProgress:
        """Return how it goes, with so many steps in an epoch, until a deadline in seconds of `time.monotonic()`."""
        most = math.inf if self.epochs is None else max(1, round(self.epochs * steps))
        if self.seconds is None:
            return TrainingProgress(most, deadline=deadline)
        end = time.monotonic() + self.seconds
        return TrainingProgress(most, deadline=end if deadline is None else min(end, deadline), by_time=True)


def fidelities(task: Task, epochs: int, batch_size: int) -> dict[str, Fidelity]:
    """Return what a training of so many epochs, a full one, can be given less of."""
    enough = float(f"{min(1.0, _STEPS * batch_size / len(task.train)):.2g}")
    found = {
        "epochs": Fidelity(enough, epochs, whole=enough >= 1),
        "seconds": Fidelity(1.0, _SECONDS),
        "data": Fidelity(max(_LEAST_SHARE, min(1.0, enough / epochs)), 1.0, most=1.0),
    }
    side = task.train.inputs.shape[-2] if task.is_scalable else 0
    if side > _LEAST_SIDE:
        found["resolution"] = Fidelity(_LEAST_SIDE, side, whole=True, power=2.0, most=side)
    if len(task.validation) < ENOUGH and isinstance(task.train, Part) and not task.is_ordered:
        found["splits"] = Fidelity(1, SPLITS, whole=True)
    return found


def stages(fidelities: Sequence[Spent], epochs: int) -> list[Stage]:
    """Return the stages of a training that comes to each of the fidelities in turn; epochs may be fractions there.

    Epochs and seconds go on from stage to stage. A stage in which they do not grow has all of them once more, with the
    data and the resolution that it brings; and where they are not among the fidelities, all epochs.
    """
    found: list[Stage] = []
    before: dict[str, float] = {"epochs": 0.0, "seconds": 0.0}
    for spent in fidelities:
        share, side = spent.get("data", 1.0), spent.get("resolution")
        more = {name: spent[name] - before[name] or spent[name] for name in before if name in spent}
        before |= {name: spent[name] for name in before if name in spent}
        length = more or {"epochs": float(epochs)}
        found.append(Stage(length.get("epochs"), length.get("seconds"), share, None if side is None else int(side)))
    return found


class Cuts:
    """Parts of a task with fewer samples, or in a lower resolution; the last ones are kept.

    Args:
        task: The task.
    """

    def __init__(self, task: Task) -> None:
        self._task = task
        self._made: dict[tuple[float, int | None, bool], tuple[Any, Any]] = {}

    def of(self, stage: Stage) -> tuple[Any, Any]:
        """Return the training and the validation data of a stage.

        A smaller share of the samples is a part of a larger one, the same for every training.
        """
        task, key = self._task, (stage.share, stage.side, stage.seconds is not None)
        if key == (1.0, None, False):
            return task.train, task.validation
        if key not in self._made:
            count = max(2, round(stage.share * len(task.train)))
            train = task.train if count >= len(task.train) else _some(task.train, count)
            # Where time may end the validation, its first samples are to be representative.
            validation = task.validation if stage.seconds is None else _some(task.validation, len(task.validation))
            self._made[key] = (_resized(train, stage.side), _resized(validation, stage.side))
        return self._made[key]


def keep_back(part: Any, *, is_ordered: bool = False) -> tuple[Any, Any]:
    """Return half of a part, at most 1,000 samples and always the same ones, and the others.

    Args:
        part: The part.
        is_ordered: Whether the samples follow each other in time; then these are the last ones.
    """
    count = min(max(1, len(part) // 2), _KEPT)
    mixed = part.select(torch.arange(len(part)).flip(0)) if is_ordered else _some(part, len(part))
    return mixed.select(torch.arange(count)), mixed.select(torch.arange(count, len(part)))


def _some(part: Any, count: int) -> Any:
    """Return so many samples, in an order of their own that is always the same."""
    return part.select(torch.randperm(len(part), generator=torch.Generator().manual_seed(0))[:count])


def _resized(part: Any, side: int | None) -> Any:
    if side is None or side == part.inputs.shape[-2]:
        return part
    images = part.inputs
    size = (side, max(1, round(side * images.shape[-1] / images.shape[-2])))
    small = F.interpolate(images.float(), size=size, mode="bilinear", antialias=True, align_corners=False)
    if images.dtype == torch.uint8:
        small = small.round_().clamp_(0, 255).to(torch.uint8)
    return Part(small, part.targets)
