"""What trials hand on to those that go on from them or inherit from them."""

from __future__ import annotations

import traceback
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from archwright.errors import ArchwrightError, StudyError
from archwright.evaluate import Candidate, Evaluator, Saved, Spent
from archwright.study._checkpoints import Checkpoints
from archwright.study._propose import Planner
from archwright.study._shrink import own_share, shrunk
from archwright.trials import History, Trial

if TYPE_CHECKING:
    import torch

    from archwright.space import Architecture
    from archwright.study._ledger import Ledger

__all__ = ["Relay"]


class Relay:
    """Hands networks from trial to trial.

    Args:
        planner: What says who goes on from whom.
        ledger: The study's record.
        checkpoints: What trials have left.
        evaluator: What measures.
        problem: Is told, with details, of what was lost.
    """

    def __init__(
        self,
        planner: Planner,
        ledger: Ledger,
        checkpoints: Checkpoints,
        evaluator: Evaluator,
        problem: Callable[[str, str], None],
    ) -> None:
        self._planner = planner
        self._ledger = ledger
        self._checkpoints = checkpoints
        self._evaluator = evaluator
        self._problem = problem
        self._space = planner.space

    @property
    def _history(self) -> History:
        return self._ledger.history

    def network(self, trial: Trial) -> Architecture:
        """Return the architecture that a trial evaluates: its own, or a smaller form of it.

        Raises:
            SchedulerError: The space has no such smaller form.
        """
        return shrunk(self._space, trial.architecture, trial.fidelity, self._evaluator.fidelities)

    def given(self, trial: Trial) -> Spent | None:
        """Return how much of a full evaluation a trial gets; `None` for all."""
        rungs = self._planner.ladder.rungs
        full = rungs[-1] if rungs else {}
        return own_share(self._space, trial.architecture, trial.fidelity, full, self._evaluator.fidelities)

    def stages(self, trial: Trial) -> list[Spent]:
        """Return the fidelities of the trials that this one goes on from, and its own."""
        found: list[Spent] = []
        stage: Trial | None = trial
        while stage is not None:
            found.insert(0, self.given(stage) or {})
            stage = self._history.before(stage)
        return found

    def restore(self, trial: Trial, candidate: Candidate) -> Saved | None:
        """Return what the trial before left; where that is lost, let this one begin as the first of them did."""
        before = self._history.before(trial)
        if before is None:
            return None
        saved = self._left(before, trial, "starts again")
        if saved is None:
            self.inherit(trial, candidate)
        return saved

    def inherit(self, trial: Trial, candidate: Candidate) -> None:
        """Let a candidate begin with the weights of another architecture's trial, if there is one to inherit from."""
        history = self._history
        first = trial
        while (before := history.before(first)) is not None:
            first = before
        if first.origin is not None:
            saved = self._left(history.trials[first.origin], trial, "begins from scratch")
            if saved is not None:
                candidate.take_over(saved)

    def _left(self, origin: Trial, trial: Trial, instead: str) -> Saved | None:
        """Return what a trial left for another; where it is lost or of no use, say what the other does instead."""
        try:
            if origin.number not in self._recorded:
                raise LookupError("was not among the few that are kept")
            state = self._checkpoints.load(origin.number)
            return Saved(state, origin.curve, self._grown(origin, trial, state))
        except LookupError as error:
            reason = str(error)
        except ArchwrightError as error:
            reason = f"is of no use ({error})"
        if self._recorded:  # else the evaluator saves nothing
            self._problem(f"the checkpoint of trial {origin.number} {reason}: trial {trial.number} {instead}", "")
        return None

    def _grown(self, before: Trial, trial: Trial, state: Mapping[str, Any]) -> torch.nn.Module | None:
        """Return a trial's network with the weights of another's; `None` where the two are the same network."""
        space = self._space
        old, new = self.network(before), self.network(trial)
        if old == new or "model" not in state:
            return None
        from archwright.supernet import inherit

        network, _ = inherit(
            space, new, old, state["model"], seed=trial.seed, example_input=self._evaluator.example_input
        )
        return network

    def save(self, trial: Trial, state: Mapping[str, Any]) -> None:
        if trial.share == 1 and not self._planner.inherit:
            return
        try:
            self._claim(trial.number)
            self._checkpoints.keep(trial.number, state)
        except Exception:  # whatever an evaluator saves, and however full the disk is
            message = f"the checkpoint of trial {trial.number} could not be kept; what goes on from it starts again"
            self._problem(message, traceback.format_exc())

    def clear(self) -> None:
        """Remove the checkpoints that are of no use any more."""
        if self._planner.checkpoints:
            unwanted = set(self._recorded) - self._planner.kept(self._history)
            if unwanted:
                self._checkpoints.drop(unwanted)
                self._ledger.update(checkpoints=[number for number in self._recorded if number not in unwanted])

    def _claim(self, number: int) -> None:
        """Put on record, before it is written, that the file of a trial's checkpoint is the study's.

        Raises:
            StudyError: There is a file of that name already, which the study did not write.
        """
        if number not in self._recorded:
            if self._checkpoints.is_taken(number):
                raise StudyError(f"checkpoints/{number}.pt is there already, and was not written by this study")
            self._ledger.update(checkpoints=sorted([*self._recorded, number]))

    @property
    def _recorded(self) -> list[int]:
        """The trials whose checkpoints are the study's; one that was lost is among them."""
        return self._ledger.document["checkpoints"] or []
