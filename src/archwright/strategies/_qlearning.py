"""Q-learning over layer-wise decisions."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias
from weakref import WeakKeyDictionary

import numpy as np

from archwright.space import Architecture, Decision, Space, Value
from archwright.strategies._actions import action_of, count_actions, value_of
from archwright.strategies._base import Strategy, check_counts, check_shares, register
from archwright.trials import History, Trial

__all__ = ["QLearning", "bellman"]

State: TypeAlias = tuple[str, Any]
Step: TypeAlias = tuple[State, int, State | None]  # where the agent was, what it did, where it came to (None: the end)
Values: TypeAlias = "defaultdict[State, dict[int, float]]"


def bellman(values: Values, step: Step, reward: float, *, rate: float, discount: float, initial: float) -> None:
    """Move the value of one action toward its reward and the best of what follows.

    Q(s, a) <- (1 - rate) Q(s, a) + rate (reward + discount max_b Q(s', b)): Watkins, "Learning from delayed rewards",
    1989.

    Args:
        values: Q by state and action; changed.
        step: The state, the action, and the next state.
        reward: What the step brought.
        rate: How far the value moves, above 0 and at most 1.
        discount: What the future counts, from 0 to 1.
        initial: The value of actions that were never taken.
    """
    state, action, following = step
    ahead = max(values[following].values(), default=initial) if following is not None else 0.0
    old = values[state].get(action, initial)
    values[state][action] = (1 - rate) * old + rate * (reward + discount * ahead)


@dataclass
class _Agent:
    """What has been learnt from the first `replayed` complete trials."""

    replayed: int = 0
    values: Values = field(default_factory=lambda: defaultdict(dict))
    memory: list[tuple[list[Step], float]] = field(default_factory=list)  # episodes with their scores
    low: float = 0.0
    high: float = 0.0


@register("q-learning")
@dataclass(frozen=True)
class QLearning(Strategy):
    """Q-learning (MetaQNN): learn what each decision is worth after the one before it, and take the best more and more.

    Baker, Gupta, Naik and Raskar, "Designing neural network architectures using reinforcement learning", ICLR 2017. An
    episode makes one decision after the other; the state is the decision that is due and the value taken just before
    it; all of the reward comes at the end, evenly divided over the steps (the paper's shaped rewards). Rewards are the
    scores brought to 0 and 1 between the lowest tenth and the best. After each trial `replay` episodes are drawn from
    memory, the new one first, and learnt from, last step first. A decision of many values or of a real number has
    twelve actions, each a part of its range.

    Args:
        exploration: Trials over which epsilon falls evenly from 1 (random) to `epsilon`; at least 1.
        epsilon: The share of random actions that stays, from 0 to 1.
        rate: The learning rate, from 0 to 1.
        discount: What the future counts, from 0 to 1; the paper's is 1.
        replay: Episodes learnt from after each trial, at least 1.

    Raises:
        StrategyError: A setting is out of range.
    """

    exploration: int = 80
    epsilon: float = 0.1
    rate: float = 0.1
    discount: float = 1.0
    replay: int = 16
    _agents: WeakKeyDictionary[History, _Agent] = field(
        default_factory=WeakKeyDictionary, init=False, repr=False, compare=False
    )

    def __post_init__(self) -> None:
        """Check the settings."""
        check_counts("q-learning", self, "exploration", "replay")
        check_shares("q-learning", self, "epsilon", "rate", "discount")

    def propose(self, space: Space, history: History, rng: np.random.Generator) -> Architecture:
        """Return the architecture of one epsilon-greedy episode; random where constraints refuse what it takes."""
        agent = self._agents.setdefault(history, _Agent())
        for trial in history.complete[agent.replayed :]:
            self._learn(agent, space, history, trial)
        epsilon = max(self.epsilon, 1 - len(history.complete) / self.exploration)
        last: list[Any] = [None]

        def rule(name: str, decision: Decision) -> Value:
            count = count_actions(decision)
            known = agent.values.get((name, last[0]), {})
            if rng.random() < epsilon or not known:
                action = int(rng.integers(count))
            else:
                best = max(known.values())
                ties = sorted(action for action, value in known.items() if value == best)
                action = ties[int(rng.integers(len(ties)))]
            value = value_of(decision, action, rng)
            last[0] = action
            return value

        for _ in range(10):
            last[0] = None
            architecture = space.decide(rule)
            if not space.where or architecture in space:
                return architecture
        return space.sample(rng)

    def _learn(self, agent: _Agent, space: Space, history: History, trial: Trial) -> None:
        steps = list(_steps(space, trial.architecture))
        score = history.score(trial)
        if steps:
            agent.memory.append((steps, score))
        agent.replayed += 1
        scores = np.sort([score for _, score in agent.memory])
        if not len(scores):
            return
        low, high = scores[len(scores) // 10], scores[-1]
        unit = (high - low) or 1.0
        rng = np.random.default_rng([trial.seed, 2])
        drawn = [len(agent.memory) - 1, *rng.integers(len(agent.memory), size=self.replay - 1).tolist()]
        for index in drawn:
            episode, worth = agent.memory[index]
            reward = min(1.0, max(0.0, (worth - low) / unit)) / len(episode)
            for step in reversed(episode):
                bellman(agent.values, step, reward, rate=self.rate, discount=self.discount, initial=0.5)


def _steps(space: Space, architecture: Architecture) -> Iterator[Step]:
    """Iterate over the steps of the episode that makes an architecture."""
    taken: Sequence[tuple[str, int]] = [
        (name, action_of(space.decisions[name], value)) for name, value in architecture.items()
    ]
    before: Any = None
    for place, (name, action) in enumerate(taken):
        following = (taken[place + 1][0], action) if place + 1 < len(taken) else None
        yield (name, before), action, following
        before = action
