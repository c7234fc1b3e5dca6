"""The settings of a training, which a space can also decide."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from archwright._scalars import is_number, is_whole, keep_scalars, scalar
from archwright.errors import EvaluationError, unknown
from archwright.evaluate._fidelity import LONGER
from archwright.evaluate._optimizers import OPTIMIZERS, SCHEDULES, MakeOptimizer

if TYPE_CHECKING:
    from archwright.tasks import Task

_RANGES: dict[str, tuple[str, Callable[[float], bool]]] = {  # of what may be None too
    "lr": ("above 0", lambda value: value > 0),
    "weight_decay": ("of 0 or more", lambda value: value >= 0),
    "label_smoothing": ("from 0 to below 1", lambda value: 0 <= value < 1),
    "clip": ("above 0", lambda value: value > 0),
}


@dataclass(frozen=True)
class Recipe:
    """The settings of a training, documented in `Training`.

    Raises:
        EvaluationError: A value is out of its range, or two contradict each other; the message names it.
        UnknownName: A name is unknown.

    Example:
        >>> from archwright.evaluate import Recipe
        >>> Recipe(epochs=5).with_settings({"lr": 0.1}).lr
        0.1
    """

    epochs: int | None = None
    batch_size: int | None = None
    optimizer: str | MakeOptimizer = "adamw"
    lr: float | None = None
    weight_decay: float | None = None
    schedule: str = "one-cycle"
    label_smoothing: float | None = None
    augment: tuple[str, ...] = ()
    clip: float | None = None

    def __post_init__(self) -> None:
        keep_scalars(self, *(field.name for field in dataclasses.fields(self)))
        for name in ("epochs", "batch_size"):
            if getattr(self, name) is not None:
                positive_integer(name, getattr(self, name))
        for name, (allowed, holds) in _RANGES.items():
            value = getattr(self, name)
            if value is not None and (not is_number(value) or not holds(value) or math.isinf(value)):
                raise EvaluationError(f"{name} must be a number {allowed}, not {value!r}")
        _check_name("schedule", self.schedule, SCHEDULES)
        self._check_optimizer()

    def _check_optimizer(self) -> None:
        """Refuse what is no optimizer, and a rate given twice."""
        if not callable(self.optimizer):
            _check_name("optimizer", self.optimizer, OPTIMIZERS)
            return
        for name in ("lr", "weight_decay"):
            if (value := getattr(self, name)) is not None:
                raise EvaluationError(
                    f"{name}={value!r} is given next to optimizer={self.optimizer!r}, which has its own: "
                    f"give {name} inside the optimizer, or name the optimizer by a string"
                )

    def with_settings(self, settings: Mapping[str, Any]) -> Recipe:
        """Return the recipe with the settings of a candidate.

        An optimizer that is not a name also replaces `lr` and `weight_decay`.

        Raises:
            EvaluationError: A value is out of its range, or contradicts another.
            UnknownName: A setting is unknown.
        """
        known = [field.name for field in dataclasses.fields(self)]
        for name in settings:
            if name not in known:
                raise unknown("setting of a training", name, known)
        changes = dict(settings)
        if "augment" in changes:
            changes["augment"] = as_names(changes["augment"])
        if callable(changes.get("optimizer")):
            changes = {"lr": None, "weight_decay": None, **changes}
        return dataclasses.replace(self, **changes)

    def check(self, task: Task) -> None:
        """Check the recipe against the task.

        Raises:
            EvaluationError: A setting does not suit the task.
        """
        samples = len(task.train)
        if self.augment and not task.augmentations:
            raise EvaluationError(f"augment={self.augment!r}: there are no augmentations for {task!r}; leave it out")
        for name in self.augment:
            _check_name("augmentation", name, task.augmentations)
        if self.label_smoothing and task.label_smoothing is None:
            raise EvaluationError(
                f"label_smoothing={self.label_smoothing!r} is for classification; the loss of this task has no labels "
                "to smooth: leave it out"
            )
        if self.batch_size is not None and self.batch_size > samples:
            raise EvaluationError(
                f"batch_size={self.batch_size} is larger than the training part, which has {samples} "
                f"samples; give at most {samples}"
            )

    def smoothing_for(self, task: Task) -> float | None:
        """Return the label smoothing, by default that of the task."""
        return task.label_smoothing if self.label_smoothing is None else self.label_smoothing

    def rate_for(self, task: Task) -> float | None:
        """Return the peak learning rate, by default that of the task for AdamW; `None` for that of the optimizer."""
        return task.learning_rate if self.lr is None and self.optimizer == "adamw" else self.lr

    def epochs_for(self, task: Task) -> int:
        """Return the number of epochs of a trial, by default a third of what a full training has; at least 2."""
        return self.epochs or max(2, round(self.enough_epochs(task) / LONGER))

    def batch_for(self, task: Task, samples: int | None = None) -> int:
        """Return the batch size, by default that of the task, or less for at least 32 steps per epoch.

        It is at least 16, or that of the task, and a multiple of 8 if there are enough samples.

        Args:
            task: The task.
            samples: The number of training samples; by default all of the task.
        """
        if self.batch_size is not None:
            return self.batch_size
        samples = len(task.train) if samples is None else samples
        return min(task.batch_size, samples, max(16, samples // 32 // 8 * 8))

    def enough_epochs(self, task: Task) -> int:
        """Return the number of epochs of a full training: 2400 over the square root of the samples, from 10 to 90.

        Small data need many passes, of networks that are small in turn; large data have seen much after few. There are
        more if the task asks for more steps.
        """
        samples = len(task.train)
        steps = math.ceil(samples / self.batch_for(task))
        return max(min(90, max(10, round(2400 / math.sqrt(samples)))), math.ceil(task.least_steps / steps))


def as_names(given: str | Iterable[str] | None) -> tuple[str, ...]:
    """Return names as a tuple: none for `None`, one for a string."""
    if given is None:
        return ()
    return (given,) if isinstance(given, str) else tuple(given)


def _check_name(kind: str, given: object, allowed: Iterable[str]) -> None:
    if not isinstance(given, str):
        raise EvaluationError(f"{kind} must be one of {', '.join(allowed)}, not {given!r}")
    if given not in allowed:
        raise unknown(kind, given, allowed)


def positive_integer(name: str, value: object) -> int:
    """Return an integer of 1 or more as an `int`.

    Raises:
        EvaluationError: The value is not such a number.

    Example:
        >>> from archwright.evaluate import positive_integer
        >>> positive_integer("epochs", np.int64(3))
        3
    """
    value = scalar(value)
    if not is_whole(value) or value < 1:
        raise EvaluationError(f"{name} must be an integer of 1 or more, not {value!r}")
    return value
