"""Episodes: the decisions of an architecture step by step."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from archwright.errors import SpaceError
from archwright.space import Architecture, Decision, Space, Value, walk
from archwright.strategies._actions import Actions
from archwright.strategies._pool import everything
from archwright.trials import History


@dataclass(frozen=True, slots=True)
class Step:
    """What an episode asks for: a decision, or one option of a large subset."""

    number: int  # its place among all steps of the space
    first: int  # the place of its first action among all actions of all steps
    count: int  # how many actions it has
    name: str  # of the decision
    option: int  # which option of a large subset; 0 for any other decision


@dataclass(frozen=True, slots=True)
class Move:
    """A step, and what was done in it."""

    step: Step
    action: int  # the action taken, from 0
    weights: NDArray[np.float64]  # (count,) the probabilities of the actions in a uniform draw; 0 is not allowed


class Layout:
    """The steps and actions of a space, numbered.

    Args:
        space: The space.

    Attributes:
        steps: All steps, by number.
        total: How many actions they have together.
        most: How many actions the largest has; 1 where there is none.
        length: Of the vector that `Episode.observe` returns.
    """

    def __init__(self, space: Space) -> None:
        if space.is_recursive:
            raise SpaceError("an episode takes a decision of a list at a time, and a recursive space has none")
        self.actions = {name: Actions(decision) for name, decision in space.decisions.items()}
        self.steps: list[Step] = []
        self.index = {name: index for index, name in enumerate(self.actions)}
        self.opening = frozenset(name for name, decision in space.decisions.items() if _opens(decision))
        self.place: dict[str, int] = {}  # of a decision's first step
        self.slots: dict[str, slice] = {}
        self.total, width = 0, 0
        for name, actions in self.actions.items():
            self.place[name] = len(self.steps)
            self.slots[name] = slice(width, width + actions.decision.width)
            width += actions.decision.width
            for option in range(actions.steps):
                self.steps.append(Step(len(self.steps), self.total, actions.count, name, option))
                self.total += actions.count
        self.most = max((step.count for step in self.steps), default=1)
        self.width = width
        self.length = width + len(self.actions) + len(self.steps)
        self._following: dict[tuple[str | None, tuple[Value, ...]], str | None] = {}

    def following(self, space: Space, values: dict[str, Value], branch: tuple[Value, ...]) -> str | None:
        """Return the decision that is due after others; `None` where all are made.

        Args:
            space: The space of the layout.
            values: The decisions made so far, in order.
            branch: The values of those that open others, on which alone it depends what follows the last.
        """
        key = (next(reversed(values), None), branch)
        if key not in self._following:
            self._following[key] = _due(space, values)
        return self._following[key]


def episode_layout(space: Space) -> Layout:
    """Return the numbering of the steps and actions of a space; it is computed once.

    Example:
        >>> layout = aw.strategies.episode_layout(aw.Space(x=aw.choice("a", "b"), y=aw.choice("c", "d")))
        >>> len(layout.steps)
        2
    """
    if "episode" not in space.memo:
        space.memo["episode"] = Layout(space)
    layout: Layout = space.memo["episode"]
    return layout


class Episode:
    """An architecture that is built decision by decision, each in one or several steps.

    Steps with a single allowed action are taken automatically.

    Args:
        space: The space.
        follow: An architecture of the space that gives the values that an action does not determine.

    Attributes:
        due: The next step; `None` at the end.
        weights: (count,) probabilities of the actions of that step under uniform sampling; 0 for actions that are not
            allowed. Empty at the end.
        moves: The steps and actions so far.
        values: The decisions made so far, in order.

    Example:
        >>> episode = aw.strategies.Episode(aw.Space(x=aw.choice("a", "b"), y=aw.choice("c", "d")))
        >>> for action in (1, 0):
        ...     episode.take(action)
        >>> episode.due, dict(episode.architecture)
        (None, {'x': 'b', 'y': 'c'})
    """

    def __init__(self, space: Space, follow: Architecture | None = None) -> None:
        self.space = space
        self.layout = episode_layout(space)
        self.due: Step | None = None
        self.weights: NDArray[np.float64] = np.zeros(0)
        self.moves: list[Move] = []
        self.values: dict[str, Value] = {}
        self._follow = follow
        self._vector = np.zeros(self.layout.length, dtype=np.float32)
        self._branch: tuple[Value, ...] = ()
        self._name: str | None = None  # the decision that is due
        self._taken: tuple[int, ...] = ()  # the actions taken for it so far
        self._ask(None)

    def take(self, action: int, rng: np.random.Generator | None = None) -> None:
        """Take an allowed action of the next step.

        Args:
            action: From 0.
            rng: The generator of a value from an action's range; without it the middle value is taken.
        """
        assert self.due is not None, "the episode is over"
        self.moves.append(Move(self.due, action, self.weights))
        self._do(action, rng)
        self._ask(rng)

    def draw(self, rng: np.random.Generator) -> int:
        """Return an action of the next step, sampled as in a uniform sample of an architecture."""
        if len(self.weights) == 2:  # the options of large subsets, which alone are not equally likely, among them
            return int(rng.random() >= self.weights[0])
        return int(rng.integers(len(self.weights)))

    @property
    def architecture(self) -> Architecture:
        """The decisions so far; at the end an architecture of the space, not checked against constraints."""
        return Architecture(self.values)

    def observe(self) -> NDArray[np.float32]:
        """Return the observation, (length,) numbers in [0, 1].

        The vector of the decisions made (`Space.encode`; zeros for the others), then an indicator of these decisions,
        then a one-hot encoding of the next step.
        """
        seen = self._vector.copy()
        if self.due is not None:
            seen[self.layout.width + len(self.layout.actions) + self.due.number] = 1.0
        return seen

    def _ask(self, rng: np.random.Generator | None) -> None:
        """Go on to the next step that leaves a choice."""
        layout = self.layout
        while True:
            if not self._taken:
                self._name = layout.following(self.space, self.values, self._branch)
            if self._name is None:
                self.due, self.weights = None, np.zeros(0)
                return
            weights = layout.actions[self._name].weights(self._taken)
            if np.count_nonzero(weights) > 1:
                self.due, self.weights = layout.steps[layout.place[self._name] + len(self._taken)], weights
                return
            self._do(int(weights.argmax()), rng)

    def _do(self, action: int, rng: np.random.Generator | None) -> None:
        assert self._name is not None
        layout, name, option = self.layout, self._name, len(self._taken)
        actions, slots = layout.actions[name], layout.slots[name]
        self._taken += (action,)
        if len(self._taken) < actions.steps:
            self._vector[slots.start + option] = action
            return
        value = actions.value(self._taken, rng) if self._follow is None else self._follow[name]
        self.values[name] = value
        self._vector[slots] = actions.decision.encode(value)
        self._vector[layout.width + layout.index[name]] = 1.0
        if name in layout.opening:
            self._branch += (value,)
        self._taken = ()


def retrace(space: Space, architecture: Architecture) -> Iterator[tuple[Episode, int]]:
    """Iterate over the episode that makes an architecture, as it is before each step, and the action taken there."""
    episode = Episode(space, architecture)
    taken: dict[str, tuple[int, ...]] = {}
    while (step := episode.due) is not None:
        if step.name not in taken:
            taken[step.name] = episode.layout.actions[step.name].taken(architecture[step.name])
        action = taken[step.name][step.option]
        yield episode, action
        episode.take(action)


def moves(space: Space, architecture: Architecture) -> list[Move]:
    """Return the moves of the episode that makes an architecture."""
    return [
        Move(episode.due, action, episode.weights) for episode, action in retrace(space, architecture) if episode.due
    ]


def first_new(
    candidates: Iterable[Architecture], space: Space, history: History, rng: np.random.Generator
) -> Architecture:
    """Return the first candidate that is in the space and was not proposed before.

    Where there is none, one that was not proposed before is drawn from a small space, and anything from a large one.
    """
    for architecture in candidates:
        if not history.seen(architecture) and (not space.where or architecture in space):
            return architecture
    left = [architecture for architecture in everything(space) or () if not history.seen(architecture)]
    return left[int(rng.integers(len(left)))] if left else space.sample(rng)


def _due(space: Space, values: Mapping[str, Value]) -> str | None:
    """Return the first decision, in order, that is not among those made."""

    def rule(name: str, _: Decision) -> Value:
        if name not in values:
            raise _Due(name)
        return values[name]

    try:
        space.decide(rule)
    except _Due as due:
        return str(due)
    return None


class _Due(Exception):
    """Ends a walk through a space at the first decision that has not been made."""


def _opens(decision: Decision) -> bool:
    """Tell whether values of a decision bring other decisions to life."""
    return any(isinstance(part, Decision) for part in walk(list(decision.branches)))
