"""The environment whose steps make the decisions of an architecture. Importing this loads gymnasium."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import gymnasium
import numpy as np
from numpy.typing import NDArray

from archwright.envs._base import Environment, Invalid
from archwright.envs._reward import Reward
from archwright.evaluate import Candidate, Evaluator
from archwright.space import Space
from archwright.strategies import Episode, episode_layout


class SearchEnv(Environment):
    """A `gymnasium.Env` in which an episode makes the decisions of an architecture, rewarded at its end.

    Each step makes one decision (of a large subset, one option); inactive decisions are skipped, so episodes differ in
    length. After the last one the architecture is evaluated: the reward is computed from its metrics, `terminated` is
    true, and the info holds "architecture", "metrics", and "error" if it failed. All other rewards are 0, so an agent
    should not discount.

    An observation is a flat box in [0, 1]: the vector of the decisions made (`Space.encode`; zeros for the others), an
    indicator of these decisions, and a one-hot encoding of the next step. An action is the index of a value; for long
    ranges and reals that of a twelfth of the range, from which the value is drawn. The size of the action space is that
    of the decision with the most actions. The valid actions are in the info as "action_mask" (int8, for the `sample` of
    gymnasium's spaces), and in `action_masks()`, for agents with action masking.

    Args:
        space: The space. Architectures that violate its constraints are not evaluated.
        evaluator: An `Evaluator`, or a function `f(candidate) -> float | dict`.
        reward: A `Reward`, or a function of the metrics; by default the evaluator's objective.
        seed: The random seed of drawn values and evaluations, until `reset` gets another one.
        invalid: The treatment of invalid actions. "wrap": the index is taken modulo the number of valid actions; "end":
            the episode ends with the worst reward.
        worst: The reward of an architecture that violates constraints, whose evaluation fails, or whose reward is NaN
            or infinite. Lower rewards are raised to it. By default the lowest reward so far, at most -1.
        cache: Whether results of evaluated architectures are reused.

    Attributes:
        history: The evaluations as trials, with the metric "reward".
        best: The trial with the highest reward so far, or `None`.
        due: The name of the next decision; `None` outside an episode.

    Raises:
        SpaceError: The space has no decisions, or has parts that the evaluator does not support.
        ShapeError: The space's networks do not fit the evaluator's data.
        EvaluationError: The evaluator is neither an `Evaluator` nor a function.
        StrategyError: A setting is out of range.

    Example:
        >>> space = aw.Space(x=aw.choice(0, 5), y=aw.choice(0, 1))
        >>> env = aw.envs.SearchEnv(space, lambda candidate: candidate.settings["x"] + candidate.settings["y"])
        >>> observation, info = env.reset(seed=0)
        >>> env.due, [env.step(action)[1] for action in (1, 0)], env.best.architecture["x"]
        ('x', [0.0, 5.0], 5)
    """

    form = "Search"

    def __init__(
        self,
        space: Space,
        evaluator: Evaluator | Callable[[Candidate], Any],
        *,
        reward: Reward | Callable[[Mapping[str, float]], float] | None = None,
        seed: int | None = None,
        invalid: Invalid = "wrap",
        worst: float | None = None,
        cache: bool = False,
    ) -> None:
        super().__init__(space, evaluator, reward=reward, seed=seed, invalid=invalid, worst=worst, cache=cache)
        layout = episode_layout(space)
        self.observation_space = gymnasium.spaces.Box(0.0, 1.0, (layout.length,), np.float32)
        self.action_space = gymnasium.spaces.Discrete(layout.most)
        self._most = layout.most
        self._episode: Episode | None = None

    @property
    def due(self) -> str | None:
        """The name of the next decision."""
        return None if self._episode is None or self._episode.due is None else self._episode.due.name

    def action_masks(self) -> NDArray[np.bool_]:
        """Return the mask of valid actions of the next decision; all false at the end of an episode."""
        mask = np.zeros(self._most, dtype=np.bool_)
        if self._episode is not None:
            mask[: len(self._episode.weights)] = self._episode.weights > 0
        return mask

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[NDArray[np.float32], dict[str, Any]]:
        """Start an episode.

        Args:
            seed: A new random seed; by default the generator is continued.
            options: Not used.

        Returns:
            The observation, and the info with the "action_mask".
        """
        super().reset(seed=seed)
        self._episode = Episode(self.space)
        return self._episode.observe(), self._info()

    def step(self, action: np.int64 | int) -> tuple[NDArray[np.float32], float, bool, bool, dict[str, Any]]:
        """Make the next decision.

        Args:
            action: The index of an action, from 0: see the class.

        Returns:
            The observation, the reward, whether the episode has ended, False, and the info: always the "action_mask";
            "invalid_action" if the action was invalid; at the end "architecture", "metrics", and "error" if the
            evaluation failed or a constraint is violated.

        Raises:
            ResetNeeded: No episode is under way (`gymnasium.error`).
            ArchitectureError: The action is not in the action space.
        """
        chosen = self._number(action, under_way=self.due is not None)
        episode, told = self._episode, dict[str, Any]()
        assert episode is not None
        assert episode.due is not None
        if chosen >= episode.due.count:
            told["invalid_action"] = True
            if self.invalid == "end":
                self._episode = None
                return episode.observe(), self._failure, True, False, self._info() | told
            chosen %= episode.due.count
        episode.take(chosen, self.np_random)
        if self.due is not None:
            return episode.observe(), 0.0, False, False, self._info() | told
        trial = self._evaluated(episode.architecture)
        return episode.observe(), self._value(trial), True, False, self._info(trial) | told
