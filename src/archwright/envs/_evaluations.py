"""What an environment has evaluated, on record."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from archwright.envs._reward import Reward
from archwright.errors import SpaceError, StrategyError
from archwright.evaluate import Candidate, Evaluator, as_evaluator
from archwright.execute import Job, Worker, judge
from archwright.space import Architecture, Space
from archwright.strategies import episode_layout
from archwright.trials import History, Objective, Trial

__all__ = ["Evaluations"]


class Evaluations:
    """Evaluates architectures for an environment.

    Args:
        space: The space.
        evaluator: What measures an architecture.
        reward: What metrics are worth; the evaluator's objective when not given.
        worst: What an architecture is worth that cannot be measured; when not given -1, or the lowest so far.
        cache: Whether an architecture that was evaluated before has its result from then.

    Attributes:
        evaluator: The evaluator.
        objective: What its metrics are judged by, where no reward is given.
        history: The trials, which hold the "reward" among their metrics.

    Raises:
        SpaceError: The space leaves nothing to decide, or has parts that the evaluator does not understand.
        ShapeError: The space's networks do not fit the evaluator's data.
        EvaluationError: The evaluator is none.
        StrategyError: A setting is out of range.
    """

    def __init__(
        self,
        space: Space,
        evaluator: Evaluator | Callable[[Candidate], Any],
        *,
        reward: Reward | Callable[[Mapping[str, float]], float] | None,
        worst: float | None,
        cache: bool,
    ) -> None:
        self.space = space
        self.evaluator = as_evaluator(evaluator)
        if episode_layout(space).most < 2:
            raise SpaceError("the space leaves nothing to decide: it has one architecture")
        self.evaluator.check(space)
        self._worker = Worker(space, self.evaluator)
        if worst is not None and not math.isfinite(worst):
            raise StrategyError(f"worst is a finite number, not {worst!r}")
        self.objective = Objective.parse(self.evaluator.objective)
        self.reward = self.objective.score if reward is None else reward
        self.worst = worst
        self.cache = cache
        self.history = History(Objective("reward"))
        self._lowest = -1.0
        self._known: dict[Architecture, Trial] = {}

    @property
    def failure(self) -> float:
        """What an architecture is worth that cannot be measured."""
        return self._lowest if self.worst is None else self.worst

    def value(self, trial: Trial) -> float:
        """Return what the architecture of a trial is worth."""
        return trial.metrics["reward"] if trial.state == "complete" else self.failure

    def of(self, architecture: Architecture, seed: int) -> Trial:
        """Return the trial of an architecture, and put it on record; constraints are looked at here."""
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
            reward = float(self.reward(report.metrics))
            if math.isfinite(reward):
                reward = reward if self.worst is None else max(reward, self.worst)
                self._lowest = min(self._lowest, reward)
            report = replace(report, metrics={**report.metrics, "reward": reward})
        return judge(trial, report, self.history)
