"""ENAS: an LSTM controller trained by REINFORCE on shared weights."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import torch
from torch import Tensor, nn

from archwright._checks import check_counts, check_numbers, check_positive
from archwright.errors import RelaxationError
from archwright.space import Architecture
from archwright.strategies import Controller as Policy
from archwright.supernet._base import Batch, Relaxation, register
from archwright.supernet._execution import Draw

if TYPE_CHECKING:
    from archwright.supernet._supernet import Supernet
    from archwright.supernet._trainer import Trainer

_TRIES = 100  # draws until constraints hold
_JUDGED = 256  # held-out samples on which architectures are compared at the end


@register("controller")
@dataclass(frozen=True)
class Controller(Relaxation):
    """An LSTM controller samples one architecture per step, trained by REINFORCE on shared weights (ENAS).

    Pham, Guan, Zoph, Le and Dean, "Efficient neural architecture search via parameter sharing", ICML 2018. The reward
    is the accuracy on a held-out batch, with its statistics in batch normalisation; the gradient is that of REINFORCE,
    (reward - baseline) × grad log p(architecture), with a moving baseline and an entropy bonus. The policy is the LSTM
    of the strategy "reinforce", on the CPU. The derived architecture is the best of many samples on held-out data;
    without data, the most probable of many samples.

    Args:
        rate: The learning rate of Adam, above 0.
        samples: Number of architectures in each step of the policy, 1 or more.
        entropy: The weight of the entropy bonus, from 0 to below 1.
        decay: The decay of the moving baseline, from 0 to below 1.
        hidden: Units of the LSTM, 1 or more.
        temperature: The divisor of the logits, above 0.
        tanh_constant: The bound c of the logits, c tanh(logit), above 0.
        derived: Number of samples that are compared for each derived architecture, 1 or more.

    Example:
        >>> model = nn.Sequential(aw.choice(nn.ReLU(), nn.Tanh(), name="act"), nn.Linear(4, 3))
        >>> supernet = aw.Supernet(aw.Space(model=model, example_input=(4,)), aw.supernet.Controller())
        >>> supernet.draw().values["act"] in ("ReLU()", "Tanh()"), supernet.draw().mixes
        (True, {})
    """

    apart: ClassVar[bool] = False

    rate: float = 0.0035
    samples: int = 2
    entropy: float = 1e-3
    decay: float = 0.95
    hidden: int = 64
    temperature: float = 1.0
    tanh_constant: float = 2.5
    derived: int = 20

    def __post_init__(self) -> None:
        super().__post_init__()
        check_positive(self, "rate", "temperature", "tanh_constant")
        check_numbers(self, "entropy", "decay", allowed="from 0 to below 1", holds=lambda value: 0 <= value < 1)
        check_counts(self, "samples", "hidden", "derived")

    def prepare(self, supernet: Supernet) -> Plan:
        """Return the policy."""
        return Plan(
            Policy(supernet.space, hidden=self.hidden, temperature=self.temperature, tanh_constant=self.tanh_constant)
        )

    def draw(self, supernet: Supernet, progress: float) -> Draw:
        """Return an architecture that the policy draws."""
        return Draw(dict(self.sample(supernet, supernet.rng)[1]))

    def sample(self, supernet: Supernet, rng: np.random.Generator) -> tuple[float, Architecture]:
        """Return an architecture that the policy draws, with the logarithm of its probability.

        Raises:
            RelaxationError: No draw keeps the constraints.
        """
        policy, space = supernet.plan.policy, supernet.space
        for _ in range(_TRIES):
            (architecture,) = policy.sample(rng)
            if not space.where or architecture in space:
                with torch.no_grad():
                    return float(policy.evaluate([architecture])[0]), architecture
        raise RelaxationError(f"none of {_TRIES} architectures drawn by the controller keeps `where`")

    def best(self, supernet: Supernet) -> Architecture:
        """Return the likeliest of many draws."""
        rng = np.random.default_rng(0)
        return max((self.sample(supernet, rng) for _ in range(_TRIES)), key=lambda each: each[0])[1]

    def preferred(self, trainer: Trainer, count: int) -> list[Architecture]:
        """Return different draws, those with the greatest accuracy on held-out data first."""
        rng = np.random.default_rng(0)
        drawn = dict.fromkeys(self.sample(trainer.supernet, rng)[1] for _ in range(self.derived * count))
        batch = trainer.held_out(_JUDGED)
        scores = {each: trainer.evaluate(Draw(dict(each)), batch) for each in drawn}
        return sorted(drawn, key=lambda each: (-scores[each][0], scores[each][1]))[:count]

    def optimizer(self, parameters: list[nn.Parameter], steps: int, rate: float | None) -> torch.optim.Optimizer:
        """Return Adam."""
        return torch.optim.Adam(parameters, lr=rate or self.rate)

    def arch_step(self, trainer: Trainer, batch: Batch, weight_batch: Batch) -> Tensor:
        """Make one step of the policy; return the mean loss of the samples."""
        losses = []

        def reward(architecture: Architecture) -> float:
            accuracy, loss = trainer.evaluate(Draw(dict(architecture)), batch)
            losses.append(loss)
            return accuracy

        if trainer.supernet.plan.policy.most > 1:
            trainer.step_logits(self.objective(trainer.supernet, reward))
        return torch.tensor(losses or [0.0]).mean()

    def objective(self, supernet: Supernet, reward: Callable[[Architecture], float]) -> Tensor:
        """Return () the loss of a step of the policy.

        Args:
            supernet: The supernet; its baseline moves.
            reward: Returns how good an architecture is.
        """
        drawn = [self.sample(supernet, supernet.rng)[1] for _ in range(self.samples)]
        plan = supernet.plan
        rewards = torch.tensor([reward(each) for each in drawn])
        advantages = rewards - plan.mean(rewards.mean())
        plan.update(rewards.mean(), self.decay)
        log_probs, entropy = plan.policy.evaluate(drawn)
        objective: Tensor = -(advantages * log_probs).mean() - self.entropy * entropy.mean()
        return objective


class Plan(nn.Module):
    """The policy with its baseline; they stay on the CPU in single precision, wherever the supernet goes."""

    baseline: Tensor

    def __init__(self, policy: Policy) -> None:
        super().__init__()
        self.policy = policy
        self.register_buffer("baseline", torch.zeros(2))  # moving average of the rewards, and its weight

    def mean(self, otherwise: Tensor) -> Tensor:
        """Return () the moving average of the rewards so far; something else before there are any."""
        total, weight = self.baseline
        return torch.where(weight > 0, total / weight.clamp_min(1e-12), otherwise)

    def update(self, reward: Tensor, decay: float) -> None:
        """Add () a reward to the moving average."""
        self.baseline.mul_(decay).add_((1 - decay) * torch.stack([reward, torch.ones_like(reward)]))

    def _apply(self, fn: Any, recurse: bool = True) -> Plan:
        return self
