"""BigNAS and once-for-all: the largest, the smallest and some others in each step."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from torch import Tensor

from archwright.errors import RelaxationError
from archwright.space import Value
from archwright.supernet._base import Batch, register
from archwright.supernet._frame import Draw
from archwright.supernet._path import UniformPath

if TYPE_CHECKING:
    from archwright.supernet._supernet import Supernet
    from archwright.supernet._trainer import Trainer

__all__ = ["Sandwich"]


@register("sandwich")
@dataclass(frozen=True)
class Sandwich(UniformPath):
    """The largest architecture, the smallest and some drawn ones in each step; the largest teaches the others (BigNAS).

    All decisions that are ordered or count something stand at their ends in the largest and in the smallest; choices
    between modules are drawn. With `shrink` the sizes open up from the largest down as the training goes on, as in
    once-for-all. Where a constraint is broken, an architecture is drawn at random instead.

    Yu et al., "BigNAS: Scaling up neural architecture search with big single-stage models", ECCV 2020. Cai et al.,
    "Once-for-all: Train one network and specialize it for efficient deployment", ICLR 2020.

    Args:
        warmup: Not used here.
        drawn: How many architectures are drawn in each step.
        shrink: The share of the training over which sizes open up; 0 for none.
    """

    drawn: int = 2
    shrink: float = 0.0

    def __post_init__(self) -> None:
        """Check the settings."""
        super().__post_init__()
        if type(self.drawn) is not int or self.drawn < 0:
            raise RelaxationError(f"Sandwich: drawn is an integer of 0 or more, not {self.drawn!r}")
        self.check_range("shrink", 0.0, 1.0)

    def draw(self, supernet: Supernet, progress: float) -> Draw:
        """Return a drawn architecture whose sizes are among those that are open."""
        return self._at(supernet, None, self._least(progress))

    def rounds(self, supernet: Supernet, progress: float) -> list[Draw]:
        """Return the architectures of one step, the largest first."""
        least = self._least(progress)
        ends = [self._at(supernet, 1.0, least), self._at(supernet, 0.0, least)]
        return [*ends, *(self._at(supernet, None, least) for _ in range(self.drawn))]

    def weight_step(self, trainer: Trainer, batch: Batch) -> Tensor:
        """Make one step of the weights: the largest learns from the labels, the others from the largest."""
        inputs, _ = batch
        largest, *others = self.rounds(trainer.supernet, trainer.progress)
        trainer.clear()
        scores = trainer.scores(largest, inputs)
        loss = trainer.loss_of(scores, batch)
        trainer.add_gradients(loss)
        teacher = torch.softmax(scores.detach(), dim=1)
        for draw in others:
            trainer.add_gradients(F.cross_entropy(trainer.scores(draw, inputs), teacher))
        trainer.step_weights()
        return loss.detach()

    def _least(self, progress: float) -> float:
        """Return the place in its range below which a size is not open yet."""
        return max(0.0, 1.0 - progress / self.shrink) if self.shrink else 0.0

    def _at(self, supernet: Supernet, place: float | None, least: float) -> Draw:
        rng, space = supernet.rng, supernet.space
        values: dict[str, Value] = {}
        for name, decision in space.decisions.items():
            if name in supernet.sizes and decision.width == 1:
                at = rng.random() if place is None else place
                values[name] = decision.decode([least + (1 - least) * at])
            else:
                values[name] = decision.sample(rng)
        architecture = space.canonical(values)
        return Draw(dict(architecture if architecture in space else space.sample(rng)))
