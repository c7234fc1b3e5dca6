"""The training loop."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from itertools import islice
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor
from torch.nn.modules.batchnorm import _BatchNorm

from archwright.errors import EvaluationError
from archwright.evaluate._device import seeded
from archwright.evaluate._optimizers import SCHEDULES, make_optimizer
from archwright.tasks import size_of

if TYPE_CHECKING:
    from archwright.evaluate._device import Setup
    from archwright.evaluate._feed import Feed
    from archwright.evaluate._recipe import Recipe

SETTLED = 50  # steps after which moving averages know nothing of the beginning any more
SETTLING = 4  # batches


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

    Attributes:
        model: The network.
        step: How many steps of the stage have been made.
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
    ) -> None:
        self._epoch = self._total = 0
        self.model = model
        self._setup = setup
        self._recipe = recipe
        self._smoothing = recipe.smoothing_for(feed.task)
        self._batch_size = batch_size
        self.begin(feed, seed=seed, pace=pace)
        self._schedule = SCHEDULES[recipe.schedule]
        rate, decay = recipe.rate_for(feed.task), recipe.weight_decay
        self._optimizer = make_optimizer(model, recipe.optimizer, lr=rate, weight_decay=decay)
        groups = self._optimizer.param_groups
        self._peaks = [float(group["lr"]) for group in groups]
        self._weights = [weight for group in groups for weight in group["params"]]
        # To look at a loss is to wait for the device: it is free on the CPU alone.
        self._look_every = 1 if setup.device == "cpu" else 16

    def begin(self, feed: Feed, *, seed: int, pace: TrainingProgress) -> None:
        """Begin a stage: what was learned stays, and so do the optimizer's averages."""
        self.step = 0
        self._feed = feed
        self._generator = torch.Generator().manual_seed(seed)
        self._pace = pace

    def state(self) -> dict[str, Any]:
        """Return what a further stage needs besides the network."""
        return {
            "epoch": self._epoch,
            "steps": self._total,
            "shapes": self._shapes(),
            "optimizer": self._optimizer.state_dict(),
        }

    def load_state(self, state: Mapping[str, Any]) -> None:
        """Go on from what `state` returned; of a network of other sizes the optimizer's averages are of no use."""
        self._epoch, self._total = state["epoch"], state["steps"]
        if state["shapes"] == self._shapes():
            self._optimizer.load_state_dict(state["optimizer"])

    def _shapes(self) -> list[list[int]]:
        return [list(weight.shape) for weight in self._weights]

    def epoch(self, limit: int | None = None) -> float:
        """Go through the data once, or as far as the limit of steps or the time allows, and return the mean loss.

        At least one step is made. EvaluationError where the loss became NaN or infinite.
        """
        self.model.train()
        self._epoch += 1
        losses = _Losses(self._epoch)
        augment = self._recipe.augment
        batches = self._feed.shuffled(self._batch_size, self._generator, augment=augment)
        for inputs, targets in islice(batches, limit):
            rate = self._set_rate()
            losses.add(self._learn(inputs, targets), size_of(inputs), rate)
            self.step += 1
            self._total += 1
            if self.step % self._look_every == 0:
                losses.look()
            if self._pace.late():
                break
        return losses.mean()

    @torch.no_grad()
    def settle(self) -> None:
        """Measure the statistics of batch normalisation for the weights of now, after a training of few steps.

        Their moving averages would still be those of the beginning, and of weights that were soon others. What the
        training draws stays what it would be without.
        """
        norms = [each for each in self.model.modules() if isinstance(each, _BatchNorm) and each.momentum is not None]
        if not norms or self._total >= SETTLED:
            return
        momenta = [norm.momentum for norm in norms]
        for norm in norms:
            norm.reset_running_stats()
            norm.momentum = None  # the plain mean over what comes
        self.model.train()
        batches = self._feed.shuffled(self._batch_size, torch.Generator().manual_seed(self._total))
        with seeded(self._total, self._setup.device):
            for inputs, _ in islice(batches, SETTLING):
                self._feed.run(self.model, inputs)
        for norm, momentum in zip(norms, momenta, strict=True):
            norm.momentum = momentum

    def _set_rate(self) -> float:
        """Set the learning rate of the step to come; return that of the first group of parameters."""
        share = self._schedule(self._pace.progress(self.step))
        for group, peak in zip(self._optimizer.param_groups, self._peaks, strict=True):
            group["lr"] = peak * share
        return self._peaks[0] * share

    def _learn(self, inputs: Any, targets: Any) -> Tensor:
        """Make one step and return its loss."""
        outputs = self._feed.run(self.model, inputs)
        loss = self._feed.task.loss(outputs, targets, label_smoothing=self._smoothing)
        self._optimizer.zero_grad(set_to_none=True)
        torch.autograd.backward(loss)
        if self._recipe.clip is not None:
            torch.nn.utils.clip_grad_norm_(self._weights, self._recipe.clip)
        self._optimizer.step()
        return loss.detach()


class _Losses:
    """The losses of one epoch: kept on the device until they are looked at."""

    def __init__(self, epoch: int) -> None:
        self._epoch = epoch
        self._unseen: list[tuple[Tensor, int, float]] = []
        self._steps, self._samples, self._sum = 0, 0, 0.0

    def add(self, loss: Tensor, samples: int, rate: float) -> None:
        """Add the mean loss of a batch, the number of its samples and its learning rate."""
        self._unseen.append((loss, samples, rate))

    def look(self) -> None:
        """Take in what has been added; EvaluationError where a loss is NaN or infinite."""
        if not self._unseen:
            return
        losses = torch.stack([loss for loss, _, _ in self._unseen]).tolist()
        for loss, (_, samples, rate) in zip(losses, self._unseen, strict=True):
            self._steps += 1
            if not math.isfinite(loss):
                raise EvaluationError(
                    f"loss became {loss} in epoch {self._epoch}, step {self._steps} (learning rate {rate:.3g})"
                )
            self._samples += samples
            self._sum += loss * samples
        self._unseen.clear()

    def mean(self) -> float:
        """Return the mean over all samples; EvaluationError where a loss is NaN or infinite."""
        self.look()
        return self._sum / self._samples
