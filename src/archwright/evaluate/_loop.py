"""The training loop."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any

import torch

from archwright.errors import EvaluationError
from archwright.evaluate._distributed import TeamLearner
from archwright.evaluate._learner import Learner, Loss

if TYPE_CHECKING:
    from archwright.evaluate._device import Setup
    from archwright.evaluate._distributed import Team
    from archwright.evaluate._feed import Feed
    from archwright.evaluate._recipe import Recipe

TIMED_STEPS = 3
_FEW = 8  # samples of the first timed step
_LONG = 1.0  # second, that steps with all samples may take for an estimate


class TrainingProgress:
    """Progress of a training in steps and time.

    Args:
        steps: Number of steps; infinity if only the time is limited.
        deadline: The latest end, in seconds of `time.monotonic()`; `None` for no limit.
        by_time: Whether progress follows the time too, and is 1 at the deadline.

    Example:
        >>> from archwright.evaluate import TrainingProgress
        >>> progress = TrainingProgress(10)
        >>> progress.progress(5), progress.done(10)
        (0.5, True)
    """

    def __init__(self, steps: float, *, deadline: float | None = None, by_time: bool = False) -> None:
        self._steps = steps
        self._start = time.monotonic()
        self._end = math.inf if deadline is None else deadline
        self._by_time = by_time
        self._limit = max(self._end - self._start, 1e-9) if by_time else math.inf

    def progress(self, step: int) -> float:
        """Return the progress after `step` steps, from 0 to 1."""
        elapsed = (time.monotonic() - self._start) / self._limit
        return min(1.0, max(step / self._steps, elapsed))

    def done(self, step: int) -> bool:
        """Tell whether the training ends after `step` steps or at this time."""
        return step >= self._steps or (self._by_time and self.late())

    def left(self, step: int) -> int | None:
        """Return the number of remaining steps after `step`; `None` if only the time is limited."""
        return None if math.isinf(self._steps) else int(self._steps) - step

    def late(self) -> bool:
        """Tell whether the deadline has passed."""
        return time.monotonic() >= self._end


class TrainingLoop:
    """Trains a network, epoch by epoch, in one or several stages, each with a learning-rate schedule of its own.

    Args:
        model: The network, in its place and layout.
        feed: What it learns from.
        setup: How it is run.
        recipe: How it is trained.
        batch_size: How many samples a step takes.
        seed: Of the order of the samples and of the augmentation.
        pace: How far the training is, and when it has to end.
        team: The processes that make the steps; `None` for this one.
        teacher: As in `Learner`, in this process.

    Attributes:
        model: The network; after an epoch `settle` makes it ready for use.
        step: How many steps of the stage have been made.

    Example:
        >>> from archwright.evaluate import Feed, Recipe, Setup, TrainingLoop, TrainingProgress
        >>> task = aw.Training(aw.data((torch.rand(40, 4), torch.arange(40) % 2))).task
        >>> feed, setup = Feed(task, task.train, Setup("cpu")), Setup("cpu")
        >>> loop = TrainingLoop(
        ...     torch.nn.Linear(4, 2), feed, setup, Recipe(), batch_size=8, seed=0, pace=TrainingProgress(4)
        ... )
        >>> loop.epoch() > 0, loop.step
        (True, 4)
    """

    def __init__(
        self,
        model: torch.nn.Module,
        feed: Feed,
        setup: Setup,
        recipe: Recipe,
        *,
        batch_size: int,
        seed: int,
        pace: TrainingProgress,
        team: Team | None = None,
        teacher: torch.nn.Module | None = None,
    ) -> None:
        self._epoch = self._total = 0
        self.model = model
        self._batch_size = batch_size
        make = partial(Learner, teacher=teacher) if team is None else partial(TeamLearner, team)
        self._learner = make(model, feed, setup, recipe, batch_size=batch_size)
        # To look at a loss is to wait for the device: it is free on the CPU alone.
        self._look_every = 1 if setup.device == "cpu" else 16
        self.begin(feed, seed=seed, pace=pace)

    def begin(self, feed: Feed, *, seed: int, pace: TrainingProgress) -> None:
        """Begin a stage: what was learned stays, and so do the optimizer's averages."""
        self.step = 0
        self._steps = feed.steps(self._batch_size)
        self._learner.begin(feed, seed)
        self._pace = pace

    def state(self) -> dict[str, Any]:
        """Return what a further stage needs besides the network."""
        return {"epoch": self._epoch, "steps": self._total, **self._learner.state()}

    def load_state(self, state: Mapping[str, Any]) -> None:
        """Go on from what `state` returned."""
        self._epoch, self._total = state["epoch"], state["steps"]
        self._learner.load_state(state)

    def epoch(self, limit: int | None = None) -> float:
        """Go through the data once, or as far as the limit of steps or the time allows, and return the mean loss.

        At least one step is made. EvaluationError where the loss became NaN or infinite.
        """
        self._epoch += 1
        losses = _Losses(self._epoch)
        self._learner.start()
        for _ in range(self._steps if limit is None else min(limit, self._steps)):
            self._learner.step(self._pace.progress(self.step))
            self.step += 1
            self._total += 1
            if self.step % self._look_every == 0:
                losses.add(self._learner.losses())
            if self._pace.late():
                break
        losses.add(self._learner.losses())
        return losses.mean()

    def settle(self) -> None:
        """Make the network ready for a validation, after a training of few steps also its batch normalisation."""
        self._learner.settle(self._total)


def seconds_per_step(
    make: Callable[[int, TrainingProgress], TrainingLoop], batch_size: int, *, processes: int = 1
) -> float:
    """Return an estimate of the seconds per step of a training, from a few steps.

    The first steps have few samples. If they say that full steps would take long, these are not run: their time is that
    of the first ones plus what each further sample takes.

    Args:
        make: Returns the training with a batch size and a pace.
        batch_size: The batch size.
        processes: The number of processes that share it.
    """

    def seconds(size: int, steps: int) -> float:
        """Return the seconds of a step; the first one prepares the kernels."""
        trainer = make(size, TrainingProgress(steps + 1))
        trainer.epoch(limit=1)
        start = time.monotonic()
        trainer.epoch(limit=steps)
        return (time.monotonic() - start) / steps

    few = min(batch_size, _FEW * processes)
    step = seconds(few, 1)
    if step < _LONG and batch_size > few:
        more = min(batch_size, 4 * few)
        step += max(0.0, seconds(more, 1) - step) / (more - few) * (batch_size - few)
    else:
        step *= batch_size / few
    if step * TIMED_STEPS <= _LONG:
        step = seconds(batch_size, TIMED_STEPS)
    return step


class _Losses:
    """The losses of one epoch."""

    def __init__(self, epoch: int) -> None:
        self._epoch = epoch
        self._steps, self._samples, self._sum = 0, 0, 0.0

    def add(self, losses: Iterable[Loss]) -> None:
        """Take in the losses of further steps; EvaluationError where one is NaN or infinite."""
        for loss, samples, rate in losses:
            self._steps += 1
            if not math.isfinite(loss):
                raise EvaluationError(
                    f"loss became {loss} in epoch {self._epoch}, step {self._steps} (learning rate {rate:.3g})"
                )
            self._samples += samples
            self._sum += loss * samples

    def mean(self) -> float:
        """Return the mean over all samples."""
        return self._sum / self._samples
