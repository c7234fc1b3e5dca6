"""Q-learning over layer-wise decisions."""

from __future__ import annotations

from bisect import bisect_left, bisect_right, insort
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import ClassVar, TypeAlias

import numpy as np

from archwright._checks import check_counts, check_positive, check_shares, check_switches
from archwright.space import Architecture, Space
from archwright.strategies._base import Strategy, register
from archwright.strategies._earlier import earlier_histories
from archwright.strategies._episode import Episode, Move, first_new, moves
from archwright.trials import History, Trial

State: TypeAlias = tuple[int, ...]  # the step that is due, and the actions just before it
Visit: TypeAlias = tuple[State, int, State | None]  # where the agent was, what it did, where it came to (None: the end)
Values: TypeAlias = "defaultdict[State, dict[int, float]]"

_DRAWS = 16  # episodes drawn for a proposal until one is new; the later, the more random
_INITIAL = 0.5  # what an action is worth that was never taken; the paper's
_AVERAGING = 0.1  # the learning rate of what decisions are worth on the average
_AVERAGED = 16  # episodes that those averages learn from after each trial


def bellman(values: Values, visit: Visit, reward: float, *, rate: float, discount: float = 1.0) -> None:
    """Move the value of one action toward its reward and the best of what follows.

    Q(s, a) <- (1 - rate) Q(s, a) + rate (reward + discount max_b Q(s', b)): Watkins, "Learning from delayed rewards",
    1989. An action that was never taken is worth 0.5, and is not looked at for the best of what follows where another
    was taken.
    """
    state, action, following = visit
    ahead = max(values[following].values(), default=_INITIAL) if following is not None else 0.0
    old = values[state].get(action, _INITIAL)
    values[state][action] = (1 - rate) * old + rate * (reward + discount * ahead)


def exploration_at(trials: int, exploration: int, least: float) -> float:
    """Return epsilon, the share of random actions: over so many complete trials it falls evenly from 1 toward 0."""
    return max(least, 1.0 - trials / exploration)


def standing(ladder: Sequence[float], score: float) -> float:
    """Return the share of sorted scores that a score beats, and half of those it equals."""
    return (bisect_left(ladder, score) + bisect_right(ladder, score)) / (2 * len(ladder))


def visits(path: Sequence[Move], context: int | None) -> list[Visit]:
    """Return the states that an episode goes through, to which so many actions before the step belong (None: all)."""
    states = [_state(path[:place], move.step.number, context) for place, move in enumerate(path)]
    following = [*states[1:], None]
    return [(state, move.action, after) for state, move, after in zip(states, path, following, strict=False)]


@dataclass
class _Agent:
    """What has been learnt from the first `replayed` complete trials."""

    replayed: int = 0
    is_ready: bool = False  # whether it has learnt from earlier runs
    values: Values = field(default_factory=lambda: defaultdict(dict))
    averages: Values = field(default_factory=lambda: defaultdict(dict))  # by the step alone, from shaped rewards
    memory: list[tuple[list[Visit], float]] = field(default_factory=list)  # episodes with their scores
    ladder: list[float] = field(default_factory=list)  # the scores in order

    def episode(self, index: int) -> tuple[list[Visit], float]:
        """Return an episode of the memory, and its reward now."""
        episode, score = self.memory[index]
        return episode, standing(self.ladder, score)


