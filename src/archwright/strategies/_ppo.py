"""Proximal policy optimisation with an LSTM controller."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from archwright._checks import check_counts, check_positive, check_shares
from archwright.space import Architecture, Space
from archwright.strategies._base import Strategy, register
from archwright.trials import History

if TYPE_CHECKING:
    from torch import Tensor

    from archwright.strategies._controller import Batch, Controller, Learner


@register("ppo")
@dataclass(frozen=True)
class PPO(Strategy):
    """PPO: an LSTM controller trained by clipped policy gradients, several epochs per batch of trials.

    Schulman et al., "Proximal policy optimization algorithms", 2017: the clipped surrogate objective, mean of min(r A,
    clamp(r, 1 - clip, 1 + clip) A), where r is the ratio of the probabilities under the new and the old policy and A
    the advantage. A moving baseline replaces the critic, since an episode has one reward; advantages are divided by
    their standard deviation in the batch. The old policy is the one before the update.

    Args:
        batch: Number of trials of one update, at least 1.
        epochs: Number of steps of Adam for each batch, at least 1.
        clip: The clipping range of the ratio, from 0 to 1.
        rate: The learning rate, above 0.
        entropy: The weight of the entropy bonus, from 0 to 1.
        decay: The decay of the moving baseline, from 0 to 1.
        hidden: Units of the LSTM, at least 1.

    Raises:
        StrategyError: A setting is out of range.

    Example:
        >>> study = aw.Study(aw.Space(x=aw.integer(0, 63)), strategy=aw.strategies.PPO(batch=5))
        >>> study = study.run(lambda candidate: -abs(candidate.settings["x"] - 40), aw.Budget(trials=30))
        >>> study.best.trial.architecture["x"]
        40
    """

    recursive: ClassVar[bool] = False

    batch: int = 10
    epochs: int = 8
    clip: float = 0.2
    rate: float = 0.01
    entropy: float = 0.01
    decay: float = 0.9
    hidden: int = 64

    def __post_init__(self) -> None:
        check_counts(self, "batch", "epochs", "hidden")
        check_shares(self, "clip", "entropy", "decay")
        check_positive(self, "rate")

    def propose(self, space: Space, history: History, rng: np.random.Generator) -> Architecture:
        """Return a sample of the policy, unseen if possible."""
        from archwright.strategies._controller import Controller, Learner

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

        return self.state_of(history, begin).propose(space, history, rng)

    def _loss(self, controller: Controller, batch: Batch) -> Tensor:
        log_probabilities, entropy = controller.evaluate(batch.architectures)
        ratio = (log_probabilities - batch.before).exp()
        clipped = ratio.clamp(1 - self.clip, 1 + self.clip)
        gain = (ratio * batch.advantages).minimum(clipped * batch.advantages)
        return -gain.mean() - self.entropy * entropy.mean()
