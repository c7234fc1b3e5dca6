"""Deep Q-learning."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from archwright._checks import check_counts, check_positive, check_shares, check_switches
from archwright.space import Architecture, Space
from archwright.strategies._base import Strategy, register
from archwright.strategies._episode import first_new
from archwright.strategies._qlearning import exploration_at
from archwright.trials import History

if TYPE_CHECKING:
    from archwright.strategies._qnetwork import DeepAgent

_DRAWN = 8  # episodes drawn for a proposal, of which the first new one is taken; the later, the more random


@register("deep-q")
@dataclass(frozen=True)
class DeepQ(Strategy):
    """Deep Q-learning: a network approximates the action values, for spaces of any size.

    Mnih et al., "Human-level control through deep reinforcement learning", Nature 2015: replay memory, target network,
    epsilon-greedy episodes; van Hasselt, Guez and Silver, "Deep reinforcement learning with double Q-learning", AAAI
    2016. The target of an action a in state s, followed by s', is reward + discount × Q'(s', argmax Q(s', .)), with Q'
    the target network. The state is the vector of the decisions made so far, and which one is next. After each trial
    the network makes `updates` steps of Adam, each on that episode and `replay` - 1 from memory. The reward is that of
    `q-learning`: the share of trials that an architecture beats, given with the last step. Long ranges and reals have
    twelve actions, one for each part of the range.

    Args:
        exploration: Number of trials over which epsilon, the share of random actions, falls linearly from 1 towards 0;
            at least 1.
        epsilon: The minimum of epsilon, from 0 to 1.
        rate: The learning rate, above 0.
        discount: The discount factor, from 0 to 1.
        memory: Size of the replay memory in episodes, at least 1.
        replay: Episodes of each update, at least 1.
        updates: Updates after each trial, at least 1.
        renewal: Number of updates between two copies of the weights to the target network, at least 1.
        hidden: Units of each of the network's two hidden layers, at least 1.
        shaped: Whether the reward is divided evenly over the steps.

    Raises:
        StrategyError: A setting is out of range.

    Example:
        >>> study = aw.Study(aw.Space(x=aw.integer(0, 63)), strategy=aw.strategies.DeepQ(exploration=10))
        >>> study = study.run(lambda candidate: -abs(candidate.settings["x"] - 40), aw.Budget(trials=30))
        >>> study.best.trial.architecture["x"]
        40
    """

    recursive: ClassVar[bool] = False

    exploration: int = 60
    epsilon: float = 0.1
    rate: float = 0.005
    discount: float = 1.0
    memory: int = 2000
    replay: int = 10
    updates: int = 4
    renewal: int = 20
    hidden: int = 64
    shaped: bool = False

    def __post_init__(self) -> None:
        check_counts(self, "exploration", "memory", "replay", "updates", "renewal", "hidden")
        check_shares(self, "epsilon", "discount")
        check_positive(self, "rate")
        check_switches(self, "shaped")

    def propose(self, space: Space, history: History, rng: np.random.Generator) -> Architecture:
        """Return the architecture of an epsilon-greedy episode, unseen if possible."""
        from archwright.strategies._qnetwork import DeepAgent

        agent = self.state_of(history, lambda: DeepAgent(space, self))
        agent.learn(history)
        epsilon = exploration_at(len(history.complete), self.exploration, self.epsilon)
        return first_new(self._draws(agent, epsilon, rng), space, history, rng)

    def _draws(self, agent: DeepAgent, epsilon: float, rng: np.random.Generator) -> Iterator[Architecture]:
        """Iterate over epsilon-greedy episodes: one, then some with the epsilon given, then with more and more."""
        shares = [epsilon + (1 - epsilon) * max(0, number - 2) / _DRAWN for number in range(_DRAWN)]
        yield from agent.sample(shares[:1], rng)
        yield from agent.sample(shares[1:], rng)
