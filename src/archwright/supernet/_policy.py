"""ENAS: a controller that is rewarded by the accuracy of shared weights."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np
import torch
from torch import Tensor, nn

from archwright.space import Architecture
from archwright.supernet._base import Batch, Relaxation, register
from archwright.supernet._frame import Draw

if TYPE_CHECKING:
    from archwright.supernet._supernet import Supernet
    from archwright.supernet._trainer import Trainer

__all__ = ["PolicyGradient"]

_MEMORY = 0.95  # of the moving average of rewards
_TRIES = 50  # draws until constraints hold


@register("controller")
@dataclass(frozen=True)
class PolicyGradient(Relaxation):
    """One architecture in each step, drawn by an LSTM that learns by policy gradient (ENAS).

    The reward of an architecture is its accuracy with the shared weights on a batch of held-out samples; the baseline
    is a moving average. What is preferred is what the controller draws, ranked by that accuracy.

    Pham et al., "Efficient neural architecture search via parameter sharing", ICML 2018.

    Args:
        warmup: As in `Relaxation`.
        entropy: The weight of the policy's entropy in what it maximises.
        hidden: Units of the LSTM.
    """

    absent: ClassVar[bool] = True
    ranked: ClassVar[bool] = True

    entropy: float = 1e-3
    hidden: int = 64

    def __post_init__(self) -> None:
        """Check the settings."""
        super().__post_init__()
        self.check_range("entropy", 0.0, 1e3)
        self.check_range("hidden", 1, 1e5)

    def policy(self, supernet: Supernet) -> nn.Module:
        """Return the controller."""
        from archwright.strategies._controller import Controller

        return Controller(supernet.space, hidden=self.hidden)

    def sample(self, supernet: Supernet, rng: np.random.Generator) -> Architecture:
        """Return an architecture as the controller draws it; constraints hold."""
        policy = supernet.policy
        for _ in range(_TRIES):
            (architecture,) = policy.sample(rng)  # type: ignore[operator, union-attr]  # it is a Controller
            if architecture in supernet.space:
                return architecture  # type: ignore[no-any-return]
        return supernet.space.sample(rng)

    def preferred(self, supernet: Supernet, count: int, rng: np.random.Generator) -> list[Architecture]:
        """Return different architectures that the controller draws, the likeliest first."""
        found = list(dict.fromkeys(self.sample(supernet, rng) for _ in range(4 * count)))
        with torch.no_grad():
            log_probs, _ = supernet.policy.judge(found)  # type: ignore[operator, union-attr]  # it is a Controller
        return [found[index] for index in torch.argsort(-log_probs, stable=True).tolist()][:count]

    def draw(self, supernet: Supernet, progress: float) -> Draw:
        """Return an architecture that the controller draws."""
        return Draw(dict(self.sample(supernet, supernet.rng)))

    def arch_step(self, trainer: Trainer, batch: Batch, weight_batch: Batch) -> Tensor:
        """Make one step of the controller."""
        supernet = trainer.supernet
        architecture = self.sample(supernet, supernet.rng)
        inputs, targets = batch
        with torch.no_grad(), trainer.statistics_kept():
            scores = trainer.scores(Draw(dict(architecture)), inputs)
            loss = trainer.loss_of(scores, batch)
        reward = float((scores.argmax(1) == targets).float().mean())
        baseline = supernet.moving
        mean = float(baseline[0] / baseline[1]) if baseline[1] > 0 else reward
        baseline.mul_(_MEMORY).add_((1 - _MEMORY) * baseline.new_tensor([reward, 1.0]))
        log_prob, entropy = supernet.policy.judge([architecture])  # type: ignore[operator, union-attr]
        trainer.step_logits(-((reward - mean) * log_prob + self.entropy * entropy).sum())
        return loss
