"""Proximal policy optimisation with an LSTM controller."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from archwright._checks import check_counts, check_positive, check_shares
from archwright.space import Architecture, Space
from archwright.strategies._base import Strategy, register
from archwright.trials import History

if TYPE_CHECKING:
    from torch import Tensor

    from archwright.strategies._controller import Batch, Controller, Learner

__all__ = ["PPO"]


@register("ppo")
@dataclass(frozen=True)
class PPO(Strategy):
    """PPO: an LSTM controller trained by clipped policy gradients, several epochs per batch of trials.

    Schulman et al., "Proximal policy optimization algorithms", 2017: the clipped surrogate objective, with a moving
    baseline in place of a critic, since an episode has one reward, and advantages divided by their standard deviation
    in the batch. The policy that a batch was drawn from is taken to be the one before its update.

    Args:
        batch: Trials of one update, at least 1.
        epochs: Steps of Adam for each batch, at least 1.
        clip: How far the probability of an architecture may move in one update, from 0 to 1.
        rate: The learning rate, above 0.
        entropy: The weight of the entropy bonus, from 0 to 1.
        decay: How much of the moving baseline is kept with each trial, from 0 to 1.
        hidden: Units of the LSTM, at least 1.

    Raises:
        StrategyError: A setting is out of range.
    """

    batch: int = 10
    epochs: int = 8
    clip: float = 0.2
    rate: float = 0.01
    entropy: float = 0.01
    decay: float = 0.9
    hidden: int = 64

    def __post_init__(self) -> None:
        """Check the settings."""
        check_counts(self, "batch", "epochs", "hidden")
        check_shares(self, "clip", "entropy", "decay")
        check_positive(self, "rate")

    def propose(self, space: Space, history: History, rng: np.random.Generator) -> Architecture:
        """Return an architecture drawn from the policy, a new one where it has one to give."""
        from archwright.strategies._controller import Controller, Learner, drawn

        def begin() -> Learner:
            return Learner(
                Controller(space, hidden=self.hidden),
                self._loss,
                batch=self.batch,
                epochs=self.epochs,
                rate=self.rate,
                decay=self.decay,
                scaled=True,
            )

        learner = self.state_of(history, begin)
        learner.replay(history)
        return drawn(learner.controller, space, history, rng)

    def _loss(self, controller: Controller, batch: Batch) -> Tensor:
        log_probabilities, entropy = controller.judge(batch.architectures)
        ratio = (log_probabilities - batch.before).exp()
        clipped = ratio.clamp(1 - self.clip, 1 + self.clip)
        gain = (ratio * batch.advantages).minimum(clipped * batch.advantages)
        return -gain.mean() - self.entropy * entropy.mean()
