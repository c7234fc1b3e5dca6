"""The best epoch of a training: its weights are kept, and a training that no longer improves is ended."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import torch

from archwright.evaluate._candidate import Candidate, Stopped
from archwright.evaluate._fidelity import ENOUGH

if TYPE_CHECKING:
    from archwright.evaluate._loop import TrainingLoop, TrainingProgress
    from archwright.tasks import Task

_CHECKS = 20  # of a stage that time ends
_PATIENCE = 0.4  # of a stage without a better epoch, after which it ends
_LATE = 0.75  # of a stage, before which it does not end: until the learning rate is annealed losses waver
_FEW = 100  # validation samples, below which the best of many epochs is the best by chance
_MARGIN = 2.0  # over the root of the number of samples: the share of a value by which another one is clearly better


class BestEpoch:
    """Keeps the weights of the best epoch of a stage of training, if that is clearly better than the last one.

    The best is that of the task's objective, ties by the loss; with fewer than 500 validation samples, of a task that
    measures its loss, that of the loss. The last epoch has the lowest learning rate, and is preferred unless the best
    one is ahead by a share of 2 / sqrt(n) of its value, for n validation samples, and not behind by the objective: a
    network that has become surer of all that it says has a higher loss where it errs, but errs less. With fewer than
    100 validation samples the last epoch is always kept.

    Args:
        task: The task.
        samples: The number of validation samples.

    Attributes:
        metrics: The metrics of the last epoch; after `restore`, of the epoch whose weights the network has.
    """

    def __init__(self, task: Task, samples: int) -> None:
        direction, metric = task.objective.split()
        self._metric, self._sign = metric, 1 if direction == "max" else -1
        self._signs = {} if samples < ENOUGH else {metric: self._sign}
        self._signs.setdefault("loss", -1)
        self._margin = _MARGIN / math.sqrt(samples)
        self._is_few = samples < _FEW
        self._best: dict[str, float] = {}
        self._weights: dict[str, Any] = {}
        self._best_at = self._checked_at = 0.0
        self.metrics: dict[str, float] = {}

    @property
    def compared_by(self) -> str:
        """The name of the metric that epochs are compared by first."""
        return next(iter(self._signs))

    def due(self, progress: float) -> bool:
        """Tell whether it is time for a validation, at a progress of the stage from 0 to 1."""
        return progress >= self._checked_at + 1 / _CHECKS

    def offer(self, model: torch.nn.Module, metrics: Mapping[str, float], progress: float) -> None:
        """Take in an epoch: its network and validation metrics, and the progress of the stage from 0 to 1."""
        self._checked_at, self.metrics = progress, dict(metrics)
        if not self._best or self._score(metrics) >= self._score(self._best):
            self._best_at, self._best = progress, self.metrics
            if progress < 1:
                self._weights = {name: _copied(value) for name, value in model.state_dict().items()}

    def is_clearly_better(self, first: Mapping[str, float], second: Mapping[str, float]) -> bool:
        """Tell whether metrics are better than others by more than chance."""
        one, other = self._score(first)[0], self._score(second)[0]
        if not math.isfinite(other):
            return one > other
        is_behind = self._sign * first[self._metric] < self._sign * second[self._metric]
        return not is_behind and one - other > self._margin * abs(one)

    def stalled(self) -> bool:
        """Tell whether the network overfits: the best epoch was long ago, and clearly better."""
        is_late = self._checked_at >= max(_LATE, self._best_at + _PATIENCE)
        return is_late and self._is_kept()

    def restore(self, model: torch.nn.Module) -> None:
        """Set the weights of a network to those of the best epoch, if that was clearly better than the last."""
        if self._best is not self.metrics and self._is_kept():
            model.load_state_dict(self._weights)
            self.metrics = self._best

    def _is_kept(self) -> bool:
        """Tell whether the best epoch is to be kept rather than the last one."""
        if self._is_few and math.isfinite(self._score(self.metrics)[0]):
            return False
        return self.is_clearly_better(self._best, self.metrics)

    def _score(self, metrics: Mapping[str, float]) -> tuple[float, ...]:
        """Return what epochs are compared by; more is better."""
        values = (sign * metrics[name] for name, sign in self._signs.items())
        return tuple(value if math.isfinite(value) else -math.inf for value in values)


def train_to_the_end(
    trainer: TrainingLoop,
    pace: TrainingProgress,
    candidate: Candidate,
    validate: Callable[[], dict[str, float]],
    best: BestEpoch,
) -> float:
    """Train until the steps, the time, the listener or a stall end it; return the mean training loss of the last epoch.

    The network is left with the weights of its best epoch.
    """
    epoch, over = 0, False
    while not over:
        epoch += 1
        train_loss = trainer.epoch(limit=pace.left(trainer.step))
        progress = pace.progress(trainer.step)
        over = pace.done(trainer.step)
        try:
            candidate.record(epoch, train_loss=train_loss)
        except Stopped:
            over = True
        if over or best.due(progress):
            trainer.settle()
            best.offer(trainer.model, validate(), progress)
            over = over or best.stalled()
    best.restore(trainer.model)
    return train_loss


def _copied(value: Any) -> Any:
    return value.clone() if isinstance(value, torch.Tensor) else value
