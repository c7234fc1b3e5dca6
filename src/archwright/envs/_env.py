"""A search as an environment. Importing this loads gymnasium."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, Literal, get_args

import gymnasium
import numpy as np
from gymnasium.envs.registration import EnvSpec
from numpy.typing import NDArray

from archwright.envs._evaluations import Evaluations
from archwright.envs._reward import Reward
from archwright.errors import ArchitectureError, StrategyError
from archwright.evaluate import Candidate, Evaluator
from archwright.space import Space
from archwright.strategies import Episode, episode_layout
from archwright.trials import Trial

__all__ = ["Invalid", "SearchEnv", "check_invalid"]

Invalid = Literal["wrap", "end"]


class SearchEnv(gymnasium.Env[NDArray[np.float32], np.int64]):
    """A search as a `gymnasium.Env`: an episode makes an architecture, and its end brings what that is worth.

    Each step makes one decision (of a large subset, one option); decisions that an architecture has no use for are not
    asked, so episodes differ in length. With the last one the architecture is evaluated: the reward follows from its
    metrics, `terminated` is true, and the info holds "architecture", "metrics", and "error" where it failed. All
    rewards before are 0, so an agent should not discount.

    An observation is a flat box in [0, 1]: the vector of the decisions made (`Space.encode`; zeros for the others),
    then a 1 for each decision that is made, then a 1 for the step that is due. An action is the number of a value; of a
    decision with many ordered values, or of a real number, it is that of a twelfth of the range, and the value is drawn
    from there. The action space is as large as the decision with the most actions needs. Which of them the decision
    that is due has stands in the info as "action_mask" (int8, as gymnasium's spaces take it to sample), and in
    `action_masks()`, where agents that can be masked look for it.

    Args:
        space: The space. Its constraints are asked at the end; an architecture that violates them is not evaluated.
        evaluator: What measures an architecture: an `Evaluator`, or a function `f(candidate) -> float | dict`.
        reward: What metrics are worth: a `Reward`, or a function of them. The evaluator's objective when not given.
        seed: All that is random in the environment follows from it, until `reset` is given another: the values drawn,
            and the seeds of the evaluations.
        invalid: What becomes of an action that the due decision does not have. "wrap": it counts from the first again,
            so that any agent makes architectures; "end": the episode ends with the worst reward, so that an agent
            learns not to.
        worst: The reward of an architecture that violates constraints, whose evaluation fails, or whose reward is NaN
            or infinite. Rewards below it are raised to it, so nothing is worse. When not given: -1, or the lowest
            reward measured so far where that is lower.
        cache: Whether an architecture that was evaluated before has its result from then.

    Attributes:
        history: What has been evaluated, as trials that hold the "reward" among their metrics.
        best: The best trial so far, by reward; `None` while nothing has been measured.
        due: The name of the decision that is due; `None` where no episode is under way.

    Raises:
        SpaceError: The space leaves nothing to decide, or has parts that the evaluator does not understand.
        ShapeError: The space's networks do not fit the evaluator's data.
        EvaluationError: The evaluator is none.
        StrategyError: A setting is out of range.
    """

    metadata: dict[str, Any] = {"render_modes": []}  # noqa: RUF012 - gymnasium wants it so

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
        check_invalid(invalid)
        self.space = space
        self.invalid, self.worst, self.cache = invalid, worst, cache
        self._evaluations = Evaluations(space, evaluator, reward=reward, worst=worst, cache=cache)
        self.evaluator, self.history = self._evaluations.evaluator, self._evaluations.history
        layout = episode_layout(space)
        self.observation_space = gymnasium.spaces.Box(0.0, 1.0, (layout.length,), np.float32)
        self.action_space = gymnasium.spaces.Discrete(layout.most)
        self._most = layout.most
        again = partial(
            type(self), space, evaluator, reward=reward, seed=seed, invalid=invalid, worst=worst, cache=cache
        )
        self.spec = EnvSpec("archwright/Search-v0", entry_point=again)
        self._episode: Episode | None = None
        super().reset(seed=seed)

    @property
    def best(self) -> Trial | None:
        """The best trial so far."""
        return self.history.best

    @property
    def due(self) -> str | None:
        """The name of the decision that is due."""
        return None if self._episode is None or self._episode.due is None else self._episode.due.name

    def action_masks(self) -> NDArray[np.bool_]:
        """Return for each action whether the decision that is due has it; none at the end of an episode."""
        mask = np.zeros(self._most, dtype=np.bool_)
        if self._episode is not None:
            mask[: len(self._episode.weights)] = self._episode.weights > 0
        return mask

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[NDArray[np.float32], dict[str, Any]]:
        """Begin an architecture.

        Args:
            seed: What all randomness follows from now on; as it was going when not given.
            options: Not used.

        Returns:
            The observation, and the info with the "action_mask".
        """
        super().reset(seed=seed)
        self._episode = Episode(self.space)
        return self._episode.observe(), self._info()

    def step(self, action: np.int64 | int) -> tuple[NDArray[np.float32], float, bool, bool, dict[str, Any]]:
        """Make the decision that is due.

        Args:
            action: A number from 0; see the class for what it stands for.

        Returns:
            The observation, the reward, whether the episode has ended, False, and the info: always the "action_mask";
            "invalid_action" where the decision did not have the action; at the end "architecture", "metrics", and
            "error" where the evaluation failed or a constraint is violated.

        Raises:
            ResetNeeded: No episode is under way (`gymnasium.error`).
            ArchitectureError: The action is not in the action space.
        """
        episode, chosen = self._episode, int(action)
        if episode is None or episode.due is None:
            raise gymnasium.error.ResetNeeded("no episode is under way: call reset() first")
        if not 0 <= chosen < self._most:
            raise ArchitectureError(f"an action must be a number from 0 to {self._most - 1}, not {action!r}")
        told: dict[str, Any] = {}
        if chosen >= episode.due.count:
            told["invalid_action"] = True
            if self.invalid == "end":
                self._episode = None
                return episode.observe(), self._evaluations.failure, True, False, self._info() | told
            chosen %= episode.due.count
        episode.take(chosen, self.np_random)
        if self.due is not None:
            return episode.observe(), 0.0, False, False, self._info() | told
        trial = self._evaluations.of(episode.architecture, int(self.np_random.integers(2**31)))
        told |= {"architecture": trial.architecture, "metrics": dict(trial.metrics)}
        if trial.error is not None:
            told["error"] = trial.cause
        return episode.observe(), self._evaluations.value(trial), True, False, self._info() | told

    def _info(self) -> dict[str, Any]:
        return {"action_mask": self.action_masks().astype(np.int8)}


def check_invalid(invalid: str) -> None:
    """Refuse what is no way to deal with actions that there are not."""
    if invalid not in get_args(Invalid):
        raise StrategyError(f"invalid must be one of {', '.join(map(repr, get_args(Invalid)))}, not {invalid!r}")
