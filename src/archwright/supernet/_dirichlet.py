"""DrNAS: mixtures drawn from Dirichlet distributions."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.distributions import Dirichlet as Distribution
from torch.distributions import kl_divergence

from archwright.space import Decision
from archwright.supernet._base import Batch, Relaxation, register
from archwright.supernet._frame import Mix

if TYPE_CHECKING:
    import numpy as np

    from archwright.supernet._supernet import Supernet
    from archwright.supernet._trainer import Trainer

__all__ = ["Dirichlet"]


@register("dirichlet")
@dataclass(frozen=True)
class Dirichlet(Relaxation):
    """Mixtures drawn from a Dirichlet distribution for each branch, whose concentration is learned (DrNAS).

    The concentration is elu(logit) + 1, so that it is 1, uniform over all mixtures, where a logit is 0; draws are
    differentiable. A penalty keeps the distributions near the uniform one.

    Chen et al., "DrNAS: Dirichlet neural architecture search", ICLR 2021.

    Args:
        warmup: As in `Relaxation`.
        penalty: The weight of the divergence from the uniform distribution.
    """

    penalty: float = 1e-3

    def __post_init__(self) -> None:
        """Check the settings."""
        super().__post_init__()
        self.check_range("penalty", 0.0, 1e3)

    def initial(self, decision: Decision, rng: np.random.Generator) -> Tensor:
        """Return logits near 0, which stand for a uniform distribution."""
        return super().initial(decision, rng)

    def mix(self, supernet: Supernet, logits: Tensor, progress: float) -> Mix:
        """Return a mixture as it was drawn."""
        with torch.random.fork_rng(devices=[]):  # torch draws from its global generator alone
            torch.manual_seed(int(supernet.rng.integers(2**31)))
            return Mix(Distribution(_concentration(logits)).rsample())

    def probabilities(self, logits: Tensor) -> Tensor:
        """Return the mean of the distribution."""
        concentration = _concentration(logits)
        return concentration / concentration.sum()

    def arch_step(self, trainer: Trainer, batch: Batch, weight_batch: Batch) -> Tensor:
        """Make one step of the logits against the loss and the penalty."""
        draw = trainer.draw()
        loss = trainer.loss(draw, batch)
        total = trainer.surrogate(draw, loss)
        for name in trainer.supernet.branches:
            logits = trainer.supernet.logits.get(name)
            if logits is not None and self.penalty:
                uniform = Distribution(torch.ones_like(logits))
                total = total + self.penalty * kl_divergence(Distribution(_concentration(logits)), uniform)
        trainer.step_logits(total)
        return loss.detach()


def _concentration(logits: Tensor) -> Tensor:
    return F.elu(logits) + 1 + 1e-4  # above zero, as a distribution needs it
