"""The jobs of a study's trials, and the checkpoints that they pass on."""

from __future__ import annotations

from collections.abc import Callable, Collection
from contextlib import suppress
from dataclasses import dataclass, replace

from archwright.errors import StoreError
from archwright.evaluate import Evaluator, Spent
from archwright.execute import Checkpoints, Job, Origin
from archwright.space import Architecture
from archwright.study._propose import Planner
from archwright.study._recorder import Recorder
from archwright.study._reduced import own_fidelity, reduced
from archwright.trials import History, Trial


@dataclass(eq=False)
class Dispatcher:
    """Makes the jobs of trials, and keeps account of the checkpoints that they pass on."""

    _planner: Planner
    _recorder: Recorder
    _checkpoints: Checkpoints
    _evaluator: Evaluator
    _problem: Callable[[str], None]  # is told of what is not kept

    @property
    def _history(self) -> History:
        return self._recorder.history

    def job(self, trial: Trial, seconds: float | None) -> Job:
        """Return the job of a trial, whose checkpoint is put on record before a worker writes it.

        Raises:
            SchedulerError: The space has no form of the architecture that is as small as the trial's fidelity asks.
        """
        first = trial
        while (earlier := self._history.before(first)) is not None:
            first = earlier
        return replace(
            self.job_alone(trial),
            seconds=seconds,
            before=self._origin(self._history.before(trial)),
            parent=self._origin(None if first.origin is None else self._history.trials[first.origin]),
            saves=self._planner.checkpoints
            and (trial.share < 1 or self._planner.inherit)
            and self._claim(trial.number),
            attempt=trial.attempts,
        )

    def job_alone(self, trial: Trial) -> Job:
        """Return the job of a trial that takes nothing from other trials and leaves nothing for them.

        Raises:
            SchedulerError: The space has no form of the architecture that is as small as the trial's fidelity asks.
        """
        return Job(
            trial.number,
            self._planner.space.fingerprint,
            self._network(trial),
            trial.seed,
            fidelity=self._given(trial),
            stages=self._stages(trial),
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

    def clear(self, ended: int | None = None, *, keep: Collection[int] = ()) -> None:
        """Remove the checkpoints that are of no use any more.

        Args:
            ended: The number of a trial that has just ended; it may have saved nothing.
            keep: Numbers of further trials whose checkpoints are of use.
        """
        if self._planner.checkpoints:
            wanted = {*self._planner.kept(self._history), *self._recorder.under_way(), *keep}
            unwanted = set(self._recorded) - wanted
            if ended in self._recorded and not self._checkpoints.holds(ended):
                unwanted.add(ended)
            if unwanted:
                self._checkpoints.drop(unwanted)
                kept = [number for number in self._recorded if number not in unwanted]
                digests = {str(number): self._digests[str(number)] for number in kept if str(number) in self._digests}
                self._recorder.update(checkpoints=kept, digests=digests)

    def saved(self, number: int, digest: str) -> None:
        """Put the digest of a trial's new checkpoint on record."""
        with suppress(StoreError):  # the end of the trial is put on record, or ends the search then
            self._recorder.update(digests={**self._digests, str(number): digest})

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
        saved = set(self._recorded) - self._recorder.under_way()
        if origin is None or not saved:
            return None
        kept, digest = origin.number in saved, self._digests.get(str(origin.number))
        return Origin(origin.number, self._network(origin), origin.curve, kept, digest)

    def _claim(self, number: int) -> bool:
        """Put on record that the file of a trial's checkpoint is the study's; tell whether that is possible."""
        if number in self._recorded:
            return True
        if self._checkpoints.is_taken(number):
            self._problem(
                f"the checkpoint of trial {number} is not kept, and what goes on from it starts again: "
                f"checkpoints/{number}.pt is there already, and was not written by this study"
            )
            return False
        self._recorder.update(checkpoints=sorted([*self._recorded, number]))
        return True

    @property
    def _recorded(self) -> list[int]:
        """The trials whose checkpoints are the study's; one that was lost is among them."""
        return self._recorder.document["checkpoints"] or []

    @property
    def _digests(self) -> dict[str, str]:
        """The digests of checkpoints, by the numbers of their trials."""
        return self._recorder.document["digests"] or {}
