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
_WORSE = 1.1  # times the loss of the best epoch


class BestEpoch:
    """Keeps the weights of the best epoch of a stage of training.

    The best is that of the task's objective, ties by the loss; with fewer than 500 validation samples, of a task that
    measures its loss, that of the loss.

    Args:
        task: The task.
        samples: The number of validation samples.

    Attributes:
        metrics: The metrics of the best epoch; empty before the first.
    """

    def __init__(self, task: Task, samples: int) -> None:
        direction, metric = task.objective.split()
        self._signs = {} if samples < ENOUGH else {metric: 1 if direction == "max" else -1}
        self._signs.setdefault("loss", -1)
        self._score: tuple[float, ...] = ()
        self._weights: dict[str, Any] = {}
        self._best_at = self._checked_at = 0.0
        self._loss = math.inf
        self._is_last = True
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
        self._checked_at, self._loss = progress, metrics["loss"]
        score = self.score(metrics)
        self._is_last = not self._score or score >= self._score  # among equals the later one, which is annealed further
        if self._is_last:
            self._score, self._best_at, self.metrics = score, progress, dict(metrics)
            if progress < 1:
                self._weights = {name: _copied(value) for name, value in model.state_dict().items()}

    def score(self, metrics: Mapping[str, float]) -> tuple[float, ...]:
        """Return what epochs are compared by; more is better."""
        values = (sign * metrics[name] for name, sign in self._signs.items())
        return tuple(value if math.isfinite(value) else -math.inf for value in values)

    def stalled(self) -> bool:
        """Tell whether the network overfits: there was no better epoch for long, and the loss rises."""
        is_late = self._checked_at >= max(_LATE, self._best_at + _PATIENCE)
        return is_late and self._loss > _WORSE * abs(self.metrics["loss"])

    def restore(self, model: torch.nn.Module) -> None:
        """Set the weights of a network to those of the best epoch."""
        if not self._is_last:
            model.load_state_dict(self._weights)


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
