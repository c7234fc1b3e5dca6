"""The training of a supernet: steps of the weights and of the logits."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from functools import partial
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from archwright.errors import EvaluationError
from archwright.evaluate import SCHEDULES, Feed, TrainingProgress, make_optimizer
from archwright.supernet._base import Batch
from archwright.supernet._execution import Draw
from archwright.supernet._supernet import Supernet
from archwright.trials import Objective

if TYPE_CHECKING:
    from archwright.evaluate import Recipe, Setup
    from archwright.space import Architecture
    from archwright.tasks import Task

_CLIP = 5.0  # the largest norm of a weight gradient, as in DARTS, where the recipe says nothing
_MEMORY = 0.95  # of the moving average of the loss


class Trainer:
    """Training of a supernet, epoch by epoch; it can be saved and resumed between two epochs.

    Args:
        supernet: The supernet, on its device and in its memory format.
        task: The task, of which the training part is used; with logits, half of it each for logits and weights.
        recipe: The settings of the training of the weights, except for the epochs.
        setup: Device, memory format and precision.
        epochs: Number of epochs.
        seed: The random seed of the order of the samples and of the halves.
        deadline: The end of the training, in seconds of `time.monotonic()`; progress then depends on the time too.
        arch_lr: Learning rate of the logits; `None` to derive it from the number of steps.

    Attributes:
        weights: The optimizer of the shared weights.
        logits: The optimizer of the logits, if any.
        epochs_done: Number of finished epochs.
        step: Number of finished steps.
        tuning: The current share of the peak learning rate of the weights; `None` for that of the schedule.

    Example:
        >>> from archwright.evaluate import Recipe, Setup
        >>> task = aw.Training(aw.data((torch.eye(2).repeat(256, 1), torch.arange(512) % 2))).task
        >>> space = aw.Space(model=nn.Sequential(aw.choice(nn.Identity(), nn.Hardshrink(9), name="f"), nn.Linear(2, 2)))
        >>> supernet = aw.Supernet(space, "softmax", example_input=(2,))
        >>> trainer = aw.supernet.Trainer(supernet, task, Recipe(), Setup("cpu"), epochs=2, seed=0)
        >>> sorted(trainer.epoch()), trainer.epochs_done
        (['arch_loss', 'loss'], 1)
    """

    def __init__(
        self,
        supernet: Supernet,
        task: Task,
        recipe: Recipe,
        setup: Setup,
        *,
        epochs: int,
        seed: int,
        deadline: float | None = None,
        arch_lr: float | None = None,
    ) -> None:
        self.supernet = supernet
        self.setup = setup
        self.recipe = recipe
        self.epochs, self.epochs_done, self.step = epochs, 0, 0
        self._order = torch.Generator().manual_seed(seed)
        parts = _halves(task.train, seed) if supernet.relaxation.learns else (task.train,)
        self.task = task
        self.objective = Objective.parse(task.objective)
        self.feeds = [Feed(task, part, setup) for part in parts]
        self.batch_size = recipe.batch_for(task, len(parts[0]))
        self.steps = epochs * self.feeds[0].steps(self.batch_size)
        self.pace = TrainingProgress(self.steps, deadline=deadline, by_time=deadline is not None)
        self._from = 0.0  # how far it was when this process took it up
        self.tuning: float | None = None
        self._schedule = SCHEDULES[recipe.schedule]
        self._make_weights()
        logits = supernet.arch_parameters() if supernet.relaxation.learns else []
        self._arch_lr, self._paced = arch_lr, deadline is None
        self.logits = supernet.relaxation.optimizer(logits, self.steps, arch_lr) if logits else None

    @property
    def progress(self) -> float:
        """The progress of the training, from 0 to 1."""
        by_time = self._from + (1 - self._from) * self.pace.progress(0)
        return min(1.0, max(self.step / self.steps, by_time))

    def epoch(self) -> dict[str, float]:
        """Train for one epoch, or until the deadline.

        Returns:
            "loss", the mean over the steps of the weights, and "arch_loss", that over those of the logits.

        Raises:
            EvaluationError: A loss became NaN or infinite.
        """
        supernet, relaxation = self.supernet, self.supernet.relaxation
        supernet.train()
        losses: list[Tensor] = []
        arch_losses: list[Tensor] = []
        augment = self.recipe.augment
        batches = self.feeds[0].shuffled(self.batch_size, self._order, augment=augment)
        held_out = self.endless(1) if self.logits is not None else itertools.repeat(None)
        for batch, held in zip(batches, held_out, strict=False):
            if held is not None and self.progress >= relaxation.warmup:
                self._pace_logits()
                arch_losses.append(relaxation.arch_step(self, held, batch))
            losses.append(relaxation.weight_step(self, batch))
            self.step += 1
            if self.pace.late():
                break
        self.epochs_done += 1
        found = {"loss": _mean(losses, self.epochs_done)}
        if arch_losses:
            found["arch_loss"] = _mean(arch_losses, self.epochs_done)
        return found

    # ------------------------------------------------------------------ for the steps of relaxations

    def draw(self) -> Draw:
        """Return the relaxation's next draw."""
        return self.supernet.draw(self.progress)

    def outputs(self, draw: Draw, inputs: Any) -> Any:
        """Return the outputs of a draw for the inputs of a batch."""
        return self.feeds[0].run(partial(self.supernet.run, draw), inputs)

    def loss(self, draw: Draw, batch: Batch) -> Tensor:
        """Return () the mean loss of a draw on a batch."""
        inputs, targets = batch
        return self.loss_of(self.outputs(draw, inputs), targets)

    def loss_of(self, outputs: Any, targets: Any) -> Tensor:
        """Return () the mean training loss of outputs for a batch."""
        return self.task.loss(outputs, targets, label_smoothing=self.recipe.smoothing_for(self.task))

    def surrogate(self, draw: Draw, loss: Tensor) -> Tensor:
        """Return () a surrogate loss with the gradients of the loss and of its expectation over sampled decisions.

        The latter is the score-function gradient: (loss - moving average) × grad log-probability.

        Args:
            draw: The last draw.
            loss: () its loss.
        """
        drawn = [draw.log_probs[name] for name in sorted(self.supernet.used) if name in draw.log_probs]
        if not drawn:
            return loss
        baseline = self.supernet.baseline
        value = loss.detach()
        mean = torch.where(baseline[1] > 0, baseline[0] / baseline[1].clamp_min(1e-12), value)
        baseline.mul_(_MEMORY).add_((1 - _MEMORY) * torch.stack([value, torch.ones_like(value)]))
        return loss + (value - mean) * torch.stack(drawn).sum()

    @torch.no_grad()
    def evaluate(self, draw: Draw, batch: Batch) -> tuple[float, float]:
        """Return the value of the objective and the loss of a draw on a batch, without training.

        The first is the metric of the task's objective, such as the accuracy, negated if it is minimised.

        Batch normalisation uses the statistics of the batch, since the running ones average many architectures.

        Args:
            draw: The draw, computed without dropout.
            batch: Inputs and targets.
        """
        supernet, (inputs, targets) = self.supernet, batch
        was_training = supernet.training
        supernet.eval()
        supernet.bank.calibrating = 0.0
        try:
            outputs = self.outputs(draw, inputs)
        finally:
            supernet.bank.calibrating = None
            supernet.train(was_training)
        meter = self.task.meter(self.setup.device)
        meter.update(outputs, targets)
        loss = self.task.loss(outputs, targets).item()
        return self.objective.score({"loss": loss, **meter.compute()}), loss

    def endless(self, part: int) -> Iterator[Batch]:
        """Yield batches of a part of the data indefinitely, in a new order each time.

        Args:
            part: 0 for the part of the weights, 1 for that of the logits, -1 for the last part.
        """
        while True:
            yield from self.feeds[part].shuffled(self.batch_size, self._order, augment=self.recipe.augment)

    def held_out(self, count: int) -> Batch:
        """Return the first samples of the held-out part, or of all samples without one.

        Args:
            count: The maximum number.
        """
        return next(iter(self.feeds[-1].in_order(count)))

    def preferred(self, count: int) -> list[Architecture]:
        """Return different architectures preferred by the relaxation, best first.

        Args:
            count: The maximum number.

        Raises:
            RelaxationError: As in `Supernet.derive`.
        """
        return self.supernet.relaxation.preferred(self, count)

    def schedule(self) -> None:
        """Set the current learning rate of the weights; create their optimizer again if the weights have grown."""
        if self._version != self.supernet.bank.version:
            self._make_weights()
        share = self._schedule(self.progress) if self.tuning is None else self.tuning
        for group, peak in zip(self.weights.param_groups, self._peaks, strict=True):
            group["lr"] = peak * share

    def accumulate(self, loss: Tensor, *, first: bool = False) -> None:
        """Accumulate the gradients of a loss with respect to the weights.

        Args:
            loss: () the loss.
            first: Whether to reset the gradients before.
        """
        if first:
            for weight in self.supernet.weight_parameters():
                weight.grad = None
        if loss.requires_grad:  # else nothing learns on the path that was drawn: all of it is frozen
            torch.autograd.backward(loss, inputs=self.supernet.weight_parameters())

    def step_weights(self, loss: Tensor | None = None) -> None:
        """Make a step of the weights, with the gradients of a loss or the accumulated ones."""
        if loss is not None:
            self.accumulate(loss, first=True)
        self.schedule()
        clip = _CLIP if self.recipe.clip is None else self.recipe.clip
        torch.nn.utils.clip_grad_norm_(self.supernet.weight_parameters(), clip)
        self.weights.step()

    def step_logits(self, loss: Tensor | None = None) -> None:
        """Make a step of the logits, with the gradients of a loss or the accumulated ones."""
        assert self.logits is not None
        if loss is not None:
            self.logits.zero_grad(set_to_none=True)
            torch.autograd.backward(loss, inputs=self.supernet.arch_parameters())
        self.logits.step()

    # ------------------------------------------------------------------ a checkpoint

    def state(self) -> dict[str, Any]:
        """Return the state of the training: tensors, numbers and lists."""
        return {
            "supernet": self.supernet.state_dict(),
            "weights": self.weights.state_dict(),
            "logits": None if self.logits is None else self.logits.state_dict(),
            "epochs_done": self.epochs_done,
            "step": self.step,
            "progress": self.progress,
            "paced": self._paced,
            "order": self._order.get_state(),
            "draws": self.supernet.rng.bit_generator.state,
            "torch": torch.get_rng_state(),
        }

    def load_state(self, state: dict[str, Any]) -> None:
        """Restore a state of the training.

        Raises:
            RuntimeError: The state belongs to another supernet.
        """
        self.supernet.load_state_dict(state["supernet"])
        self._make_weights()
        self.weights.load_state_dict(state["weights"])
        if self.logits is not None:
            self.logits.load_state_dict(state["logits"])
        self.epochs_done, self.step = int(state["epochs_done"]), int(state["step"])
        self._from, self._paced = float(state["progress"]), bool(state["paced"])
        self._order.set_state(state["order"])
        self.supernet.rng.bit_generator.state = state["draws"]
        torch.set_rng_state(state["torch"])

    # ------------------------------------------------------------------ inside

    def _pace_logits(self) -> None:
        """Before the first step of the logits, where time ends the training: expect the steps that there will be."""
        if not self._paced and self.step:
            steps = round(self.step / max(self.progress, 1e-6))
            self.logits = self.supernet.relaxation.optimizer(self.supernet.arch_parameters(), steps, self._arch_lr)
            self._paced = True

    def _make_weights(self) -> None:
        """Make the optimizer of the weights; after they grew, with what it knew of those that did not."""
        before = getattr(self, "weights", None)
        recipe = self.recipe
        bank = self.supernet.bank
        rate, decay = recipe.rate_for(self.task), recipe.weight_decay
        self.weights = make_optimizer(bank, recipe.optimizer, lr=rate, weight_decay=decay)
        self._peaks = [float(group["lr"]) for group in self.weights.param_groups]
        self._version = bank.version
        if before is not None:
            for weight, known in before.state.items():
                shapes = {value.shape for value in known.values() if isinstance(value, Tensor) and value.ndim}
                if shapes <= {weight.shape}:
                    self.weights.state[weight] = known


def _halves(part: Any, seed: int) -> tuple[Any, Any]:
    order = torch.randperm(len(part), generator=torch.Generator().manual_seed(seed))
    middle = (len(part) + 1) // 2
    return part.select(order[:middle]), part.select(order[middle:])


def _mean(losses: list[Tensor], epoch: int) -> float:
    mean = float(torch.stack(losses).mean())
    if not math.isfinite(mean):
        raise EvaluationError(f"the loss of the supernet became {mean} in epoch {epoch}; take a smaller learning rate")
    return mean
