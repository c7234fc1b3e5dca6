"""A study: what is searched, how, and all that has come of it."""

from __future__ import annotations

import math
import os
import socket
import time
from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from archwright import strategies
from archwright.errors import BudgetError, Exhausted, StoreError, StrategyError, StudyError
from archwright.evaluate import Evaluator, as_evaluator
from archwright.space import Architecture, Space
from archwright.strategies import Strategy
from archwright.study import _describe as describe
from archwright.study._best import Best
from archwright.study._budget import Budget
from archwright.study._callback import Callback
from archwright.study._clock import Clock
from archwright.study._lock import Lock
from archwright.study._outcome import Outcome, judge
from archwright.study._run import Run
from archwright.study._store import MemoryStore, Record, Snapshot, Store
from archwright.trials import (
    History,
    Objective,
    State,
    Trial,
    metrics_from_json,
    metrics_to_json,
)

if TYPE_CHECKING:
    from typing import Self

    import torch

__all__ = ["Study"]

_ASKS = 20  # how often a strategy is asked for something unseen
_SAMPLES = 100  # how many random samples are tried after that
_CROWDED = 0.9  # the share of a space that has been seen, above which random samples are of no use
_DEATHS = 5  # how often a process may die in one trial before the trial is at fault


class Study:
    """A search in progress, in the ask-and-tell form, on record from its first trial to its last.

    Each proposal follows from the seed, its number and the trials before it. So a study that was interrupted, by
    whatever, goes on as if it had not been.

    Args:
        space: Where to search.
        strategy: The name of a strategy, or a strategy.
        objective: What to optimise: "max accuracy", "min loss".
        seed: All that is random in the study follows from it; 0 or more.
        path: The run folder to keep it in, made if need be; `None` keeps it in memory.
        resume: Whether to go on with the study in the run folder, if there is one.

    Attributes:
        stopped_by: What ended the last `run`: "trials", "seconds", "target", "exhausted", "interrupt" or "callback".

    Raises:
        UnknownName: No strategy has that name.
        StrategyError: The strategy cannot serve the space.
        StudyError: The folder holds a study, and `resume` is not set or that study differs.
        StudyLocked: Another process writes to the folder.
        StoreError: The folder cannot be used.
    """

    def __init__(
        self,
        space: Space,
        *,
        strategy: str | Strategy = "evolution",
        objective: str | Objective = "max value",
        seed: int = 0,
        path: str | os.PathLike[str] | None = None,
        resume: bool = False,
    ) -> None:
        strategy = strategies.create(strategy) if isinstance(strategy, str) else strategy
        if not isinstance(strategy, Strategy):
            raise StrategyError(f"a strategy is a name or a Strategy, not {strategy!r}")
        strategy.check(space)
        if isinstance(seed, bool) or not isinstance(seed, int | np.integer) or seed < 0:
            raise StudyError(f"a study's seed is a whole number of 0 or more, not {seed!r}")
        document = describe.describe(space, strategy, Objective.parse(objective), int(seed))
        self._start(path, space=space, strategy=strategy)
        if self.path is None:
            self._store = MemoryStore()
            self._store.create(document)
            self._take(self._store.read())
            return
        try:
            self._begin(document, resume=resume)
        except BaseException:
            self.close()
            raise

    @classmethod
    def open(
        cls,
        path: str | os.PathLike[str],
        *,
        space: Space | None = None,
        strategy: Strategy | None = None,
        evaluator: Any = None,
    ) -> Self:
        """Return the study in a run folder.

        Nothing is locked until the study is gone on with: then what has happened meanwhile is read first.

        Args:
            path: The run folder.
            space: The study's space; needed only where its record cannot make it again.
            strategy: The study's strategy; needed only where it is not registered under a name.
            evaluator: The evaluator to go on with; needed only where its record cannot make it again.

        Raises:
            StoreError: There is no study there, or it is damaged.
            StudyError: The space is not the one on record; the message shows what changed.
        """
        study = cls.__new__(cls)
        study._start(path, space=space, strategy=strategy)
        if not study._database.is_file():
            raise StoreError(f"{study.path} holds no study: there is no study.db in it")
        study._take(study._read())
        if space is not None:
            describe.check_same_space(space, study._document, study.path)
        if evaluator is not None:
            study._evaluator = as_evaluator(evaluator, metric=study.objective.metric)
        return study

    # ------------------------------------------------------------------ what it is

    @property
    def space(self) -> Space:
        """Where it searches; made from the record when it was not given."""
        if self._space is None:
            self._space = describe.restore_space(self._document)
        return self._space

    @property
    def strategy(self) -> Strategy:
        """What proposes; made from the record when it was not given."""
        if self._strategy is None:
            self._strategy = describe.restore_strategy(self._document)
        return self._strategy

    @property
    def objective(self) -> Objective:
        """What it optimises."""
        return self._history.objective

    @property
    def seed(self) -> int:
        """What all its randomness follows from."""
        return int(self._document["seed"])

    @property
    def budget(self) -> Budget | None:
        """What the last `run` was allowed to spend; `None` before the first."""
        stored = self._document["budget"]
        return None if stored is None else Budget.from_json(stored)

    # ------------------------------------------------------------------ what has come of it

    @property
    def history(self) -> History:
        """All that has been tried, as strategies see it."""
        return self._history

    @property
    def trials(self) -> Sequence[Trial]:
        """All trials, by number."""
        return self._history.trials

    @property
    def best(self) -> Best | None:
        """The best that was found, or `None` while nothing was."""
        trial = self._history.best
        return None if trial is None else Best(self, trial)

    @property
    def test(self) -> dict[str, float] | None:
        """The metrics of the best one's final training, `None` before it; the held-out part's are "test_..."."""
        best = self._history.best
        return None if best is None else self.finals.get(best.number)

    @property
    def finals(self) -> dict[int, dict[str, float]]:
        """The metrics of all final trainings, by the number of the trial that found the architecture."""
        results = self._document["results"].items()
        return {int(number): metrics_from_json(result["metrics"]) for number, result in results}

    @property
    def elapsed(self) -> float:
        """Seconds of wall-clock time in which it was at work, over all its sessions."""
        return self._clock.elapsed

    def summary(self) -> dict[str, Any]:
        """Return what there is to know at a glance, as a JSON object."""
        states: dict[State, int] = dict.fromkeys(("running", "complete", "pruned", "infeasible", "failed"), 0)
        for trial in self.trials:
            states[trial.state] += 1
        best, test, document = self._history.best, self.test, self._document
        return {
            "path": None if self.path is None else str(self.path),
            "space": document["space"]["name"] or "custom",
            "fingerprint": document["fingerprint"],
            "strategy": document["strategy"]["name"] or document["strategy"]["class"],
            "options": document["strategy"]["options"],
            "seed": self.seed,
            "objectives": [str(self.objective)],
            "budget": document["budget"],
            "evaluator": document["evaluator"],
            "created": document["created"],
            "versions": document["versions"],
            "trials": states,
            "seconds": self.elapsed,
            "best": None
            if best is None
            else {
                "number": best.number,
                "id": best.architecture.id,
                "architecture": best.architecture.to_json(),
                "metrics": metrics_to_json(best.metrics),
            },
            "test": None if test is None else metrics_to_json(test),
        }

    # ------------------------------------------------------------------ ask and tell

    def ask(self) -> Trial:
        """Return the next trial, and put it on record.

        Trials that a process died in come first, as they were.

        Raises:
            Exhausted: Everything in the space has been proposed.
            StudyError: The strategy or the space cannot be made from the record.
            StudyLocked: Another process goes on with the study.
        """
        store = self._writable()
        self._clock.start()
        try:
            trial = self._again() or self._new()
        except BaseException:
            self._rest()
            raise
        record = Record(trial, self.elapsed)
        if trial.number < len(self.trials):
            store.write(record)
        else:
            store.add(record)
        self._history.add(trial)
        self._running[trial.number] = time.monotonic()
        return trial

    def tell(
        self,
        trial: Trial,
        outcome: Outcome,
        *,
        curve: Iterable[Mapping[str, float]] = (),
        seconds: float | None = None,
    ) -> Trial:
        """Put on record what has become of a trial.

        Args:
            trial: What `ask` returned.
            outcome: The value of the objective; or metrics by name; or the exception that ended it: `Stopped` prunes
                it, with the last point of its curve as its metrics, any other fails it, with its traceback on record. A
                trial without a finite value of the objective has failed, too.
            curve: What was reported on the way, in order: "step" and metrics.
            seconds: How long it took; the time since `ask` when not given.

        Returns:
            The trial as it is now on record.

        Raises:
            StudyError: The trial is not of this study, or was told before.
            EvaluationError: The outcome is none of these; the trial is still open.
        """
        self._writable()
        held = self.trials[trial.number] if 0 <= trial.number < len(self.trials) else None
        if held is None or held.architecture != trial.architecture:
            raise StudyError(f"trial {trial.number} ({trial.architecture.id}) is not of this study")
        if held.ended:
            raise StudyError(f"trial {trial.number} was told before: it is {held.state}")
        if seconds is None:
            now = time.monotonic()
            seconds = now - self._running.get(trial.number, now)
        ended = judge(held, outcome, self.objective, curve=curve, seconds=seconds)
        self._record(ended)
        return ended

    # ------------------------------------------------------------------ the search

    def run(
        self,
        evaluator: Any,
        budget: Budget,
        *,
        final: bool | int = True,
        callbacks: Iterable[Callback] = (),
    ) -> Study:
        """Evaluate trials until the budget ends, then train the best again; return the study itself.

        Args:
            evaluator: An `Evaluator`, or a function `f(candidate) -> float | dict`.
            budget: What may be spent, counting what was spent before.
            final: Whether to train the best network again, from scratch, where the evaluator can; or how many of the
                best. Time budgets keep 30 % for it.
            callbacks: Are told what happens.

        Raises:
            SpaceError: The space has parts that the evaluator does not understand, or networks that do not fit its data.
            StudyLocked: Another process goes on with the study.
        """
        if not isinstance(budget, Budget):
            raise BudgetError(f"a budget reads Budget(trials=100) or Budget(minutes=10), not {budget!r}")
        if not isinstance(final, int) or final < 0:
            raise StudyError(f"final is True, False, or a number of networks, not {final!r}")
        self._evaluator = as_evaluator(evaluator, metric=self.objective.metric)
        settings = {
            "evaluator": self._evaluator.to_json(),
            "budget": budget.to_json(),
            "final": int(final),
        }
        store = self._writable()
        try:
            Run(self, self._evaluator, budget, finals=int(final), callbacks=callbacks).check()
            store.update(**settings)
            self._document |= settings
            Run(self, self._evaluator, budget, finals=int(final), callbacks=callbacks).go()
        finally:
            self.close()
        return self
