"""FairNAS: every option of every decision is trained once in each step."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np
import torch
from torch import Tensor

from archwright.space import Subset, Value
from archwright.supernet._base import Batch, register
from archwright.supernet._frame import Draw
from archwright.supernet._path import UniformPath

if TYPE_CHECKING:
    from archwright.supernet._supernet import Supernet
    from archwright.supernet._trainer import Trainer

__all__ = ["FairPath"]


@register("fair")
@dataclass(frozen=True)
class FairPath(UniformPath):
    """As many architectures in each step as the largest choice has options, so that each is trained once (FairNAS).

    Each decision goes through its options in an order drawn anew; one with fewer options goes through them again.
    Gradients add up to one step of the weights. Where a constraint is broken, that architecture is drawn at random.

    Chu, Zhang and Xu, "FairNAS: Rethinking evaluation fairness of weight sharing neural architecture search", ICCV
    2021.
    """

    learns: ClassVar[bool] = False

    def rounds(self, supernet: Supernet) -> list[Draw]:
        """Return the architectures of one step."""
        rng, space = supernet.rng, supernet.space
        decisions = (*supernet.sizes.values(), *supernet.branches.values())
        count = max((int(each.size) for each in decisions if not isinstance(each, Subset)), default=1)
        columns: dict[str, list[Value]] = {}
        for name, decision in space.decisions.items():
            if isinstance(decision, Subset) or (name not in supernet.sizes and name not in supernet.branches):
                columns[name] = [decision.sample(rng) for _ in range(count)]
            else:
                columns[name] = _shuffled(list(decision.values()), count, rng)
        found = []
        for index in range(count):
            architecture = space.canonical({name: column[index] for name, column in columns.items()})
            found.append(Draw(dict(architecture if architecture in space else space.sample(rng))))
        return found

    def weight_step(self, trainer: Trainer, batch: Batch) -> Tensor:
        """Make one step of the weights, with the gradients of all options."""
        draws = self.rounds(trainer.supernet)
        trainer.clear()
        losses = []
        for draw in draws:
            loss = trainer.loss(draw, batch)
            trainer.add_gradients(loss / len(draws))
            losses.append(loss.detach())
        trainer.step_weights()
        return torch.stack(losses).mean()


def _shuffled(values: list[Value], count: int, rng: np.random.Generator) -> list[Value]:
    found: list[Value] = []
    while len(found) < count:
        found += [values[index] for index in rng.permutation(len(values))]
    return found[:count]