@register("q-learning")
@dataclass(frozen=True)
class QLearning(Strategy):
    """Q-learning (MetaQNN): tabular action values, epsilon-greedy with decreasing epsilon.

    Baker, Gupta, Naik and Raskar, "Designing neural network architectures using reinforcement learning", ICLR 2017. The
    update is Q(s, a) ← (1 - rate) Q(s, a) + rate (reward + discount × max Q(s', .)). An episode makes one decision
    after the other; the reward is given with the last one. After each trial `replay` episodes are replayed, last step
    first: random ones from memory without replacement, then the new one. The reward is the share of trials that an
    architecture beats, and half of those it equals, which makes it independent of the metric's scale.

    The state is the next decision and all those before it. Then Q-learning converges to the solution of Bellman's
    optimality equation, and since an architecture has one score, a learning rate of 1 is fastest. Most states of a
    large space are visited once at most. Therefore a greedy step in a new state takes the action with the best mean
    value over all states; afterwards the values of the state itself are used.

    With a number as `context` the state is the next decision and that many actions before it; 1 in the paper. Such a
    state is not Markovian: values are averages, which need a lower learning rate. With `shaped` the reward is divided
    evenly over the steps, as in the paper. Long ranges and reals have twelve actions, one for each part of the range.

    Args:
        exploration: Number of trials over which epsilon, the share of random actions, falls linearly from 1 towards 0;
            at least 1.
        epsilon: The minimum of epsilon, from 0 to 1.
        rate: The learning rate, above 0 and at most 1.
        discount: The discount factor, from 0 to 1; 1 in the paper.
        replay: Episodes replayed after each trial, at least 1; 100 in the paper.
        context: Number of previous actions in the state, at least 0; `None` for all.
        shaped: Whether the reward is divided over the steps.

    Raises:
        StrategyError: A setting is out of range.

    Example:
        >>> study = aw.Study(aw.Space(x=aw.integer(0, 63)), strategy=aw.strategies.QLearning(exploration=10))
        >>> study = study.run(lambda candidate: -abs(candidate.settings["x"] - 40), aw.Budget(trials=30))
        >>> study.best.trial.architecture["x"]
        40
    """

    recursive: ClassVar[bool] = False

    exploration: int = 60
    epsilon: float = 0.1
    rate: float = 1.0
    discount: float = 1.0
    replay: int = 100
    context: int | None = None
    shaped: bool = False

    def __post_init__(self) -> None:
        check_counts(self, "exploration", "replay")
        check_shares(self, "epsilon", "discount")
        check_positive(self, "rate", most=1)
        if self.context is not None:
            check_counts(self, "context", least=0)
        check_switches(self, "shaped")

    def propose(self, space: Space, history: History, rng: np.random.Generator) -> Architecture:
        """Return the architecture of an epsilon-greedy episode, unseen if possible."""
        agent = self.state_of(history, _Agent)
        if not agent.is_ready:
            agent.is_ready = True
            for earlier in earlier_histories(history):
                for trial in earlier.complete:
                    self._learn(agent, space, earlier, trial)
                agent.memory, agent.ladder, agent.replayed = [], [], 0
        for trial in history.complete[agent.replayed :]:
            self._learn(agent, space, history, trial)
        epsilon = exploration_at(len(history.complete), self.exploration, self.epsilon)
        return first_new(self._draws(agent, epsilon, space, rng), space, history, rng)

    def _draws(self, agent: _Agent, epsilon: float, space: Space, rng: np.random.Generator) -> Iterator[Architecture]:
        """Iterate over epsilon-greedy episodes, the first few with the epsilon given, then with more and more."""
        for number in range(_DRAWS):
            share = epsilon + (1 - epsilon) * max(0, number - 3) / _DRAWS
            episode = Episode(space)
            while episode.due is not None:
                known = self._known(agent, episode.moves, episode.due.number)
                if known is None or rng.random() < share:
                    episode.take(episode.draw(rng), rng)
                else:
                    best = _best(known)
                    episode.take(best[int(rng.integers(len(best)))], rng)
            yield episode.architecture

    def _known(self, agent: _Agent, path: Sequence[Move], due: int) -> dict[int, float] | None:
        """Return what actions are worth, by which a greedy step goes; None where nothing is known."""
        known = agent.values.get(_state(path, due, self.context))
        average = agent.averages.get((due,)) if self.context is None else None
        if average is None or (known is not None and known.keys() >= set(_best(average))):
            return known
        return average

    def _learn(self, agent: _Agent, space: Space, history: History, trial: Trial) -> None:
        score = history.score(trial)
        agent.memory.append((visits(moves(space, trial.architecture), self.context), score))
        insort(agent.ladder, score)
        agent.replayed += 1
        rng = np.random.default_rng([trial.seed, 2])
        last = len(agent.memory) - 1
        rounds = -(-(self.replay - 1) // (last + 1))
        drawn = [index for _ in range(rounds) for index in rng.permutation(last + 1).tolist()]
        for index in (*drawn[: self.replay - 1], last):
            episode, total = agent.episode(index)
            for visit in reversed(episode):
                reward = total / len(episode) if self.shaped else total if visit[2] is None else 0.0
                bellman(agent.values, visit, reward, rate=self.rate, discount=self.discount)
        if self.context is None:
            for index in (last, *rng.integers(last + 1, size=_AVERAGED - 1).tolist()):
                episode, total = agent.episode(index)
                for state, action, after in reversed(episode):
                    alone = state[:1], action, None if after is None else after[:1]
                    bellman(agent.averages, alone, total / len(episode), rate=_AVERAGING)


def _best(values: dict[int, float]) -> list[int]:
    """Return the actions that are worth most, in order."""
    most = max(values.values())
    return sorted(action for action, value in values.items() if value == most)


def _state(path: Sequence[Move], due: int, context: int | None) -> State:
    return (due, *(move.action for move in path[0 if context is None else max(0, len(path) - context) :]))
