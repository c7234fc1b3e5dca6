"""The jobs of a study's trials, and the checkpoints that they pass on."""

from __future__ import annotations

import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from archwright.errors import StudyError
from archwright.evaluate import Evaluator, Spent
from archwright.execute import Checkpoints, Job, Origin
from archwright.space import Architecture
from archwright.study._propose import Planner
from archwright.study._recorder import Recorder
from archwright.study._reduced import own_fidelity, reduced
from archwright.trials import History, Trial


@dataclass(eq=False)
class Dispatcher:
    """Makes the jobs of trials, and hands networks from trial to trial."""

    _planner: Planner
    _recorder: Recorder
    _checkpoints: Checkpoints
    _evaluator: Evaluator
    _problem: Callable[[str, str], None]  # is told, with details, of what was lost

    @property
    def _history(self) -> History:
        return self._recorder.history

    def job(self, trial: Trial, seconds: float | None) -> Job:
        """Return the job of a trial.

        Raises:
            SchedulerError: The space has no form of the architecture that is as small as the trial's fidelity asks.
        """
        first = trial
        while (earlier := self._history.before(first)) is not None:
            first = earlier
        return Job(
            trial.number,
            self._planner.space.fingerprint,
            self._network(trial),
            trial.seed,
            fidelity=self._given(trial),
            stages=self._stages(trial),
            seconds=seconds,
            before=self._origin(self._history.before(trial)),
            parent=self._origin(None if first.origin is None else self._history.trials[first.origin]),
            saves=self._planner.checkpoints and (trial.share < 1 or self._planner.inherit),
            attempt=trial.attempts,
        )

    def final_job(self, trial: Trial, seconds: float | None) -> Job:
        """Return the job of a trial's final training."""
        return Job(
            trial.number,
            self._planner.space.fingerprint,
            trial.architecture,
            trial.seed,
            fidelity=self._given(trial),
            stages=self._stages(trial),
            seconds=seconds,
        )

    # ------------------------------------------------------------------ what trials leave

    def load(self, number: int) -> dict[str, Any]:
        """Return what a trial left."""
        return self._checkpoints.load(number)

    def keep(self, number: int, state: Mapping[str, Any]) -> None:
        """Keep what a trial leaves for those that go on from it."""
        try:
            self._claim(number)
            self._checkpoints.keep(number, state)
        except Exception:  # whatever an evaluator saves, and however full the disk is
            message = f"the checkpoint of trial {number} could not be kept; what goes on from it starts again"
            self._problem(message, traceback.format_exc())

    def clear(self) -> None:
        """Remove the checkpoints that are of no use any more."""
        if self._planner.checkpoints:
            unwanted = set(self._recorded) - self._planner.kept(self._history)
            if unwanted:
                self._checkpoints.drop(unwanted)
                self._recorder.update(checkpoints=[number for number in self._recorded if number not in unwanted])

    # ------------------------------------------------------------------ inside

    def _network(self, trial: Trial) -> Architecture:
        """Return the architecture that a trial evaluates: its own, or a smaller form of it."""
        return reduced(self._planner.space, trial.architecture, trial.fidelity, self._evaluator.fidelities)

    def _given(self, trial: Trial) -> Spent | None:
        """Return how much of a full evaluation a trial gets; `None` for all."""
        rungs = self._planner.ladder.rungs
        full = rungs[-1] if rungs else {}
        return own_fidelity(self._planner.space, trial.architecture, trial.fidelity, full, self._evaluator.fidelities)

    def _stages(self, trial: Trial) -> tuple[Spent, ...]:
        """Return the fidelities of the trials that this one goes on from, and its own."""
        found: list[Spent] = []
        stage: Trial | None = trial
        while stage is not None:
            found.insert(0, self._given(stage) or {})
            stage = self._history.before(stage)
        return tuple(found)

    def _origin(self, origin: Trial | None) -> Origin | None:
        """Return a trial as what another begins with; `None` where the evaluator saves nothing."""
        if origin is None or not self._recorded:
            return None
        return Origin(origin.number, self._network(origin), origin.curve, kept=origin.number in self._recorded)

    def _claim(self, number: int) -> None:
        """Put on record, before it is written, that the file of a trial's checkpoint is the study's."""
        if number not in self._recorded:
            if self._checkpoints.is_taken(number):
                raise StudyError(f"checkpoints/{number}.pt is there already, and was not written by this study")
            self._recorder.update(checkpoints=sorted([*self._recorded, number]))

    @property
    def _recorded(self) -> list[int]:
        """The trials whose checkpoints are the study's; one that was lost is among them."""
        return self._recorder.document["checkpoints"] or []
