"""A search as an environment. Importing this loads gymnasium."""

from __future__ import annotations

import math
import time
import traceback
import warnings
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from typing import Any, Literal, get_args

import gymnasium
import numpy as np
from gymnasium.envs.registration import EnvSpec
from numpy.typing import NDArray

from archwright.envs._reward import Reward
from archwright.errors import ArchitectureError, SpaceError, StrategyError
from archwright.evaluate import Candidate, Evaluator, as_evaluator, check_metrics
from archwright.space import Architecture, Space
from archwright.strategies._episode import Episode, layout_of
from archwright.trials import History, Objective, Trial

__all__ = ["Invalid", "SearchEnv"]

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
        self.space = space
        self.evaluator = as_evaluator(evaluator)
        _check(space, self.evaluator)
        if invalid not in get_args(Invalid):
            raise StrategyError(f"invalid is one of {', '.join(map(repr, get_args(Invalid)))}, not {invalid!r}")
        if worst is not None and not math.isfinite(worst):
            raise StrategyError(f"worst is a finite number, not {worst!r}")
        self.reward = Objective.parse(self.evaluator.objective).score if reward is None else reward
        self.invalid = invalid
        self.worst = worst
        self.cache = cache
        self.history = History(Objective("reward"))
        layout = layout_of(space)
        self.observation_space = gymnasium.spaces.Box(0.0, 1.0, (layout.length,), np.float32)
        self.action_space = gymnasium.spaces.Discrete(layout.most)
        self._most = layout.most
        self._lowest = -1.0
        again = partial(
            type(self), space, evaluator, reward=reward, seed=seed, invalid=invalid, worst=worst, cache=cache
        )
        self.spec = EnvSpec("archwright/Search-v0", entry_point=again)
        self._episode: Episode | None = None
        self._known: dict[Architecture, Trial] = {}
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
            raise ArchitectureError(f"an action is a number from 0 to {self._most - 1}, not {action!r}")
        told: dict[str, Any] = {}
        if chosen >= episode.due.count:
            told["invalid_action"] = True
            if self.invalid == "end":
                self._episode = None
                return episode.observe(), self._failure(), True, False, self._info() | told
            chosen %= episode.due.count
        episode.take(chosen, self.np_random)
        if self.due is not None:
            return episode.observe(), 0.0, False, False, self._info() | told
        trial = self._evaluate(episode.architecture, int(self.np_random.integers(2**31)))
        told |= {"architecture": trial.architecture, "metrics": dict(trial.metrics)}
        if trial.error is not None:
            told["error"] = trial.cause
        reward = trial.metrics["reward"] if trial.state == "complete" else self._failure()
        return episode.observe(), reward, True, False, self._info() | told

    def _info(self) -> dict[str, Any]:
        return {"action_mask": self.action_masks().astype(np.int8)}

    def _failure(self) -> float:
        """Return the worst reward."""
        return self._lowest if self.worst is None else self.worst

    def _evaluate(self, architecture: Architecture, seed: int) -> Trial:
        """Return the trial of an architecture, and put it on record."""
        if self.cache and architecture in self._known:
            return self._known[architecture]
        trial = Trial(len(self.history.trials), architecture, seed=seed)
        self.history.add(trial)
        start = time.monotonic()
        ended = self._measured(trial)
        ended = replace(ended, seconds=time.monotonic() - start)
        self.history.add(ended)
        if ended.state == "failed" and len(self.history.finished) == 1:
            warnings.warn(f"the first evaluation failed: {ended.cause}", stacklevel=3)
        if self.cache:
            self._known[architecture] = ended
        return ended

    def _measured(self, trial: Trial) -> Trial:
        if self.space.where and trial.architecture not in self.space:
            return replace(trial, state="infeasible", error="a constraint of the space (where) is violated")
        candidate = Candidate(
            self.space,
            trial.architecture,
            seed=trial.seed,
            device=self.evaluator.device,
            example_input=self.evaluator.example_input,
        )
        try:
            metrics = check_metrics(self.evaluator.evaluate(candidate))
        except Exception:  # whatever a candidate does, the agent goes on
            return replace(trial, state="failed", error=traceback.format_exc(), curve=tuple(candidate.curve))
        trial = replace(trial, metrics=metrics, curve=tuple(candidate.curve))
        reward = float(self.reward(metrics))
        if not math.isfinite(reward):
            return replace(trial, state="failed", error=f"the reward is {reward}")
        if self.worst is not None:
            reward = max(reward, self.worst)
        self._lowest = min(self._lowest, reward)
        return replace(trial, state="complete", metrics={**metrics, "reward": reward})


def _check(space: Space, evaluator: Evaluator) -> None:
    """Refuse, before anything is done, what cannot work."""
    if layout_of(space).most < 2:
        raise SpaceError("the space leaves nothing to decide: it has one architecture")
    evaluator.check(space)
