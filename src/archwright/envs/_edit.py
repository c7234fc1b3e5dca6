"""The environment whose steps edit an architecture. Importing this loads gymnasium."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import gymnasium
import numpy as np
from numpy.typing import NDArray

from archwright._scalars import is_number, is_whole, scalar
from archwright.envs._base import Environment, Invalid
from archwright.envs._edits import edits_of
from archwright.envs._reward import Reward
from archwright.errors import ArchitectureError, EvaluationError, StrategyError
from archwright.evaluate import Candidate, Evaluator
from archwright.space import Architecture, Space
from archwright.strategies import episode_layout
from archwright.trials import Trial

_MOST = float(np.finfo(np.float32).max)


class EditEnv(Environment):
    """A `gymnasium.Env` in which each step changes a network and evaluates it.

    An action adds a layer (a `repeat` by one more), removes one, or changes one: an ordered value goes up or down, a
    choice takes another option, a subset gains or loses one. Decisions that become active take their first value.
    `edits` describes the actions; those valid for the current network are in the info as "action_mask" (int8), and in
    `action_masks()`.

    The reward of a step is discount * V(after) - V(before), where V is the value of a network's metrics:
    potential-based shaping (Ng, Harada and Russell, "Policy invariance under reward transformations", ICML 1999). The
    discounted rewards of an episode add up to the value of its last network minus that of its first, so the optimal
    policy is that for the last value alone. A network that violates constraints or fails has the worst value; the
    change is reverted.

    An observation is a flat box: the vector of the decisions (`Space.encode`; zeros for inactive ones) and an indicator
    of the active ones, in [0, 1]; the metrics named by `observe`; the share of remaining steps.

    Args:
        space: The space. A change that violates its constraints is not evaluated.
        evaluator: An `Evaluator`, or a function `f(candidate) -> float | dict`.
        reward: V: a `Reward`, or a function of the metrics; by default the evaluator's objective.
        start: The first network of all episodes; by default random.
        steps: Length at which an episode is truncated, 1 or more.
        discount: The discount factor, above 0 and at most 1; the agent should use the same.
        observe: The metrics in the observation, by name; by default "train_loss", if the evaluator measures it, and the
            metric of its objective.
        seed: The random seed of first networks and evaluations, until `reset` gets another one.
        invalid: The treatment of invalid actions. "wrap": the index is taken modulo the number of valid actions; "end":
            the episode ends with the worst value.
        worst: V of a network that violates constraints, whose evaluation fails, or whose value is NaN or infinite.
            Lower values are raised to it. By default the lowest value so far, at most -1.
        cache: Whether results of evaluated networks are reused.

    Attributes:
        edits: Descriptions of the actions.
        architecture: The current network; `None` before the first `reset`.
        history: The evaluations as trials, with V as the metric "reward".
        best: The best trial so far, or `None`.

    Raises:
        SpaceError: The space has no decisions, or has parts that the evaluator does not support.
        ShapeError: The space's networks do not fit the evaluator's data.
        ArchitectureError: `start` is no architecture of the space.
        EvaluationError: The evaluator is neither an `Evaluator` nor a function.
        StrategyError: A setting is out of range.

    Example:
        >>> space = aw.Space(x=aw.ordinal(1, 2, 4))
        >>> env = aw.envs.EditEnv(space, lambda candidate: candidate.settings["x"], start={"x": 1}, discount=1.0)
        >>> observation, info = env.reset()
        >>> env.edits[0], env.step(0)[1]
        ('x: raise', 1.0)
    """

    form = "Edit"

    def __init__(
        self,
        space: Space,
        evaluator: Evaluator | Callable[[Candidate], Any],
        *,
        reward: Reward | Callable[[Mapping[str, float]], float] | None = None,
        start: Mapping[str, Any] | None = None,
        steps: int = 20,
        discount: float = 0.99,
        observe: Sequence[str] | None = None,
        seed: int | None = None,
        invalid: Invalid = "wrap",
        worst: float | None = None,
        cache: bool = False,
    ) -> None:
        steps, discount = scalar(steps), scalar(discount)
        if not is_whole(steps) or steps < 1:
            raise StrategyError(f"steps must be an integer of 1 or more, not {steps!r}")
        if not is_number(discount) or not 0 < discount <= 1:
            raise StrategyError(f"discount must be a number above 0 and at most 1, not {discount!r}")
        self.steps, self.discount = steps, discount
        self.start = None if start is None else space.canonical(start)
        if self.start is not None and self.start not in space:
            raise ArchitectureError("start violates a constraint of the space (where)")
        more = {"start": start, "steps": steps, "discount": discount, "observe": observe}
        super().__init__(space, evaluator, reward=reward, seed=seed, invalid=invalid, worst=worst, cache=cache, **more)
        if observe is None:
            observe = [*{"train_loss"} & (self.evaluator.metrics or set()), self._objective.metric]
        self.observe = tuple(observe)
        self._edits = edits_of(space)
        self.edits = [edit.describe(space) for edit in self._edits]
        self._layout = episode_layout(space)
        decided = self._layout.width + len(self._layout.actions)
        self._low = np.array([*[0.0] * decided, *[-_MOST] * len(self.observe), 0.0], dtype=np.float32)
        high = np.array([*[1.0] * decided, *[_MOST] * len(self.observe), 1.0], dtype=np.float32)
        self.observation_space = gymnasium.spaces.Box(self._low, high, dtype=np.float32)
        self.action_space = gymnasium.spaces.Discrete(len(self._edits))
        self.architecture: Architecture | None = None
        self._left = 0
        self._present = 0.0  # V of the present network
        self._metrics: dict[str, float] = {}
        self._next: list[Architecture | None] = [None] * len(self._edits)

    def action_masks(self) -> NDArray[np.bool_]:
        """Return the mask of valid actions of the current network; all false outside an episode."""
        return np.array([self._left > 0 and after is not None for after in self._next], dtype=np.bool_)

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[NDArray[np.float32], dict[str, Any]]:
        """Start an episode with a network, which is evaluated.

        Args:
            seed: A new random seed; by default the generator is continued.
            options: May contain "start", the first architecture of this episode.

        Returns:
            The observation; the info with "action_mask", "architecture", "metrics", and "error" if the evaluation
            failed.

        Raises:
            ArchitectureError: The architecture does not belong to the space.
            EvaluationError: A metric of the observation was not measured.
        """
        super().reset(seed=seed)
        given = (options or {}).get("start", self.start)
        first = self.space.sample(self.np_random) if given is None else self.space.canonical(given)
        self._left = self.steps
        self._metrics = {}
        trial = self._evaluated(first)
        self._present = self._value(trial)
        self._take(trial)
        return self._observation(), self._info(trial)

    def step(self, action: np.int64 | int) -> tuple[NDArray[np.float32], float, bool, bool, dict[str, Any]]:
        """Change the network and evaluate it.

        Args:
            action: The index of an edit, from 0.

        Returns:
            The observation, the reward, whether an invalid action ended the episode, whether it was truncated, and the
            info: always "action_mask", "architecture" and "metrics" of the evaluated network; "invalid_action" if the
            action was invalid; "error" if the evaluation failed or a constraint is violated.

        Raises:
            ResetNeeded: No episode is under way (`gymnasium.error`).
            ArchitectureError: The action is not in the action space.
            EvaluationError: A metric of the observation was not measured.
        """
        chosen = self._number(action, under_way=self._left > 0)
        told: dict[str, Any] = {}
        after = self._next[chosen]
        if after is None:
            told["invalid_action"] = True
            if self.invalid == "end":
                self._left = 0
                told |= {"architecture": self.architecture, "metrics": dict(self._metrics)}
                return self._observation(), self._gain(self._failure), True, False, self._info() | told
            allowed = [each for each in self._next if each is not None]
            after = allowed[chosen % len(allowed)]
        self._left -= 1
        trial = self._evaluated(after)
        value = self._value(trial)
        reward = self._gain(value)
        if trial.state == "complete":
            self._present = value
            self._take(trial)
        return self._observation(), reward, False, not self._left, self._info(trial) | told

    def _gain(self, value: float) -> float:
        return self.discount * value - self._present

    def _take(self, trial: Trial) -> None:
        """Let the network of a trial be the present one."""
        self.architecture = trial.architecture
        self._next = [edit.apply(self.space, trial.architecture) for edit in self._edits]
        if trial.state == "complete":
            lacking = [name for name in self.observe if name not in trial.metrics]
            if lacking:
                raise EvaluationError(
                    f"the agent is to observe {', '.join(lacking)}, but the metrics that came are: "
                    f"{', '.join(trial.metrics)}; name others with observe=[...]"
                )
            self._metrics = dict(trial.metrics)

    def _observation(self) -> NDArray[np.float32]:
        layout, architecture = self._layout, self.architecture
        assert architecture is not None
        seen = np.zeros(len(self._low), dtype=np.float32)
        for name, value in architecture.items():
            seen[layout.slots[name]] = self.space.decisions[name].encode(value)
            seen[layout.width + layout.index[name]] = 1.0
        measured = [self._metrics.get(name, 0.0) for name in self.observe]
        seen[-1 - len(measured) : -1] = np.clip(np.nan_to_num(measured), -_MOST, _MOST)
        seen[-1] = self._left / self.steps
        return seen
