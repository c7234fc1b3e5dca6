"""BigNAS: the largest network teaches the smallest and random ones."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np
from torch import Tensor

from archwright._checks import check_counts
from archwright.space import Choice, Decision, Subset, Value
from archwright.supernet._base import Batch, Relaxation, register
from archwright.supernet._execution import Draw
from archwright.tasks import map_tensors

if TYPE_CHECKING:
    from archwright.supernet._supernet import Supernet
    from archwright.supernet._trainer import Trainer

_TRIES = 100  # draws until constraints hold
_OPEN = 0.5  # the share of the training after which all sizes are open, where they shrink


@register("sandwich")
@dataclass(frozen=True)
class Sandwich(Relaxation):
    """The largest, the smallest and random networks per step; the largest is the teacher (BigNAS).

    Yu et al., "BigNAS: Scaling up neural architecture search with big single-stage models", ECCV 2020. The largest
    network is trained on the targets, the others on its outputs (in-place distillation), or on the targets if the task
    has no distillation loss; a step uses the mean gradient. Large and small are the last and the first value of an
    ordered decision, and all or the fewest options of a subset; unordered choices are random. If constraints forbid
    that, decisions are randomised until they hold.

    Args:
        random: Number of random networks, 0 or more.
        shrink: Whether smaller sizes are enabled step by step over the first half of the training (progressive
            shrinking: Cai et al., "Once-for-all: Train one network and specialize it for efficient deployment", ICLR
            2020; unlike there, for kernels, depths and widths together).

    Example:
        >>> space = aw.Space(model=nn.LazyLinear(aw.ordinal(2, 4, 8, name="width")), example_input=(4,))
        >>> supernet = aw.Supernet(space, aw.supernet.Sandwich(random=0))
        >>> [draw.values["width"] for draw in supernet.relaxation.sandwich(supernet, 1.0)]
        [8, 2]
    """

    learns: ClassVar[bool] = False

    random: int = 2
    shrink: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        check_counts(self, "random", least=0)

    def draw(self, supernet: Supernet, progress: float) -> Draw:
        """Return an architecture at random, of a size that is open."""
        return Draw(self._values(supernet, 1.0 - self._open(progress), 1.0))

    def sandwich(self, supernet: Supernet, progress: float) -> list[Draw]:
        """Return the draws of one step: the largest, the smallest enabled, and random ones."""
        low = 1.0 - self._open(progress)
        ranges = [(1.0, 1.0), (low, low), *[(low, 1.0)] * self.random]
        return [Draw(self._values(supernet, *each)).decided(supernet.decided) for each in ranges]

    def weight_step(self, trainer: Trainer, batch: Batch) -> Tensor:
        """Make one step of the weights; the loss returned is that of the largest network."""
        largest, *others = self.sandwich(trainer.supernet, trainer.progress)
        count = 1 + len(others)
        inputs, targets = batch
        outputs = trainer.outputs(largest, inputs)
        loss = trainer.loss_of(outputs, targets)
        trainer.accumulate(loss / count, first=True)
        taught = map_tensors(Tensor.detach, outputs)
        for draw in others:
            found = trainer.outputs(draw, inputs)
            against = trainer.task.distillation(found, taught)
            trainer.accumulate((trainer.loss_of(found, targets) if against is None else against) / count)
        trainer.step_weights()
        return loss.detach()

    def _open(self, progress: float) -> float:
        """Return the share of the sizes that is open, from the largest down."""
        return min(1.0, progress / _OPEN) if self.shrink else 1.0

    def _values(self, supernet: Supernet, low: float, high: float) -> dict[str, Value]:
        """Return a value for each decision, drawn between two shares of its range; constraints hold."""
        space, rng = supernet.space, supernet.rng
        for attempt in range(_TRIES):
            slack = attempt / _TRIES
            floor, roof = low * (1 - slack), high + (1 - high) * slack
            values = {
                name: _value(decision, floor + (roof - floor) * rng.random(), rng)
                for name, decision in space.decisions.items()
            }
            if not space.where or space.canonical(values) in space:
                return values
        return dict(space.sample(rng))


def _value(decision: Decision, share: float, rng: np.random.Generator) -> Value:
    """Return the value that lies at a share of a decision's range; any where it has no order."""
    if isinstance(decision, Subset):
        count = decision.low + _rank(share, decision.high - decision.low + 1)
        return decision.pick(rng.choice(len(decision.options), size=count, replace=False))
    if isinstance(decision, Choice) and not decision.ordered:
        return decision.sample(rng)
    if decision.size == math.inf:
        return decision.decode([share])
    size = int(decision.size)
    return decision.decode([_rank(share, size) / max(1, size - 1)])


def _rank(share: float, size: int) -> int:
    return min(int(share * size), size - 1)
