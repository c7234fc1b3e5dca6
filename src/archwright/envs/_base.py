"""Evaluations of environments as trials. Importing this loads gymnasium."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from typing import Any, ClassVar, Literal, get_args

import gymnasium
import numpy as np
from gymnasium.envs.registration import EnvSpec
from numpy.typing import NDArray

from archwright.envs._reward import Reward
from archwright.errors import ArchitectureError, SpaceError, StrategyError
from archwright.evaluate import Candidate, Evaluator, as_evaluator
from archwright.execute import Job, Worker, conclude
from archwright.space import Architecture, Space
from archwright.strategies import episode_layout
from archwright.trials import History, Objective, Trial

Invalid = Literal["wrap", "end"]


class Environment(gymnasium.Env[NDArray[np.float32], np.int64]):
    """A search as a `gymnasium.Env`; arguments are those of `SearchEnv`, and `more` what another form takes besides."""

    metadata: dict[str, Any] = {"render_modes": []}  # noqa: RUF012 - gymnasium wants it so
    form: ClassVar[str]

    def __init__(
        self,
        space: Space,
        evaluator: Evaluator | Callable[[Candidate], Any],
        *,
        reward: Reward | Callable[[Mapping[str, float]], float] | None,
        seed: int | None,
        invalid: Invalid,
        worst: float | None,
        cache: bool,
        **more: Any,
    ) -> None:
        if invalid not in get_args(Invalid):
            raise StrategyError(f"invalid must be one of {', '.join(map(repr, get_args(Invalid)))}, not {invalid!r}")
        self.space, self.invalid, self.worst, self.cache = space, invalid, worst, cache
        self.evaluator = as_evaluator(evaluator)
        if episode_layout(space).most < 2:
            raise SpaceError("the space leaves nothing to decide: it has one architecture")
        self.evaluator.check(space)
        if worst is not None and not math.isfinite(worst):
            raise StrategyError(f"worst is a finite number, not {worst!r}")
        self._objective = Objective.parse(self.evaluator.objective)
        self._reward = self._objective.score if reward is None else reward
        self.history = History(Objective("reward"))
        self._worker = Worker(space, self.evaluator)
        self._lowest = -1.0
        self._known: dict[Architecture, Trial] = {}
        given = {"reward": reward, "seed": seed, "invalid": invalid, "worst": worst, "cache": cache, **more}
        self.spec = EnvSpec(f"archwright/{self.form}-v0", entry_point=partial(type(self), space, evaluator, **given))
        super().reset(seed=seed)

    @property
    def best(self) -> Trial | None:
        """The best trial so far."""
        return self.history.best

    def action_masks(self) -> NDArray[np.bool_]:
        """Return for each action whether there is such a one now; none where no episode is under way."""
        raise NotImplementedError

    def _number(self, action: np.int64 | int, *, under_way: bool) -> int:
        """Return an action of an episode as a number, after checking it."""
        number, count = int(action), len(self.action_masks())
        if not under_way:
            raise gymnasium.error.ResetNeeded("no episode is under way: call reset() first")
        if not 0 <= number < count:
            raise ArchitectureError(f"an action must be a number from 0 to {count - 1}, not {action!r}")
        return number

    def _info(self, trial: Trial | None = None) -> dict[str, Any]:
        """Return what is told beside an observation, and of what was evaluated."""
        told: dict[str, Any] = {"action_mask": self.action_masks().astype(np.int8)}
        if trial is not None:
            told |= {"architecture": trial.architecture, "metrics": dict(trial.metrics)}
            if trial.error is not None:
                told["error"] = trial.cause
        return told

    @property
    def _failure(self) -> float:
        """What an architecture is worth that cannot be measured."""
        return self._lowest if self.worst is None else self.worst

    def _value(self, trial: Trial) -> float:
        """Return what the architecture of a trial is worth."""
        return trial.metrics["reward"] if trial.state == "complete" else self._failure

    def _evaluated(self, architecture: Architecture) -> Trial:
        """Return the trial of an architecture, and put it on record; constraints are looked at here."""
        seed = int(self.np_random.integers(2**31))
        if self.cache and architecture in self._known:
            return self._known[architecture]
        trial = Trial(len(self.history.trials), architecture, seed=seed)
        self.history.add(trial)
        ended = self._measured(trial)
        self.history.add(ended)
        if ended.state == "failed" and len(self.history.finished) == 1:
            warnings.warn(f"the first evaluation failed: {ended.cause}", stacklevel=3)
        if self.cache:
            self._known[architecture] = ended
        return ended

    def _measured(self, trial: Trial) -> Trial:
        if self.space.where and trial.architecture not in self.space:
            return replace(trial, state="infeasible", error="a constraint of the space (where) is violated")
        report, _ = self._worker.run(Job(trial.number, self.space.fingerprint, trial.architecture, trial.seed))
        if report.kind == "complete":
            reward = float(self._reward(report.metrics))
            if math.isfinite(reward):
                reward = reward if self.worst is None else max(reward, self.worst)
                self._lowest = min(self._lowest, reward)
            report = replace(report, metrics={**report.metrics, "reward": reward})
        return conclude(trial, report, self.history)
