"""REINFORCE with an LSTM controller."""

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


@register("reinforce")
@dataclass(frozen=True)
class Reinforce(Strategy):
    """REINFORCE: an LSTM controller proposes architectures and is trained by policy gradient.

    Williams, "Simple statistical gradient-following algorithms for connectionist reinforcement learning", 1992; Zoph
    and Le, "Neural architecture search with reinforcement learning", ICLR 2017; temperature, tanh constant and entropy
    bonus as in ENAS (Pham et al. 2018). The gradient is the mean of (reward - baseline) × grad log p(architecture),
    plus that of the entropy bonus. Each batch of complete trials is one step of Adam, from fixed initial weights, so
    the policy is a function of the history. Rewards are ranks, which makes them independent of the metric's scale.
    Duplicates are drawn again, at increasing temperatures.

    Args:
        batch: Number of trials of one update, at least 1.
        rate: The learning rate, above 0.
        entropy: The weight of the entropy bonus, from 0 to 1.
        decay: The decay of the moving baseline, from 0 to 1.
        hidden: Units of the LSTM, at least 1.
        temperature: The divisor of the logits, above 0.
        tanh_constant: The bound c of the logits, c tanh(logit), above 0.

    Raises:
        StrategyError: A setting is out of range.

    Example:
        >>> study = aw.Study(aw.Space(x=aw.integer(0, 63)), strategy=aw.strategies.Reinforce())
        >>> study = study.run(lambda candidate: -abs(candidate.settings["x"] - 40), aw.Budget(trials=30))
        >>> study.best.trial.architecture["x"]
        40
    """

    recursive: ClassVar[bool] = False

    batch: int = 3
    rate: float = 0.01
    entropy: float = 0.01
    decay: float = 0.9
    hidden: int = 64
    temperature: float = 1.0
    tanh_constant: float = 2.5

    def __post_init__(self) -> None:
        check_counts(self, "batch", "hidden")
        check_shares(self, "entropy", "decay")
        check_positive(self, "rate", "temperature", "tanh_constant")

    def propose(self, space: Space, history: History, rng: np.random.Generator) -> Architecture:
        """Return a sample of the policy, unseen if possible."""
        from archwright.strategies._controller import Controller, Learner

        def begin() -> Learner:
            controller = Controller(
                space, hidden=self.hidden, temperature=self.temperature, tanh_constant=self.tanh_constant
            )
            return Learner(controller, self._loss, batch=self.batch, epochs=1, rate=self.rate, decay=self.decay)

        return self.state_of(history, begin).propose(space, history, rng)

    def _loss(self, controller: Controller, batch: Batch) -> Tensor:
        log_probabilities, entropy = controller.evaluate(batch.architectures)
        return -(batch.advantages * log_probabilities).mean() - self.entropy * entropy.mean()
