"""What learns in a training: the network, its optimizer, and the batches."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from itertools import islice
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor
from torch.nn.modules.batchnorm import _BatchNorm

from archwright.evaluate._device import seeded
from archwright.evaluate._feed import WHOLE, Share
from archwright.evaluate._modes import is_frozen_norm, set_training
from archwright.evaluate._optimizers import SCHEDULES, make_optimizer

if TYPE_CHECKING:
    from archwright.evaluate._device import Setup
    from archwright.evaluate._feed import Feed
    from archwright.evaluate._recipe import Recipe

SETTLED = 50  # steps after which moving averages know nothing of the beginning any more
SETTLING = 4  # batches

Loss = tuple[float, int, float]
"""The mean loss of a batch, the number of its samples, and the learning rate."""


class Learner:
    """Makes the steps of a training, which a `TrainingLoop` asks for.

    Args:
        model: The network, in its place and layout.
        feed: What it learns from.
        setup: How it is run.
        recipe: How it is trained.
        batch_size: How many samples a step takes.
        share: The share of each batch that is learned from here.
        call: What is called in a step; by default the network.
        teacher: A trained network, of whose outputs the network learns too: the loss is then the mean of that on the
            targets and the distillation loss of the task (Hinton et al., "Distilling the knowledge in a neural
            network", 2015; temperature 1).
    """

    def __init__(
        self,
        model: torch.nn.Module,
        feed: Feed,
        setup: Setup,
        recipe: Recipe,
        *,
        batch_size: int,
        share: Share = WHOLE,
        call: Callable[..., Any] | None = None,
        teacher: torch.nn.Module | None = None,
    ) -> None:
        self._model, self._call = model, call or model
        self._feed, self._setup, self._recipe = feed, setup, recipe
        self._batch_size, self._share, self._teacher = batch_size, share, teacher
        self._smoothing = recipe.smoothing_for(feed.task)
        self._schedule = SCHEDULES[recipe.schedule]
        rate, decay = recipe.rate_for(feed.task), recipe.weight_decay
        self._optimizer = make_optimizer(model, recipe.optimizer, lr=rate, weight_decay=decay)
        groups = self._optimizer.param_groups
        self._peaks = [float(group["lr"]) for group in groups]
        self._weights = [weight for group in groups for weight in group["params"]]
        self._batches: Iterator[tuple[Any, Any, int]] = iter(())
        self._unseen: list[tuple[Tensor, int, float]] = []  # on the device until they are looked at

    def begin(self, feed: Feed, seed: int) -> None:
        """Begin a stage, with other data and an order of their own."""
        self._feed = feed
        self._generator = torch.Generator().manual_seed(seed)

    def start(self) -> None:
        """Begin a pass through the data."""
        set_training(self._model)
        self._batches = self._feed.shares(
            self._batch_size, self._generator, augment=self._recipe.augment, share=self._share
        )

    def step(self, progress: float) -> None:
        """Make a step, at a progress of the stage from 0 to 1."""
        inputs, targets, samples = next(self._batches)
        share = self._schedule(progress)
        for group, peak in zip(self._optimizer.param_groups, self._peaks, strict=True):
            group["lr"] = peak * share
        outputs = self._feed.run(self._call, inputs)
        # The sum over all shares is the mean over the batch.
        weight = self._share.weight(samples)
        loss = self._loss(inputs, outputs, targets) * weight
        self._optimizer.zero_grad(set_to_none=True)
        torch.autograd.backward(loss * self._share.count)  # of gradients the mean is taken
        if self._recipe.clip is not None:
            torch.nn.utils.clip_grad_norm_(self._weights, self._recipe.clip)
        self._optimizer.step()
        self._unseen.append((loss.detach(), samples, self._peaks[0] * share))

    def _loss(self, inputs: Any, outputs: Any, targets: Any) -> Tensor:
        task = self._feed.task
        loss = task.loss(outputs, targets, label_smoothing=self._smoothing)
        if self._teacher is None:
            return loss
        with torch.no_grad():
            taught = self._feed.run(self._teacher, inputs)
        soft = task.distillation(outputs, taught)
        return loss if soft is None else (loss + soft) / 2

    def losses(self) -> list[Loss]:
        """Return the losses of the steps since the last call, times the share's weight."""
        if not self._unseen:
            return []
        losses = torch.stack([loss for loss, _, _ in self._unseen]).tolist()
        found = [(loss, *rest) for loss, (_, *rest) in zip(losses, self._unseen, strict=True)]
        self._unseen.clear()
        return found

    @torch.no_grad()
    def settle(self, steps: int) -> None:
        """Measure the statistics of batch normalisation for the weights of now, after a training of few steps.

        Their moving averages would still be those of the beginning, and of weights that were soon others. What the
        training draws stays what it would be without.

        Args:
            steps: The number of steps that were made.
        """
        norms = [each for each in self._model.modules() if isinstance(each, _BatchNorm) and each.momentum is not None]
        norms = [each for each in norms if not is_frozen_norm(each)]
        if not norms or steps >= SETTLED:
            return
        momenta = [norm.momentum for norm in norms]
        for norm in norms:
            norm.reset_running_stats()
            norm.momentum = None  # the plain mean over what comes
        set_training(self._model)
        batches = self._feed.shuffled(self._batch_size, torch.Generator().manual_seed(steps))
        with seeded(steps, self._setup.device):
            for inputs, _ in islice(batches, SETTLING):
                self._feed.run(self._model, inputs)
        for norm, momentum in zip(norms, momenta, strict=True):
            norm.momentum = momentum

    def state(self) -> dict[str, Any]:
        """Return what a further stage needs besides the network."""
        return {"shapes": self._shapes(), "optimizer": self._optimizer.state_dict()}

    def load_state(self, state: Mapping[str, Any]) -> None:
        """Go on from what `state` returned; of a network of other sizes the optimizer's averages are of no use."""
        if state["shapes"] == self._shapes():
            self._optimizer.load_state_dict(state["optimizer"])

    def _shapes(self) -> list[list[int]]:
        return [list(weight.shape) for weight in self._weights]
