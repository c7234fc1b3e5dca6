"""Q-learning over layer-wise decisions."""

from __future__ import annotations

from bisect import bisect_left, bisect_right, insort
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias
from weakref import WeakKeyDictionary

import numpy as np

from archwright.errors import StrategyError
from archwright.space import Architecture, Space
from archwright.strategies._base import Strategy, check_counts, check_shares, register
from archwright.strategies._episode import Episode, Move, first_new, moves
from archwright.trials import History, Trial

__all__ = ["QLearning", "Values", "Visit", "bellman", "exploration_at", "visits"]

State: TypeAlias = tuple[int, ...]  # the step that is due, and the actions just before it
Visit: TypeAlias = tuple[State, int, State | None]  # where the agent was, what it did, where it came to (None: the end)
Values: TypeAlias = "defaultdict[State, dict[int, float]]"

_DRAWS = 16  # episodes drawn for a proposal until one is new; the later, the more random
_INITIAL = 0.5  # what an action is worth that was never taken; the paper's


def bellman(values: Values, visit: Visit, reward: float, *, rate: float, discount: float = 1.0) -> None:
    """Move the value of one action toward its reward and the best of what follows.

    Q(s, a) <- (1 - rate) Q(s, a) + rate (reward + discount max_b Q(s', b)): Watkins, "Learning from delayed rewards",
    1989. An action that was never taken is worth 0.5, and is not looked at for the best of what follows where another
    was taken.

    Args:
        values: Q by state and action; changed.
        visit: The state, the action, and the next state.
        reward: What the step brought.
        rate: How far the value moves, above 0 and at most 1.
        discount: What the future counts, from 0 to 1.
    """
    state, action, following = visit
    ahead = max(values[following].values(), default=_INITIAL) if following is not None else 0.0
    old = values[state].get(action, _INITIAL)
    values[state][action] = (1 - rate) * old + rate * (reward + discount * ahead)


def exploration_at(trials: int, exploration: int, least: float) -> float:
    """Return epsilon, the share of random actions, after so many complete trials.

    It falls evenly from 1 to `least` and stays there.

    Args:
        trials: How many trials are complete.
        exploration: After how many it would reach 0, were it not for `least`.
        least: Where it stays.
    """
    return max(least, 1.0 - trials / exploration)


def visits(path: Sequence[Move], context: int) -> list[Visit]:
    """Return the states that an episode goes through.

    Args:
        path: The moves of the episode.
        context: How many actions before the step that is due belong to a state.
    """
    states = [_state(path[:place], move.step.number, context) for place, move in enumerate(path)]
    following = [*states[1:], None]
    return [(state, move.action, after) for state, move, after in zip(states, path, following, strict=False)]


@dataclass
class _Agent:
    """What has been learnt from the first `replayed` complete trials."""

    replayed: int = 0
    values: Values = field(default_factory=lambda: defaultdict(dict))
    memory: list[tuple[list[Visit], float]] = field(default_factory=list)  # episodes with their scores
    ladder: list[float] = field(default_factory=list)  # the scores in order


@register("q-learning")
@dataclass(frozen=True)
class QLearning(Strategy):
    """Q-learning (MetaQNN): learn in a table what each decision is worth, and take the best one more and more often.

    Baker, Gupta, Naik and Raskar, "Designing neural network architectures using reinforcement learning", ICLR 2017. An
    episode makes one decision after the other; all of the reward comes at the end, evenly divided over the steps (the
    paper's shaped rewards). After each trial `replay` episodes are drawn from memory, the new one first, and learnt
    from, last step first. The reward is the share of trials that an architecture beats, and half of those it equals, at
    the time of learning: so it means the same for every metric and scale.

    The state is the decision that is due, with the `context` actions just before it. The paper has 1, the layer before,
    and thousands of trials; without any a decision is judged by all trials that it was made in, which is the better
    choice for some hundred. Where one decision opens another, what was chosen is in the name of the one that is due.
    A decision of many values or of a real number has an action for each of twelve parts of its range.

    Args:
        exploration: Trials over which epsilon, the share of random actions, falls evenly from 1 toward 0; at least 1.
        epsilon: Where it stops, from 0 to 1.
        rate: The learning rate, above 0 and at most 1.
        discount: What the future counts, from 0 to 1; the paper's is 1.
        replay: Episodes learnt from after each trial, at least 1.
        context: How many actions before the one that is due belong to the state, at least 0.

    Raises:
        StrategyError: A setting is out of range.
    """

    exploration: int = 60
    epsilon: float = 0.1
    rate: float = 0.1
    discount: float = 1.0
    replay: int = 16
    context: int = 0
    _agents: WeakKeyDictionary[History, _Agent] = field(
        default_factory=WeakKeyDictionary, init=False, repr=False, compare=False
    )

    def __post_init__(self) -> None:
        """Check the settings."""
        check_counts("q-learning", self, "exploration", "replay")
        check_shares("q-learning", self, "epsilon", "rate", "discount")
        if not self.rate:
            raise StrategyError("q-learning: rate is a number above 0 and at most 1; with 0 nothing is learnt")
        if type(self.context) is not int or self.context < 0:
            raise StrategyError(f"q-learning: context is an integer of 0 or more, not {self.context!r}")

    def propose(self, space: Space, history: History, rng: np.random.Generator) -> Architecture:
        """Return the architecture of an epsilon-greedy episode, a new one where there is one."""
        agent = self._agents.setdefault(history, _Agent())
        for trial in history.complete[agent.replayed :]:
            self._learn(agent, space, history, trial)
        epsilon = exploration_at(len(history.complete), self.exploration, self.epsilon)
        return first_new(self._draws(agent.values, epsilon, space, rng), space, history, rng)

    def _draws(self, values: Values, epsilon: float, space: Space, rng: np.random.Generator) -> Iterator[Architecture]:
        """Iterate over epsilon-greedy episodes, the first few with the epsilon given, then with more and more."""
        for number in range(_DRAWS):
            share = epsilon + (1 - epsilon) * max(0, number - 3) / _DRAWS
            episode = Episode(space)
            while episode.due is not None:
                known = values.get(_state(episode.moves, episode.due.number, self.context))
                if known is None or rng.random() < share:
                    episode.take(episode.draw(rng), rng)
                else:
                    best = max(known.values())
                    ties = sorted(action for action, value in known.items() if value == best)
                    episode.take(ties[int(rng.integers(len(ties)))], rng)
            yield episode.architecture

    def _learn(self, agent: _Agent, space: Space, history: History, trial: Trial) -> None:
        score = history.score(trial)
        agent.memory.append((visits(moves(space, trial.architecture), self.context), score))
        insort(agent.ladder, score)
        agent.replayed += 1
        rng = np.random.default_rng([trial.seed, 2])
        last = len(agent.memory) - 1
        for index in (last, *rng.integers(last + 1, size=self.replay - 1).tolist()):
            episode, score = agent.memory[index]
            beaten = bisect_left(agent.ladder, score) + bisect_right(agent.ladder, score)
            for visit in reversed(episode):
                reward = beaten / (2 * len(agent.ladder) * len(episode))
                bellman(agent.values, visit, reward, rate=self.rate, discount=self.discount)


def _state(path: Sequence[Move], due: int, context: int) -> State:
    return (due, *(move.action for move in path[max(0, len(path) - context) :]))
