"""What a study is, and what has come of it."""

from __future__ import annotations

import os
from collections.abc import Sequence
from numbers import Integral
from pathlib import Path
from typing import TYPE_CHECKING, Any

from archwright.errors import StudyError
from archwright.evaluate import Evaluator, Learned
from archwright.schedulers import Ladder, Scheduler
from archwright.space import Architecture, Space
from archwright.strategies import Strategy
from archwright.study import _describe as describe
from archwright.study._best import Artifacts, Best
from archwright.study._budget import Budget
from archwright.study._diagnosis import diagnose
from archwright.study._picture import draw_front, draw_learned
from archwright.study._predict import load_predictor, predict
from archwright.study._propose import Planner
from archwright.study._recorder import Recorder
from archwright.study._reduced import describe_spent
from archwright.study._summary import summarise
from archwright.trials import Constraint, History, Objective, Trial

if TYPE_CHECKING:
    from archwright.export import Estimate, Prediction, Predictor

__all__ = ["Results"]


class Results:
    """All there is to read of a study; `Study` adds to it.

    Attributes:
        path: The run folder, or `None`.
    """

    path: Path | None
    _space: Space | None
    _strategy: Strategy | None
    _evaluator: Evaluator | None
    _planner: Planner | None
    _recorder: Recorder
    _artifacts: Artifacts

    # ------------------------------------------------------------------ what it is

    @property
    def space(self) -> Space:
        """Where it searches; made from the record when it was not given."""
        if self._space is None:
            self._space = describe.restore_space(self._recorder.document)
        return self._space

    @property
    def strategy(self) -> Strategy:
        """What proposes; made from the record when it was not given."""
        if self._strategy is None:
            self._strategy = describe.restore_strategy(self._recorder.document)
        return self._strategy

    @property
    def evaluator(self) -> Evaluator:
        """What measures; made from the record when it was not given."""
        if self._evaluator is None:
            self._evaluator = describe.restore_evaluator(self._recorder.document)
        return self._evaluator

    @property
    def objectives(self) -> tuple[Objective, ...]:
        """What it optimises."""
        return self.history.objectives

    @property
    def objective(self) -> Objective:
        """What it optimises; of several the first."""
        return self.history.objective

    @property
    def constraints(self) -> tuple[Constraint, ...]:
        """What networks have to keep to."""
        return self.history.constraints

    @property
    def starts(self) -> tuple[Architecture, ...]:
        """The architectures that were to be tried first."""
        return self._plan.starts

    @property
    def scheduler(self) -> Scheduler:
        """What says how much each trial gets; made from the record when it was not given."""
        return self._plan.scheduler

    @property
    def ladder(self) -> Ladder:
        """The fidelities that trials are given; none where each is a full evaluation."""
        return self._plan.ladder

    @property
    def seed(self) -> int:
        """What all its randomness follows from."""
        return int(self._recorder.document["seed"])

    @property
    def budget(self) -> Budget | None:
        """What the last `run` was allowed to spend; `None` before the first."""
        stored = self._recorder.document["budget"]
        return None if stored is None else Budget.from_json(stored)

    @property
    def why(self) -> tuple[str, ...]:
        """What was chosen for the search where nothing was asked for, and by which rule, as lines."""
        return tuple(self._recorder.document["why"] or ())

    # ------------------------------------------------------------------ what has come of it

    @property
    def history(self) -> History:
        """All that has been tried, as strategies see it."""
        return self._recorder.history

    @property
    def trials(self) -> Sequence[Trial]:
        """All trials, by number."""
        return self.history.trials

    def given(self, trial: Trial) -> str:
        """Return in words what a trial is given of a full evaluation, such as "epochs 3"; empty where it is all."""
        return "" if trial.fidelity is None else describe_spent(self.space, self.ladder, trial.fidelity)

    @property
    def learned(self) -> Learned | None:
        """What the evaluator learned about the space before the first trial, such as by training a supernet."""
        return self.history.learned

    def diagnosis(self) -> dict[str, Any] | None:
        """Return what is to be thought of what was learned before the first trial; `None` where nothing was.

        Returns:
            "epochs" and "seconds" of the supernet; where an architecture was derived, its "derived" id, the shares of
            "skips" and of "nothing" among its operations, the "entropy" of what was learned, in 0..1, and why it is
            "degenerate", or None; and over the trials that were measured both ways, how many were "compared", and,
            where three or more differ, the rank correlations "spearman" and "kendall" of shared-weight and stand-alone
            accuracy.
        """
        return diagnose(self.history)

    def draw_learned(self, path: str | os.PathLike[str]) -> None:
        """Draw how much each option of each decision was preferred, epoch by epoch, into a picture file.

        Raises:
            StudyError: Nothing was learned that could be drawn, or the file's ending is that of no picture.
            MissingExtra: Matplotlib is not installed.
        """
        draw_learned(self.space, self.learned, Path(path))

    @property
    def best(self) -> Best | None:
        """The best that was found, with several objectives in the first of them; `None` while nothing was."""
        trial = self.history.best
        return None if trial is None else self._found(trial)

    def top(self, count: int) -> list[Best]:
        """Return the best trials of different architectures, the best first; with several objectives by their fronts.

        The network of the first can be loaded; those of the others where the study was run with `final=count` or more.

        Args:
            count: How many, at least 1; there may be fewer.

        Raises:
            StudyError: The count is not a whole number of 1 or more.
        """
        given: object = count
        if isinstance(given, bool) or not isinstance(given, Integral) or given < 1:
            raise StudyError(f"top takes how many of the best there are to be, such as top(3), not {count!r}")
        return [self._found(trial) for trial in self.history.top(int(count))]

    @property
    def front(self) -> list[Best]:
        """What nothing else that keeps to the constraints beats in all objectives, the best in the first one first."""
        return [self._found(trial) for trial in self.history.front]

    @property
    def hypervolume(self) -> float:
        """How much the front dominates from the reference point on; 0 until ten trials are complete or one is given."""
        return self.history.hypervolume()

    @property
    def finals(self) -> dict[int, dict[str, float]]:
        """The metrics of the final trainings, by the number of the trial that found the architecture."""
        return self._recorder.finals

    @property
    def test(self) -> dict[str, float] | None:
        """The metrics of the best one's final training, or `None` before it.

        Those that were measured on the held-out part are named "test_...".
        """
        best = self.history.best
        return None if best is None else self.finals.get(best.number)

    def predictor(self, trial: int | None = None) -> Predictor:
        """Return a trained network together with its preprocessing, to make predictions more than once.

        Args:
            trial: The trial whose network it is, one of those that are kept; the best when not given.

        Raises:
            StudyError: There is no such network, or its preprocessing is not known.
        """
        return load_predictor(self, trial)

    def predict(
        self, inputs: Any, *, trial: int | None = None, batch_size: int = 256, max_gigabytes: float = 4.0
    ) -> list[Prediction | Estimate]:
        """Return what a trained network makes of raw inputs, preprocessed as its training data were.

        Args:
            inputs: A file or several: pictures, folders of pictures, or tables. Rows of a table: mappings from names of
                columns to values, or a data frame. Or an array or tensor of raw inputs, as `aw.data` takes it.
            trial: The trial whose network it is, one of those that are kept; the best when not given.
            batch_size: How many samples the network is given at a time.
            max_gigabytes: The limit for what a file may unpack to; a single picture may take a sixteenth of it.

        Returns:
            For each sample its class, the probability of it, and those of all classes; for a regression the target
            values in their own units.

        Raises:
            StudyError: There is no such network, or its preprocessing is not known.
            DataError: An input cannot be read, or is not of the kind that the network was trained on.
        """
        return predict(self.predictor(trial), inputs, batch_size=batch_size, max_gigabytes=max_gigabytes)

    @property
    def elapsed(self) -> float:
        """Seconds of wall-clock time in which it was at work, over all its sessions."""
        return self._recorder.clock.elapsed

    def summary(self) -> dict[str, Any]:
        """Return what there is to know at a glance, as a JSON object."""
        return summarise(self._recorder, test=self.test)

    def draw_front(self, path: str | os.PathLike[str]) -> None:
        """Draw the trials of a search for two or three objectives, its front and its hypervolume over time.

        Raises:
            StudyError: There is one objective, or nothing was found, or the file's ending is that of no picture.
            MissingExtra: Matplotlib is not installed.
        """
        draw_front(self.history, Path(path))

    # ------------------------------------------------------------------ inside

    @property
    def _plan(self) -> Planner:
        """What says what comes next; made from the record when the study was opened."""
        if self._planner is None:
            self._planner = describe.restore_planner(self._recorder.document, self.space, self.strategy)
        return self._planner

    def _found(self, trial: Trial) -> Best:
        def load() -> Any:
            return self._artifacts.load(self.space, trial.architecture, trial.fidelity, trial.number)[0]

        return Best(trial, load)
